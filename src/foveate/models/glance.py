"""The glance: a tiny network that says where in a reduced picture small objects may be.

It need not tell what they are, nor find their boxes; a miss costs an object and a false alarm only
a tile. So it is a map of one number a cell, like the heat map of CenterNet (Zhou 2019,
arXiv:1904.07850 [M]) without classes, from depthwise-separable convolutions (MobileNet, Howard
2017, arXiv:1704.04861 [M]) at two strides: the finer one sees the object, which is a few reduced
pixels, the coarser one what it stands on. Width and depth are ours [D].

Shapes: N = pictures, H, W = their sides, h, w = a quarter of them, C = channels.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from foveate.config import Config
from foveate.models.pixels import Pixels
from foveate.models.pyramid import conv_block, separable_block


class GlanceConfig(Config):
    """Settings of `GlanceNet`.

    Attributes:
        width: Channels at stride 2; twice as many follow.
        depth: Blocks at stride 4.
        context: Blocks at stride 8, which see far.
        prior: Presence that an untrained cell gives (.01, as of focal loss, Lin 2017 [S]).
    """

    width: int = Field(default=24, ge=4, le=64)
    depth: int = Field(default=2, ge=1, le=8)
    context: int = Field(default=3, ge=1, le=8)
    prior: float = Field(default=0.01, gt=0, lt=1)


class GlanceNet(nn.Module):
    """Logits of presence in the cells of a reduced picture; see the module's docstring.

    Args:
        config: Width and depth.
        channels: C.
    """

    def __init__(self, config: GlanceConfig, channels: int = 3) -> None:
        super().__init__()
        wide = 2 * config.width
        self.pixels = Pixels([0.5] * channels, [0.25] * channels, "fixed")
        self.stem = conv_block(channels, config.width, stride=2)
        self.down = conv_block(config.width, wide, stride=2)
        self.fine = nn.ModuleList(separable_block(wide, wide, 3) for _ in range(config.depth))
        self.coarse = nn.ModuleList(separable_block(wide, wide) for _ in range(config.context))
        self.head = nn.Sequential(separable_block(wide, wide, 3), nn.Conv2d(wide, 1, 1))
        output: nn.Conv2d = self.head[-1]  # type: ignore[assignment]
        bias = -math.log((1 - config.prior) / config.prior)
        nn.init.constant_(output.bias, bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """``(N, H, W, C)`` uint8, sides multiples of 8, to logits ``(N, 1, h, w)``."""
        fine = self.down(self.stem(self.pixels(images)))
        for block in self.fine:
            fine = fine + block(fine)
        coarse = functional.avg_pool2d(fine, 2)
        for block in self.coarse:
            coarse = coarse + block(coarse)
        seen: Tensor = self.head(fine + functional.interpolate(coarse, scale_factor=2))
        return seen.float()

    def presence(self, images: Tensor) -> Tensor:
        """What is exported: ``(N, h, w)`` in ``[0, 1]``."""
        return torch.sigmoid(self(images))[:, 0]
