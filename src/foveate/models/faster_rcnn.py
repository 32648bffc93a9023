"""faster-rcnn: two-stage, regions proposed by anchors and judged one by one, on a single map.

Paper: Ren 2015, "Faster R-CNN" (arXiv:1506.01497 [S]): a network of proposals shares its map with
the detector. On one map of stride 16, nine anchors a cell, 128, 256 and 512 px at three ratios; an
anchor is positive from an IoU of .7 or as the best of a box, negative below .3; 256 anchors of a
picture learn, half of them positive at most; the best boxes, less those that overlap by .7, are
pooled to 7x7 cells (RoIAlign: He 2017, arXiv:1703.06870), and two fully connected layers give class
and box of each. A quarter of the regions that learn are positive, from an IoU of .5. It is the weak
baseline of feature pyramids (AP of small objects, COCO, ResNet-50: 13.2, with a pyramid 17.8 [S]).

"+++" (He 2016, arXiv:1512.03385: AP 34.9, of small objects 15.6 with ResNet-101 [S]) is here as
settings: `regions.refinements` moves a region to the box found in it and judges again;
`regions.global_context` shows the head the mean of the map over the whole tile [M]; several scales
at run time are the recipe's `pyramid`, or `--scales`. Box voting is left out [D].

Ours [D]: EfficientNet-Lite0 at stride 16 in place of ResNet's C4, with a 1x1 convolution to 96
channels, batch norm and ReLU before all else, as its maps have no ReLU; two fully connected layers
on the pooled map in place of res5; 256 of width, 128 regions of a tile that learn and 300
proposals, for a processor; all anchors count in the loss by their probability to be drawn, and
regions are taken evenly over the ranks of the proposals, where the paper draws both at random; box
losses are per positive anchor and region. Anchors fitted to the data (`anchors: auto`), as in the
shipped recipe. For tiny objects: assignment and suppression of proposals by NWD
(`proposals.matching.metric`, `proposals.metric`, `regions.matching.metric`).

What library defaults do to small objects is a setting here: pictures are never resized but by the
tile plan's `scale`; `proposals.considered`, `proposals.kept`, `candidates` and `max_detections` are
the limits that libraries have at 1000, 1000, all and 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from foveate.models.anchors import AnchorLevels
from foveate.models.backbones import Backbone
from foveate.models.pyramid import conv_block
from foveate.models.regions import SingleMap
from foveate.models.two_stage import Maps, RegionConfig, TwoStage, on_one_map

SIDES = (128.0, 256.0, 512.0)
"""Of the anchors, network pixels [S]."""


class FasterRCNNConfig(RegionConfig):
    """Settings of `FasterRCNN`.

    Attributes:
        name: The row of `METHODS`.
        anchors_per_level: How many `auto` gives.
    """

    name: Literal["faster-rcnn"] = "faster-rcnn"
    anchors_per_level: int = Field(default=9, ge=1, le=32)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the one map that has anchors, network pixels."""
        return self.backbone.strides

    @property
    def default_anchors(self) -> AnchorLevels:
        """The paper's nine."""
        return on_one_map(SIDES)

    @model_validator(mode="after")
    def _has_one_map(self) -> FasterRCNNConfig:
        strides = self.backbone.strides
        if len(strides) != 1:
            raise ValueError("backbone.strides: expected one, such as 16; got "
                             f"{', '.join(map(str, strides))}")  # fmt: skip
        return self


class FasterRCNN(TwoStage):
    """Proposals and regions on one map; see the module's docstring."""

    def __init__(self, config: FasterRCNNConfig, class_count: int, channels: int = 3) -> None:
        backbone = Backbone(config.backbone, channels)
        stride = backbone.strides[0]
        super().__init__(
            config,
            class_count,
            backbone,
            neck=OneMap(backbone.channels[0], config.width),
            pool=SingleMap(config.width, stride, config.regions),
            finest=stride,
        )


class OneMap(nn.Module):
    """The backbone's map at another width, for both stages.

    Args:
        channels: Of the backbone's map.
        width: Of what comes out.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.squeeze = conv_block(channels, width, kernel=1)

    def forward(self, features: Sequence[Tensor]) -> Maps:
        """From the one map ``(N, channels, h, w)``."""
        level = self.squeeze(features[0])
        return Maps([level], [level])
