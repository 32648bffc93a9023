"""remote-rcnn: two-stage, small anchors on one fine map, each region judged with its surroundings.

Paper: Ren, Zhu & Xiao 2018, "Small Object Detection in Optical Remote Sensing Images via Modified
Faster R-CNN" (Applied Sciences 8(5):813). A reconstruction: only the abstract [S] and summaries [2]
were found, and no code. Faster R-CNN with five changes, each a switch here, so that each can be
measured:

1. small anchors in the first stage [S]: `small_anchors`, of 16, 32 and 64 px [D] in place of 128,
   256 and 512, or fitted to the data by `anchors: auto`, as in the shipped recipe;
2. one map of high resolution from a top-down path with skip connections [S], by addition with 1x1
   convolutions [2]: `fused`, from stride 32 down to stride 4, smoothed by one 3x3 [D]; without, the
   map of stride 16 alone;
3. context: of each proposal a region twice as wide around it is pooled as well, and both go to
   the fully connected layers together [2; the factor and the concatenation D]: `context`;
4. balanced sampling [S]: pictures of rare classes are drawn more often, which is the recipe's
   `sampling.repeat_below`;
5. rotation by any angle, boxes recomputed [S]: the recipe's `augment.any_turn`, with
   `augment.turned_box: corners` for w' = w|cos| + h|sin| [D]. The shipped recipe turns by right
   angles alone, which keep boxes exact: by any angle a box grows with what is not in it, and that
   cost more than it brought (docs/article.md).

What of a wider region lies beyond the tile is empty to the head [D]. The rest is as in
`faster-rcnn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from foveate.models.anchors import AnchorLevels
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.faster_rcnn import SIDES, OneMap
from foveate.models.pyramid import Pyramid
from foveate.models.regions import RegionHeadConfig, pooled
from foveate.models.two_stage import Maps, RegionConfig, TwoStage, on_one_map

_SMALL_SIDES = (16.0, 32.0, 64.0)
_PLAIN_STRIDE = 16
_CONTEXT = 2.0
"""Side of the wider region over that of the region."""


class RemoteRCNNConfig(RegionConfig):
    """Settings of `RemoteRCNN`.

    Attributes:
        name: The row of `METHODS`.
        backbone: Its maps are fused into the finest; without `fused`, that of stride 16 is used.
        anchors_per_level: How many `auto` gives.
        small_anchors: Whether `anchors: default` means small ones.
        fused: Both stages on one fine map instead of that of stride 16.
        context: Pool a region twice as wide as well.
    """

    name: Literal["remote-rcnn"] = "remote-rcnn"
    backbone: BackboneConfig = BackboneConfig(strides=(4, 8, 16, 32))
    anchors_per_level: int = Field(default=9, ge=1, le=32)
    small_anchors: bool = True
    fused: bool = True
    context: bool = True

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the one map that has anchors, network pixels."""
        return self.backbone.strides[:1] if self.fused else (_PLAIN_STRIDE,)

    @property
    def default_anchors(self) -> AnchorLevels:
        """Nine: three sizes, small ones or Faster R-CNN's, at three ratios."""
        return on_one_map(_SMALL_SIDES if self.small_anchors else SIDES)

    @model_validator(mode="after")
    def _has_the_maps(self) -> RemoteRCNNConfig:
        strides = self.backbone.strides
        if not self.fused and _PLAIN_STRIDE not in strides:
            raise ValueError(f"backbone.strides: without fused {_PLAIN_STRIDE} must be among them, "
                             f"got {', '.join(map(str, strides))}")  # fmt: skip
        return self


class RemoteRCNN(TwoStage):
    """Proposals and regions with context on one fused map; see the module's docstring."""

    def __init__(self, config: RemoteRCNNConfig, class_count: int, channels: int = 3) -> None:
        used = config.backbone.strides if config.fused else config.level_strides
        backbone = Backbone(config.backbone.model_copy(update={"strides": used}), channels)
        stride = config.level_strides[0]
        neck: nn.Module = OneMap(backbone.channels[0], config.width)
        if config.fused:
            neck = FusedMap(backbone.channels, config.width)
        super().__init__(
            config,
            class_count,
            backbone,
            neck=neck,
            pool=WithSurroundings(config.width, stride, config.regions, context=config.context),
            finest=stride,
        )


class FusedMap(nn.Module):
    """All maps added up in the finest, for both stages.

    Args:
        channels: Of the backbone's maps, finest first.
        width: Of what comes out.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(channels, width, given=1)

    def forward(self, features: Sequence[Tensor]) -> Maps:
        """From the backbone's maps, finest first."""
        levels = self.pyramid(features)
        return Maps(levels, levels)


class WithSurroundings(nn.Module):
    """Pool regions from one map, and wider ones around them.

    Args:
        width: Channels of the map.
        stride: Of the map.
        config: Bins and samples.
        context: False leaves out the wider ones.

    Attributes:
        channels: Of a pooled region and its surroundings.
    """

    def __init__(self, width: int, stride: int, config: RegionHeadConfig, *, context: bool) -> None:
        super().__init__()
        self.stride, self.context = stride, context
        self.channels = width * (2 if context else 1)
        self.bins, self.samples = config.bins, config.samples

    def forward(self, maps: Sequence[Tensor], regions: Tensor) -> Tensor:
        """``(B, channels, bins, bins)`` of regions ``(B, 5)`` of the only map."""
        wanted = [regions, widened(regions, _CONTEXT)] if self.context else [regions]
        read = [pooled(maps[0], r, self.stride, self.bins, self.samples) for r in wanted]
        return torch.cat(read, dim=1)


def widened(regions: Tensor, factor: float) -> Tensor:
    """Regions ``(B, 5)`` of the same centres and `factor` times the sides, not cut to the tile."""
    low, high = regions[:, 1:3], regions[:, 3:]
    grown = (high - low) * ((factor - 1) / 2)
    return torch.cat([regions[:, :1], low - grown, high + grown], dim=1)
