"""retinanet: one-stage, anchors on a feature pyramid, focal loss.

Paper: Lin 2017, "Focal Loss for Dense Object Detection" (arXiv:1708.02002 [S]): a dense detector is
held back by its many easy negatives; a loss that turns from what is known lets it learn from all of
its anchors. Two unshared subnets of four 3x3 convolutions run over P3 to P7; nine anchors a cell
(32 to 512 px, at three sizes an octave and ratios 1:2, 1:1, 2:1); an anchor is positive from an IoU
of .5, negative below .4; the focal loss of all anchors is divided by the number of positive ones;
boxes learn by smooth L1; an untrained anchor gives an object with a probability of .01; suppression
at an IoU of .5.

Ours [D]: EfficientNet-Lite0 at 96 channels instead of ResNet at 256, for a processor; batch norm in
the pyramid; a best anchor for every box (`matching.best`), without which an object far smaller than
every anchor would teach nothing; anchors fitted to the data (`anchors: auto`), as in the shipped
recipe. For tiny objects: P2, by `backbone.strides: [4, 8, 16, 32]`, whose many anchors drown the
others' unless levels are weighed again (`coarse_weight`; Yang 2022, QueryDet, arXiv:2103.09136:
AP 37.5 falls to 36.1 with P2 alone and rises to 38.1 with weights [S]); and assignment by NWD
(`matching.metric`).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from foveate.losses import FocalConfig, MatchingConfig, focal_loss
from foveate.models.anchors import (
    NATURAL_SIDE,
    AnchoredConfig,
    AnchorLevels,
    with_further,
)
from foveate.models.backbones import Backbone
from foveate.models.dense import (
    AnchoredMethod,
    Dense,
    anchor_rows,
    assign_anchors,
    best_candidates,
    prior_bias,
    subnet,
)
from foveate.models.method import Decoded, Targets
from foveate.models.pyramid import Pyramid

_OCTAVES = (1, 2 ** (1 / 3), 2 ** (2 / 3))
_RATIOS = (0.5, 1.0, 2.0)


class RetinaNetConfig(AnchoredConfig):
    """Settings of `RetinaNet`.

    Attributes:
        name: The row of `METHODS`.
        width: Channels of the pyramid and the subnets.
        extra_levels: Coarser levels on top of the backbone's: P6 and P7.
        head_convs: Convolutions of a subnet before its last.
        prior: Probability of an object that an untrained anchor gives.
        focal: The class loss.
        matching: Which anchors learn which boxes.
        box_weight: Weight of the box loss.
        box_beta: Where smooth L1 turns from square to straight, in units of the box coding.
        coarse_weight: Weight of the coarsest level's losses, the finest's being 1 and the others'
            in between. 1 weighs all alike; with P2, 3 is QueryDet's [M].
    """

    name: Literal["retinanet"] = "retinanet"
    width: int = Field(default=96, ge=8)
    extra_levels: int = Field(default=2, ge=0, le=3)
    head_convs: int = Field(default=4, ge=0, le=8)
    prior: float = Field(default=0.01, gt=0, lt=1)
    focal: FocalConfig = FocalConfig()
    matching: MatchingConfig = MatchingConfig()
    box_weight: float = Field(default=1.0, gt=0)
    box_beta: float = Field(default=0.1, gt=0)
    coarse_weight: float = Field(default=1.0, gt=0)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the pyramid's levels, network pixels, finest first."""
        return with_further(self.backbone.strides, self.extra_levels)

    @property
    def default_anchors(self) -> AnchorLevels:
        """Nine a level: three sizes an octave, three ratios of height to width."""
        shapes = [(size * r**-0.5, size * r**0.5) for size in _OCTAVES for r in _RATIOS]
        return tuple(
            tuple((NATURAL_SIDE * stride * w, NATURAL_SIDE * stride * h) for w, h in shapes)
            for stride in self.level_strides
        )


class RetinaNet(AnchoredMethod):
    """Pyramid, two subnets over its levels, focal loss; see the module's docstring."""

    def __init__(self, config: RetinaNetConfig, class_count: int, channels: int = 3) -> None:
        super().__init__(config, class_count, Backbone(config.backbone, channels))
        self.config = config
        self.neck = Pyramid(self.backbone.channels, config.width, config.extra_levels)
        of_cell, bias = self.anchors.per_cell, prior_bias(config.prior)
        self.classify = subnet(config.width, of_cell * class_count, config.head_convs, bias)
        self.regress = subnet(config.width, of_cell * 4, config.head_convs)

    def forward(self, images: Tensor) -> Dense:
        """Judge every anchor of ``(N, H, W, channels)`` uint8 images."""
        levels = self.neck(self.backbone(self.pixels(images)))
        return Dense(
            anchor_rows([self.classify(level) for level in levels], self.class_count),
            anchor_rows([self.regress(level) for level in levels], 4),
            self.anchors(levels),
            tuple(level.shape[2] * level.shape[3] * self.anchors.per_cell for level in levels),
        )

    def decode(self, outputs: Dense) -> Decoded:
        """The best candidates of all levels, several an object."""
        return best_candidates(outputs, self.candidates)

    def loss(self, outputs: Dense, targets: list[Targets]) -> dict[str, Tensor]:
        """Class and box loss, per positive anchor of the batch."""
        config, focal = self.config, self.config.focal
        lesson = assign_anchors(outputs, targets, config.matching)
        total = lesson.positive.sum().clamp(min=1)
        weight = self._level_weights(outputs).expand_as(lesson.taught)  # (N, R)
        classes = focal_loss(outputs.logits, lesson.classes, gamma=focal.gamma, alpha=focal.alpha)
        boxes = functional.smooth_l1_loss(
            outputs.deltas[lesson.positive], lesson.deltas, beta=config.box_beta, reduction="none"
        )  # (P, 4)
        box = (boxes.sum(dim=1) * weight[lesson.positive]).sum() / total
        return {
            "class": (classes.sum(dim=2) * lesson.taught * weight).sum() / total,
            "box": config.box_weight * box,
        }

    def _level_weights(self, outputs: Dense) -> Tensor:
        """Of each anchor by its level, ``(R,)``."""
        device = outputs.anchors.device
        steps = torch.linspace(1, self.config.coarse_weight, len(outputs.counts), device=device)
        return steps.repeat_interleave(torch.tensor(outputs.counts, device=device))
