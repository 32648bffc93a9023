"""faster-rcnn-fpn: two-stage, proposals and regions on every level of a feature pyramid.

Paper: Lin 2017, "Feature Pyramid Networks for Object Detection" (arXiv:1612.03144 [S]): the
coarser map, doubled, is added to a 1x1 of the finer, and a 3x3 smooths each sum; anchors of one
size, 32 to 512 px, at three ratios, on each of P2 to P6, of which P6 is every other cell of P5; a
region of side s is pooled from level floor(4 + log2(s / 224)), P2 to P5; the heads are shared by
the levels. COCO, ResNet-50, AP and AP of small objects: 33.9 and 17.8, with a single map 31.6 and
13.2; average recall of small proposals 32.0 becomes 44.9.

Its ablations are settings; the paper's AP and AP of small objects [S]: without `top_down` 24.9 and
10.9, without `lateral` 31.3 and 13.3, with `finest_only` 33.4 and 17.3.

Ours [D]: the level of 224 px is for pictures 800 px high. Here `canonical`, 56 px, goes to stride
16, so that a region has about as many cells as it has bins: 28 px at stride 4. Batch norm and ReLU
after the 3x3 of the pyramid, where the paper has nothing. The rest is as in `faster-rcnn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from foveate.models.anchors import AnchorLevels, with_further
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.pyramid import Pyramid
from foveate.models.regions import LevelMaps
from foveate.models.two_stage import Maps, RegionConfig, TwoStage, on_one_map, square_and_oblong

_SIDE = 8
"""Strides: side of a level's anchors [S: 32 px at stride 4]."""


class FasterRCNNFPNConfig(RegionConfig):
    """Settings of `FasterRCNNFPN`.

    Attributes:
        name: The row of `METHODS`.
        backbone: Its strides are the pyramid's.
        extra_levels: Coarser levels for proposals, each every other cell of the one before: P6.
        canonical: Side, network pixels, of the least square that is pooled from stride 16; the
            paper's 224 is for pictures 800 px high.
        top_down: False leaves out the additions: every level sees its own map only.
        lateral: False leaves out the finer maps: every level sees the coarsest only.
        finest_only: The finest level alone has all the anchors and all the regions.
    """

    name: Literal["faster-rcnn-fpn"] = "faster-rcnn-fpn"
    backbone: BackboneConfig = BackboneConfig(strides=(4, 8, 16, 32))
    extra_levels: int = Field(default=1, ge=0, le=3)
    canonical: float = Field(default=56.0, gt=0)
    top_down: bool = True
    lateral: bool = True
    finest_only: bool = False

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the levels that have anchors, network pixels, finest first."""
        return self._all_strides[:1] if self.finest_only else self._all_strides

    @property
    def _all_strides(self) -> tuple[int, ...]:
        return with_further(self.backbone.strides, self.extra_levels)

    @property
    def default_anchors(self) -> AnchorLevels:
        """The paper's: one size a level, three ratios; with one level, all of them on it [S]."""
        sides = [float(_SIDE * stride) for stride in self._all_strides]
        if self.finest_only:
            return on_one_map(sides)
        return tuple(square_and_oblong([side]) for side in sides)

    @model_validator(mode="after")
    def _has_a_way_in(self) -> FasterRCNNFPNConfig:
        if not self.top_down and not self.lateral:
            raise ValueError("top_down, lateral: one of the two must stay true")
        return self


class FasterRCNNFPN(TwoStage):
    """Proposals and regions on a pyramid; see the module's docstring."""

    def __init__(self, config: FasterRCNNFPNConfig, class_count: int, channels: int = 3) -> None:
        backbone = Backbone(config.backbone, channels)
        strides = backbone.strides[:1] if config.finest_only else backbone.strides
        super().__init__(
            config,
            class_count,
            backbone,
            neck=LevelsForBoth(backbone.channels, config),
            pool=LevelMaps(config.width, strides, config.canonical, config.regions),
            finest=strides[0],
        )


class LevelsForBoth(nn.Module):
    """A pyramid whose levels have anchors and regions, and coarser ones with anchors only.

    Args:
        channels: Of the backbone's maps, finest first.
        config: Of the method.
    """

    def __init__(self, channels: Sequence[int], config: FasterRCNNFPNConfig) -> None:
        super().__init__()
        self.pyramid = Pyramid(
            channels,
            config.width,
            top_down=config.top_down,
            lateral=config.lateral,
            given=1 if config.finest_only else None,
        )
        self.extra_levels = 0 if config.finest_only else config.extra_levels

    def forward(self, features: Sequence[Tensor]) -> Maps:
        """From the backbone's maps, finest first."""
        levels = self.pyramid(features)
        proposing = list(levels)
        for _ in range(self.extra_levels):
            proposing.append(functional.max_pool2d(proposing[-1], kernel_size=1, stride=2))
        return Maps(proposing, levels)
