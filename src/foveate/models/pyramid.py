"""Feature pyramids: the finest map with the context of all the coarser, or all of the maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU: what ONNX Runtime fuses into one kernel."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def separable_block(inputs: int, outputs: int, kernel: int = 5) -> nn.Sequential:
    """A depthwise and a pointwise convolution, each with batch norm (Howard 2017, MobileNets).

    A fifth of the products of a dense 3x3 at 96 channels, and a wider view.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, 1, kernel // 2, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        *conv_block(inputs, outputs, kernel=1),
    )


class TopDown(nn.Module):
    """Feature pyramid (Lin 2017, arXiv:1612.03144 [S]) read at its finest level only.

    As in the paper, 1x1 laterals are added to the nearest-upsampled coarser map and smoothed by
    3x3. [D] Coarser levels are smoothed before they go up, and `extra` levels of stride 2 are put
    on top so that a cell sees far beyond its object; both cost little, being small maps.

    Args:
        channels: Of the backbone's maps, finest first.
        width: Channels inside the pyramid.
        extra: Further levels on top of the coarsest.
        separable: Smooth the finest level, where most of the products are, by `separable_block`.
    """

    def __init__(
        self, channels: Sequence[int], width: int, extra: int = 1, *, separable: bool = False
    ) -> None:
        super().__init__()
        self.laterals = nn.ModuleList([nn.Conv2d(c, width, 1) for c in channels])
        self.extra = nn.ModuleList([conv_block(width, width, stride=2) for _ in range(extra)])
        self.smooth = nn.ModuleList([conv_block(width, width) for _ in channels])
        if separable:
            self.smooth[0] = separable_block(width, width)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Fuse ``(N, channels[i], H_i, W_i)``, finest first, into ``(N, width, H_0, W_0)``."""
        levels = [lateral(f) for lateral, f in zip(self.laterals, features, strict=True)]
        tops = [levels[-1]]
        for block in self.extra:
            tops.append(block(tops[-1]))
        merged: Tensor = tops.pop()
        for below in reversed(tops):
            merged = below + _doubled(merged)
        merged = self.smooth[-1](merged)
        for level, smooth in zip(reversed(levels[:-1]), reversed(self.smooth[:-1]), strict=True):
            merged = smooth(level + _doubled(merged))
        return merged


class Pyramid(nn.Module):
    """Feature pyramid (Lin 2017, arXiv:1612.03144 [S]) with an output at every level.

    1x1 laterals are added to the nearest-upsampled coarser sum; each sum is smoothed by 3x3.
    Further levels come from the backbone's last map by 3x3 of stride 2, as RetinaNet has them
    (Lin 2017, arXiv:1708.02002 [S]). [D] Batch norm and ReLU after all but the laterals.

    Args:
        channels: Of the backbone's maps, finest first.
        width: Channels of every level.
        extra: Further levels beyond the coarsest: 2 are P6 and P7.
        top_down: False leaves out the additions alone: the control, of equal cost, in which every
            level sees its own map only.
        lateral: False leaves out all maps but the coarsest, which alone goes down: the paper's
            other control.
        given: How many levels to smooth and give, from the finest; None for all.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        extra: int = 0,
        *,
        top_down: bool = True,
        lateral: bool = True,
        given: int | None = None,
    ) -> None:
        super().__init__()
        self.top_down, self.lateral = top_down, lateral
        used = channels if lateral else channels[-1:]
        self.laterals = nn.ModuleList([nn.Conv2d(c, width, 1) for c in used])
        self.smooth = nn.ModuleList([conv_block(width, width) for _ in channels[:given]])
        inputs = [channels[-1], *[width] * extra]
        self.extra = nn.ModuleList([conv_block(inputs[i], width, stride=2) for i in range(extra)])

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Fuse ``(N, channels[i], H_i, W_i)``, finest first, into ``(N, width, H_i, W_i)`` each.

        A further level has half the height and width of the one before, rounded up.
        """
        sums = self._sums(features)
        wanted = zip(self.smooth, sums[: len(self.smooth)], strict=True)
        levels: list[Tensor] = [smooth(one) for smooth, one in wanted]
        top = features[-1]
        for block in self.extra:
            top = block(top)
            levels.append(top)
        return levels

    def _sums(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Of every map, what is smoothed."""
        if not self.lateral:
            sums: list[Tensor] = [self.laterals[0](features[-1])]
            for _ in features[1:]:
                sums.insert(0, _doubled(sums[0]))
            return sums
        sums = [lateral(f) for lateral, f in zip(self.laterals, features, strict=True)]
        if self.top_down:
            for i in reversed(range(len(sums) - 1)):
                sums[i] = sums[i] + _doubled(sums[i + 1])
        return sums


class ConcatPyramid(nn.Module):
    """YOLOv3's neck (Redmon 2018, arXiv:1804.02767 [S]) with an output at every level.

    A coarser level goes through 1x1, is doubled (nearest) and concatenated to the backbone's finer
    map; each level is squeezed by 1x1, then `pairs` times widened twofold by 3x3 and squeezed again
    [S: yolov3.cfg, 2]. [D] As many channels at every level, where darknet halves them towards the
    finer, and ReLU for leaky ReLU.

    Args:
        channels: Of the backbone's maps, finest first.
        width: Channels of every level.
        pairs: Of 3x3 and 1x1 convolutions at a level.
    """

    def __init__(self, channels: Sequence[int], width: int, pairs: int = 2) -> None:
        super().__init__()
        inputs = [c + width for c in channels[:-1]] + [channels[-1]]
        self.squeeze = nn.ModuleList([_squeezes(c, width, pairs) for c in inputs])
        self.rise = nn.ModuleList([conv_block(width, width, kernel=1) for _ in channels[1:]])

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Fuse ``(N, channels[i], H_i, W_i)``, finest first, into ``(N, width, H_i, W_i)`` each."""
        levels: list[Tensor] = [self.squeeze[-1](features[-1])]
        for i in reversed(range(len(self.rise))):
            above = _doubled(self.rise[i](levels[0]))
            levels.insert(0, self.squeeze[i](torch.cat([above, features[i]], dim=1)))
        return levels


def _squeezes(inputs: int, width: int, pairs: int) -> nn.Sequential:
    blocks = [conv_block(inputs, width, kernel=1)]
    for _ in range(pairs):
        blocks += [conv_block(width, 2 * width), conv_block(2 * width, width, kernel=1)]
    return nn.Sequential(*blocks)


def _doubled(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2.0, mode="nearest")
