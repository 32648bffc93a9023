"""Inception-v2, the backbone of the SSD that the article compares with, as a model of timm.

Paper: Ioffe 2015, "Batch Normalization" (arXiv:1502.03167), whose appendix changes the Inception of
Szegedy 2015 (arXiv:1409.4842): branches of 1x1, 3x3, two times 3x3 and a pool run side by side over
one map, and their outputs are joined. The channels are those of TensorFlow's slim, which detectors
were built on [S: its code].

timm has Inception-v3 and v4 as well, but without padding: a map of stride 8 has 29 cells of 256
pixels, not 32, and boxes would shift from cell to cell. Here every map is exact [D]: each layer of
stride 2 halves its input, rounded up. Also ours [D]: a dense first convolution, where slim has a
separable one, so that any number of input channels fits; a form of half the channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import torch
from timm.models import build_model_with_cfg, register_model
from torch import Tensor, nn

from foveate.models.pyramid import conv_block

Branches: TypeAlias = tuple[int, tuple[int, int], tuple[int, int], int]
"""Outputs of the 1x1, of both layers of the 3x3, of the 1x1 and each 3x3 of the two times 3x3, and
of the 1x1 after the pool; 0 for none, as in the modules that halve the map."""

_STEM = (64, 64, 192)
_STAGES: tuple[tuple[Branches, ...], ...] = (
    ((64, (64, 64), (64, 96), 32), (64, (64, 96), (64, 96), 64)),
    (
        (0, (128, 160), (64, 96), 0),
        (224, (64, 96), (96, 128), 128),
        (192, (96, 128), (96, 128), 128),
        (160, (128, 160), (128, 160), 96),
        (96, (128, 192), (160, 192), 96),
    ),
    (
        (0, (128, 192), (192, 256), 0),
        (352, (192, 320), (160, 224), 128),
        (352, (192, 320), (192, 224), 128),
    ),
)
"""Modules of stride 8, 16 and 32."""


class Mixed(nn.Module):
    """Parallel branches over one map, joined; the module that halves it passes its maxima on.

    Args:
        inputs: Channels.
        branches: Channels of each branch.
    """

    def __init__(self, inputs: int, branches: Branches) -> None:
        super().__init__()
        single, (least, once), (less, twice), pooled = branches
        stride = 1 if single else 2
        self.branches = nn.ModuleList(
            [
                nn.Sequential(conv_block(inputs, least, 1), conv_block(least, once, stride=stride)),
                nn.Sequential(
                    conv_block(inputs, less, 1),
                    conv_block(less, twice),
                    conv_block(twice, twice, stride=stride),
                ),
            ]
        )
        if single:
            self.branches.append(conv_block(inputs, single, 1))
            self.branches.append(
                nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_block(inputs, pooled, 1))
            )
        else:
            self.branches.append(nn.MaxPool2d(3, stride, 1))
        self.channels = single + once + twice + (pooled or inputs)

    def forward(self, values: Tensor) -> Tensor:
        """``(N, inputs, h, w)`` to ``(N, channels, h, w)``, or to half the height and width."""
        return torch.cat([branch(values) for branch in self.branches], dim=1)


class InceptionV2(nn.Module):
    """Five stages, of strides 2, 4, 8, 16 and 32; timm makes a feature extractor of them.

    Args:
        share: Of the published channels.
        in_chans: Channels of the input.
        kwargs: What timm gives every model, such as `num_classes`; there is no classifier here.
    """

    def __init__(self, share: float = 1.0, in_chans: int = 3, **kwargs: Any) -> None:
        super().__init__()
        first, second, third = (int(c * share) for c in _STEM)
        self.stride2 = conv_block(in_chans, first, 7, 2)
        self.stride4 = nn.Sequential(
            nn.MaxPool2d(3, 2, 1), conv_block(first, second, 1), conv_block(second, third)
        )
        self.stride8 = nn.Sequential(nn.MaxPool2d(3, 2, 1), *_stage(third, _STAGES[0], share))
        self.stride16 = nn.Sequential(*_stage(_channels(self.stride8), _STAGES[1], share))
        self.stride32 = nn.Sequential(*_stage(_channels(self.stride16), _STAGES[2], share))
        self.num_classes = 0
        stages = (self.stride8, self.stride16, self.stride32)
        channels = (first, third, *map(_channels, stages))
        self.feature_info = [
            {"num_chs": count, "reduction": 2**i, "module": f"stride{2**i}"}
            for i, count in enumerate(channels, start=1)
        ]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """The coarsest map of ``(N, in_chans, H, W)``."""
        for stage in self.children():
            images = stage(images)
        return images


def _stage(inputs: int, table: Sequence[Branches], share: float) -> list[Mixed]:
    modules: list[Mixed] = []
    for single, three, double, pooled in table:
        scaled = (
            int(single * share),
            (int(three[0] * share), int(three[1] * share)),
            (int(double[0] * share), int(double[1] * share)),
            int(pooled * share),
        )
        modules.append(Mixed(modules[-1].channels if modules else inputs, scaled))
    return modules


def _channels(stage: nn.Sequential) -> int:
    return cast(Mixed, stage[-1]).channels


def _build(name: str, share: float, **kwargs: Any) -> nn.Module:
    normalised = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "url": ""}  # as in slim [S]
    kwargs |= {"pretrained_cfg": normalised, "share": share}
    return cast(nn.Module, build_model_with_cfg(InceptionV2, name, **kwargs))


@register_model
def inception_v2(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Inception-v2 with its published channels, from random weights."""
    return _build("inception_v2", 1.0, **kwargs | {"pretrained": pretrained})


@register_model
def inception_v2_050(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Inception-v2 with half of them: on a processor quicker than EfficientNet-Lite0."""
    return _build("inception_v2_050", 0.5, **kwargs | {"pretrained": pretrained})
