"""multiscale-rcnn: two-stage, each region read from maps of three depths at once.

Paper: Hu et al. 2018, on small objects by multiscale features: a reconstruction, of which only the
abstract and a summary [2] were found, and no code. Faster R-CNN whose regions are pooled from
conv3, conv4 and conv5; each is brought to one length (L2) [2], concatenated, and brought back to
one width by a 1x1 convolution [2] before the fully connected layers. Our article gives it .1 AP
over plain Faster R-CNN; `scales: plain` is the control, regions of the coarsest map alone.

Ours [D]: strides 4, 8 and 16, which are those of conv3 to conv5 in VGG-16; a learned scale for each
channel after L2 (Liu 2015, ParseNet, arXiv:1506.04579), which starts where a number has the size
that it has in SSD; cells are normalised after pooling (as Bell 2016, arXiv:1512.04143, does [M]);
the 1x1 has 128 channels for the 512 of wider backbones; proposals stand on the coarsest map, as in
Faster R-CNN. The rest is as in `faster-rcnn`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from foveate.models.anchors import AnchorLevels
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.faster_rcnn import SIDES
from foveate.models.pyramid import conv_block
from foveate.models.regions import RegionHeadConfig, SingleMap, pooled
from foveate.models.two_stage import Maps, RegionConfig, TwoStage, on_one_map

_LENGTH = 20 / math.sqrt(512)
"""Root mean square of a cell's channels at first: ParseNet's 20 over 512 of them [S: Liu 2016]."""


class MultiscaleRCNNConfig(RegionConfig):
    """Settings of `MultiscaleRCNN`.

    Attributes:
        name: The row of `METHODS`.
        backbone: Its three maps are what regions are read from; proposals stand on the coarsest.
        anchors_per_level: How many `auto` gives.
        scales: `fused` reads regions from all maps, `plain` from the coarsest: the control.
        fused_width: Channels of a region after the 1x1 convolution that joins the maps.
    """

    name: Literal["multiscale-rcnn"] = "multiscale-rcnn"
    backbone: BackboneConfig = BackboneConfig(strides=(4, 8, 16))
    anchors_per_level: int = Field(default=9, ge=1, le=32)
    scales: Literal["fused", "plain"] = "fused"
    fused_width: int = Field(default=128, ge=8)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the one map that has anchors, network pixels."""
        return self.backbone.strides[-1:]

    @property
    def default_anchors(self) -> AnchorLevels:
        """Faster R-CNN's nine."""
        return on_one_map(SIDES)

    @model_validator(mode="after")
    def _has_several_maps(self) -> MultiscaleRCNNConfig:
        if self.scales == "fused" and len(self.backbone.strides) < 2:
            raise ValueError("backbone.strides: expected several maps to read regions from, got "
                             f"{self.backbone.strides[0]}")  # fmt: skip
        return self


class MultiscaleRCNN(TwoStage):
    """Proposals on one map, regions from several; see the module's docstring."""

    def __init__(self, config: MultiscaleRCNNConfig, class_count: int, channels: int = 3) -> None:
        fused = config.scales == "fused"
        used = config.backbone.strides if fused else config.level_strides
        backbone = Backbone(config.backbone.model_copy(update={"strides": used}), channels)
        maps = (*backbone.channels[:-1], config.width)
        pool: SingleMap | SeveralDepths = SingleMap(config.width, used[-1], config.regions)
        if fused:
            pool = SeveralDepths(maps, used, config.fused_width, config.regions)
        super().__init__(
            config,
            class_count,
            backbone,
            neck=CoarsestSqueezed(backbone.channels[-1], config.width),
            pool=pool,
            finest=used[0],
        )


class CoarsestSqueezed(nn.Module):
    """The backbone's maps as they are, but for the coarsest, which has another width.

    Args:
        channels: Of the backbone's coarsest map.
        width: Of what comes of it.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.squeeze = conv_block(channels, width, kernel=1)

    def forward(self, features: Sequence[Tensor]) -> Maps:
        """From the backbone's maps, finest first."""
        coarsest = self.squeeze(features[-1])
        return Maps([coarsest], [*features[:-1], coarsest])


class SeveralDepths(nn.Module):
    """Pool regions from every map, bring each to one length and join them.

    Args:
        maps: Channels of the maps, finest first.
        strides: Of the maps.
        width: Of a joined region.
        config: Bins and samples.

    Attributes:
        channels: Of a joined region.
    """

    def __init__(
        self, maps: Sequence[int], strides: Sequence[int], width: int, config: RegionHeadConfig
    ) -> None:
        super().__init__()
        self.channels, self.strides = width, tuple(strides)
        self.bins, self.samples = config.bins, config.samples
        self.normalise = nn.ModuleList([CellLength(channels) for channels in maps])
        self.join = nn.Conv2d(sum(maps), width, 1)
        nn.init.kaiming_normal_(self.join.weight, nonlinearity="relu")
        nn.init.zeros_(self.join.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor], regions: Tensor) -> Tensor:
        """``(B, channels, bins, bins)`` of regions ``(B, 5)``."""
        read = [
            normalise(pooled(level, regions, stride, self.bins, self.samples))
            for level, stride, normalise in zip(maps, self.strides, self.normalise, strict=True)
        ]
        return self.join(torch.cat(read, dim=1)).relu()  # type: ignore[no-any-return]


class CellLength(nn.Module):
    """Every cell brought to one length, then every channel to its learned scale (Liu 2015).

    Args:
        channels: Of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels, 1, 1), _LENGTH * math.sqrt(channels)))

    def forward(self, values: Tensor) -> Tensor:
        """``(B, channels, h, w)`` to the like."""
        return functional.normalize(values, dim=1) * self.scale
