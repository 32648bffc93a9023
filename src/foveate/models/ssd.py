"""ssd: one-stage, anchors on maps of ever fewer cells without a top-down path, hard negatives.

Paper: Liu 2016, "SSD: Single Shot MultiBox Detector" (arXiv:1512.02325 [S]): each map of a backbone
finds the objects that suit its cells, and further maps, each by 1x1 and then 3x3 of stride 2, find
the larger ones. One 3x3 predictor a map, unshared, gives classes and box of each anchor; the cells
of the finest map are brought to one length, with a learned scale. An anchor is positive from an IoU
of .5 or as the best of a box; all others are negative, and of these only the most wrong teach,
three for each positive one; boxes learn by smooth L1; suppression at an IoU of .45. No map sees a
coarser one: what is small is told from the features of a few layers. That is the contrast which
feature pyramids are measured against (AP of small objects, COCO: SSD512 10.9, Faster R-CNN with a
pyramid 18.2 [S]).

The anchors are SSD300's too (eq. 4): on a tile 37.5 cells of the finest map wide, their scales are
.1, then evenly from .2 to .9; per scale s ratios of 1:1, 2:1, 1:2, 3:1, 1:3, and one square between
s and the next. From stride 8 on that is 30 to 270 px, whatever the tile: no object of less than 21
px a side reaches an IoU of .5 with any of them, and only its best anchor learns it. The shipped
recipes fit anchors to the data (`anchors: auto`).

Ours [D]: any backbone, EfficientNet-Lite0 by default, instead of VGG; as many anchors at every map,
where SSD300 has four at three of them; independent logistic classes, as TensorFlow's SSD with
Inception-v2 has them [S: its configuration], where the paper has a softmax with a background class;
a tile without objects teaches as many negatives as one with a single positive. `top_down` with
`smoothing` puts a feature pyramid before the same predictors; `smoothing` alone is its control of
equal cost, in which only the top-down additions are missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from foveate.losses import FocalConfig, MatchingConfig, focal_loss, hardest
from foveate.models.anchors import AnchoredConfig, AnchorLevels, with_further
from foveate.models.backbones import Backbone
from foveate.models.dense import (
    AnchoredMethod,
    Dense,
    Lesson,
    anchor_rows,
    assign_anchors,
    best_candidates,
    prior_bias,
)
from foveate.models.method import Decoded, Targets
from foveate.models.pyramid import Pyramid

_TILE = 300 / 8
"""Strides of the finest map: the side of the tile that the default anchors are shares of [S]."""
_FINEST, _LEAST, _MOST = 0.1, 0.2, 0.9
"""Of that tile: scales of the finest map, the next and the coarsest [S: section 3.1 and eq. 4]."""
_RATIOS = (1, 2, 1 / 2, 3, 1 / 3)
_CODING = (0.1, 0.1, 0.2, 0.2)
"""What one unit of the box output is, in the units of `encode_boxes` [M: the authors' code]."""
_LENGTH = 20 / math.sqrt(512)
"""Root mean square of the finest map's channels at first: the paper's 20 over 512 of them [S]."""


class SSDConfig(AnchoredConfig):
    """Settings of `SSD`.

    Attributes:
        name: The row of `METHODS`.
        extra_levels: Further maps, each of half the height and width of the one before.
        extra_width: Their channels.
        smoothing: 1x1 and 3x3 over each of the backbone's maps before the predictors; without it
            they stand on the maps themselves, as in the paper.
        top_down: With `smoothing`, coarser maps are added to finer ones: a feature pyramid.
        width: Channels of the smoothed maps.
        class_loss: `hard-negatives` is cross-entropy of the positives and the most wrong
            negatives; `focal` takes all.
        negatives: Of `hard-negatives`: how many for each positive.
        focal: Of `focal`.
        prior: Of `focal`: probability of an object that an untrained anchor gives.
        matching: Which anchors learn which boxes.
        box_weight: Weight of the box loss.
        box_beta: Where smooth L1 turns from square to straight: 1 is a tenth of the anchor's side
            for the centre and a fifth of the logarithm of the sides' ratio.
        suppression: Of two boxes of one class and tile that overlap by this IoU, the better stays.
    """

    name: Literal["ssd"] = "ssd"
    extra_levels: int = Field(default=3, ge=0, le=4)
    extra_width: int = Field(default=256, ge=8)
    smoothing: bool = False
    top_down: bool = False
    width: int = Field(default=96, ge=8)
    class_loss: Literal["hard-negatives", "focal"] = "hard-negatives"
    negatives: float = Field(default=3.0, gt=0)
    focal: FocalConfig = FocalConfig()
    prior: float = Field(default=0.01, gt=0, lt=1)
    matching: MatchingConfig = MatchingConfig(positive=0.5, negative=0.5)
    box_weight: float = Field(default=1.0, gt=0)
    box_beta: float = Field(default=1.0, gt=0)
    suppression: float = Field(default=0.45, gt=0, le=1)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the maps, network pixels, finest first."""
        return with_further(self.backbone.strides, self.extra_levels)

    @property
    def default_anchors(self) -> AnchorLevels:
        """Six a level by SSD300's rule; see the module's docstring."""
        count = len(self.level_strides)
        # One scale more than there are levels: the coarsest level's square lies below it.
        step = (_MOST - _LEAST) / max(count - 2, 1)
        shares = [_FINEST, *(_LEAST + step * n for n in range(count))]
        scales = [share * _TILE * self.backbone.strides[0] for share in shares]
        return tuple(_shapes(scales[n], scales[n + 1]) for n in range(count))

    @model_validator(mode="after")
    def _sums_are_smoothed(self) -> SSDConfig:
        if self.top_down and not self.smoothing:
            raise ValueError("top_down needs maps of equal width: set smoothing to true as well")
        return self


class SSD(AnchoredMethod):
    """A hierarchy of maps with a predictor each; see the module's docstring."""

    def __init__(self, config: SSDConfig, class_count: int, channels: int = 3) -> None:
        super().__init__(config, class_count, Backbone(config.backbone, channels))
        self.config = config
        maps = self.backbone.channels
        self.neck: nn.Module = FinestNormalised(maps[0])
        self.extra = further_maps(maps[-1], config.extra_width, config.extra_levels)
        if config.smoothing:
            self.neck = Pyramid(maps, config.width, top_down=config.top_down)
            maps = [config.width] * len(maps)
        self.predictors = nn.ModuleList(
            [self._predictor(c) for c in (*maps, *[config.extra_width] * config.extra_levels)]
        )
        self.coding: Tensor
        self.register_buffer("coding", torch.tensor(_CODING), persistent=False)

    def _predictor(self, inputs: int) -> nn.Conv2d:
        """Classes and box of each anchor of a map's cells, in one convolution."""
        of_anchor = torch.zeros(self.class_count + 4)
        if self.config.class_loss == "focal":
            of_anchor[: self.class_count] = prior_bias(self.config.prior)
        predictor = nn.Conv2d(inputs, self.anchors.per_cell * len(of_anchor), 3, padding=1)
        nn.init.normal_(predictor.weight, std=0.01)
        predictor.bias = nn.Parameter(of_anchor.repeat(self.anchors.per_cell))
        return predictor

    def forward(self, images: Tensor) -> Dense:
        """Judge every anchor of ``(N, H, W, channels)`` uint8 images."""
        features = self.backbone(self.pixels(images))
        maps = [*self.neck(features)]
        top = features[-1]
        for block in self.extra:
            top = block(top)
            maps.append(top)
        judged = [predict(level) for predict, level in zip(self.predictors, maps, strict=True)]
        rows = anchor_rows(judged, self.class_count + 4)  # (N, R, C + 4)
        return Dense(
            rows[..., : self.class_count],
            rows[..., self.class_count :] * self.coding,
            self.anchors(maps),
            tuple(level.shape[2] * level.shape[3] * self.anchors.per_cell for level in maps),
        )

    def decode(self, outputs: Dense) -> Decoded:
        """The best candidates of all levels, several an object."""
        return best_candidates(outputs, self.candidates)

    def loss(self, outputs: Dense, targets: list[Targets]) -> dict[str, Tensor]:
        """Class and box loss, per positive anchor of the batch."""
        config = self.config
        lesson = assign_anchors(outputs, targets, config.matching)
        total = lesson.positive.sum().clamp(min=1)
        boxes = functional.smooth_l1_loss(
            outputs.deltas[lesson.positive] / self.coding,
            lesson.deltas / self.coding,
            beta=config.box_beta,
            reduction="sum",
        )
        return {
            "class": self._class_loss(outputs.logits, lesson) / total,
            "box": config.box_weight * boxes / total,
        }

    def _class_loss(self, logits: Tensor, lesson: Lesson) -> Tensor:
        """Summed over the anchors that teach."""
        config, focal = self.config, self.config.focal
        if config.class_loss == "focal":
            every = focal_loss(logits, lesson.classes, gamma=focal.gamma, alpha=focal.alpha)
            return (every.sum(dim=2) * lesson.taught).sum()
        loss = functional.binary_cross_entropy_with_logits(logits, lesson.classes, reduction="none")
        of_anchor = loss.sum(dim=2)  # (N, R)
        counts = config.negatives * lesson.positive.sum(dim=1).clamp(min=1)
        hard = hardest(of_anchor, lesson.taught & ~lesson.positive, counts.ceil().long())
        return (of_anchor * (lesson.positive | hard)).sum()


class FinestNormalised(nn.Module):
    """The backbone's maps as they are, but for the finest.

    Of that every cell is brought to one length, and every channel has a learned scale (Liu 2015,
    ParseNet, arXiv:1506.04579): early features are on another scale than deep ones [S: Liu 2016].

    Args:
        channels: Of the finest map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # [D] The same size of each number as over VGG's 512 channels, whatever their count.
        self.scale = nn.Parameter(torch.full((channels, 1, 1), _LENGTH * math.sqrt(channels)))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps of ``(N, channels[i], H_i, W_i)``, finest first, in the same shapes."""
        finest = functional.normalize(features[0].float(), dim=1)
        return [finest * self.scale, *features[1:]]


def further_maps(inputs: int, width: int, count: int) -> nn.ModuleList:
    """Blocks that each halve the map: 1x1 to half the width, then 3x3 of stride 2, both with ReLU.

    No batch norm, as in the paper: the coarsest map may be one cell of one tile.

    Args:
        inputs: Channels of the map before.
        width: Channels of each further map.
        count: Of them.
    """
    blocks = nn.ModuleList()
    for _ in range(count):
        narrow = nn.Conv2d(inputs, width // 2, 1)
        halving = nn.Conv2d(width // 2, width, 3, stride=2, padding=1)
        for conv in (narrow, halving):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        blocks.append(nn.Sequential(narrow, nn.ReLU(inplace=True), halving, nn.ReLU(inplace=True)))
        inputs = width
    return blocks


def _shapes(scale: float, larger: float) -> tuple[tuple[float, float], ...]:
    """Width and height of a level's anchors: all ratios of one scale, a square between two."""
    between = math.sqrt(scale * larger)
    ratios = [(scale * math.sqrt(r), scale / math.sqrt(r)) for r in _RATIOS]
    return (*ratios, (between, between))
