"""tiny-faces: one-stage, templates that see far beyond their object, for a pyramid of scales.

Paper: Hu & Ramanan 2017, "Finding Tiny Faces" (arXiv:1612.04402 [S]): a tiny object is known by
what surrounds it, so that a template of a few pixels looks at hundreds; and it is found in the
enlarged picture, where it has the size of the objects that the backbone was pretrained on, 40 to
140 px. 25 templates a cell, K-medoids of the objects by IoU, of at least 10 px; a 1x1 predictor on
the stride-8 map and one on the stride-16 map, whose scores are doubled by a fixed bilinear filter
and added; each gives 25 * (1 + 4) values. Tiles are shown at half, once or twice the size with a
third of probability each; a template is positive from an IoU of .7, negative below .3, and the best
of an object is positive above .3; logistic and Huber loss; of the templates whose loss is at least
.03 at most 128 positive and 128 negative ones a picture learn. At test an image pyramid:
objects under 40 px are taken from the picture twice enlarged, those over 140 px from half of it.
Suppression at an IoU of .3. AP on WIDER FACE test, easy, medium, hard: .924, .911, .820; the best
rival, hard: .643.

Context [S: what the paper ablates]: with `context` a cell of the default backbone sees 355 px
across, and without it, from the stride-8 map alone, 67 px (measured by gradient; before any
training 28 % and 100 % of the gradient come from the 80 px around the cell, 74 % and 100 % from the
160 px). The control has the same templates and losses, and fewer layers: what depth brings and what
the wide view brings cannot be told apart.

Ours [D]: any classes, each with a logit of its own; EfficientNet-Lite0 in place of ResNet-101
without res5, whose maps have 40 and 112 channels without a ReLU where ResNet's have 512 and 1024
with one: a 1x1 convolution to `width` with batch norm and ReLU goes before each predictor, without
which boxes learn far more slowly; templates fitted to objects of the sizes that the recipe's
`pyramid` shows them at (`anchors: auto`), where the paper clusters first and gives each cluster a
scale after; the pyramid is a setting of the recipe, for any method, and travels in the model file.
Of what is hard the hardest learn, where the paper draws at random. Predictors start at a deviation
of .01 and at `prior`, where the paper starts at zero: with zeros the backbone learns nothing in the
first step. The stride-8 predictor learns at the rate of the other, where the paper gives it a
tenth: AdamW takes steps of one size whatever the size of the gradient. The losses are per positive
template of the batch; all positive ones learn their boxes, mined or not. An object that is unlike
every template at the scale shown (IoU under .3) is background there, as in the paper: another scale
finds it.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from foveate.losses import FocalConfig, MatchingConfig, focal_loss, hardest
from foveate.models.anchors import AnchoredConfig, AnchorLevels
from foveate.models.backbones import Backbone, BackboneConfig
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
from foveate.models.pyramid import conv_block

_LEAST_SIDE = 10.0
"""Of a template, network pixels [S]."""
_STEPS = 8
"""Half octaves of the default templates' sides: 10 to 160 px."""


class TinyFacesConfig(AnchoredConfig):
    """Settings of `TinyFaces`.

    Attributes:
        name: The row of `METHODS`.
        backbone: Its two strides are those of the predictors.
        width: Channels that a 1x1 convolution with batch norm and ReLU makes of each map before the
            predictors; 0 leaves it out, for backbones with wide maps.
        context: Add the scores of the coarser map, which sees far; without is the control.
        prior: Probability of an object that an untrained template gives.
        matching: Which templates learn which boxes.
        class_loss: `hard-mining` is the logistic loss of the hardest; `focal` that of all.
        mined: Most positive, and most negative, templates of a picture that learn their class.
        least_loss: A template whose greatest logistic loss of any class is less is left alone.
        focal: The class loss if it is `focal`.
        box_weight: Weight of the box loss.
        box_beta: Where the Huber loss turns from square to straight, in units of the box coding.
        anchor_fit: How `auto` fits, by a row of `foveate.data.anchors.ANCHOR_FITS`.
        anchors_per_level: How many templates `auto` gives.
        least_anchor: Least side that `auto` gives, network pixels.
        suppression: Of two boxes of one class and tile that overlap by this IoU, the better stays.
    """

    name: Literal["tiny-faces"] = "tiny-faces"
    backbone: BackboneConfig = BackboneConfig(strides=(8, 16))
    width: int = Field(default=256, ge=0)
    context: bool = True
    prior: float = Field(default=0.01, gt=0, lt=1)
    matching: MatchingConfig = MatchingConfig(positive=0.7, negative=0.3, best=0.3)
    class_loss: Literal["hard-mining", "focal"] = "hard-mining"
    mined: int = Field(default=128, ge=1)
    least_loss: float = Field(default=0.03, ge=0)
    focal: FocalConfig = FocalConfig()
    box_weight: float = Field(default=1.0, gt=0)
    box_beta: float = Field(default=0.1, gt=0)
    anchor_fit: Literal["kmeans", "kmedoids"] = "kmedoids"
    anchors_per_level: int = Field(default=25, ge=1, le=32)
    least_anchor: float = Field(default=_LEAST_SIDE, gt=0)
    suppression: float = Field(default=0.3, gt=0, le=1)

    @model_validator(mode="after")
    def _has_two_maps(self) -> TinyFacesConfig:
        strides = self.backbone.strides
        if len(strides) != 2:
            raise ValueError("backbone.strides: expected two, such as 8, 16; got "
                             f"{', '.join(map(str, strides))}")  # fmt: skip
        return self

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the one map that has templates, network pixels."""
        return self.backbone.strides[:1]

    @property
    def default_anchors(self) -> AnchorLevels:
        """25: squares every half octave from 10 to 160 px; 1:2 and 2:1 half-way between [D].

        Any square of 10 to 160 px is within an IoU of .7 of one of them.
        """
        squares = [_LEAST_SIDE * 2 ** (step / 2) for step in range(_STEPS + 1)]
        oblong = [side * 2**0.25 for side in squares[:-1]]
        sizes = [(side, side) for side in squares]
        sizes += [(side * r**0.5, side * r**-0.5) for side in oblong for r in (0.5, 2.0)]
        return (tuple((max(w, _LEAST_SIDE), max(h, _LEAST_SIDE)) for w, h in sizes),)


class TinyFaces(AnchoredMethod):
    """Templates on one map, judged from two; see the module's docstring."""

    def __init__(self, config: TinyFacesConfig, class_count: int, channels: int = 3) -> None:
        used = config.backbone.strides if config.context else config.level_strides
        backbone = config.backbone.model_copy(update={"strides": used})
        super().__init__(config, class_count, Backbone(backbone, channels))
        self.config = config
        of_class = self.anchors.per_cell * class_count
        self.outputs = (of_class, self.anchors.per_cell * 4)
        self.predict = nn.ModuleList(
            [_predictor(c, config.width, self.outputs) for c in self.backbone.channels]
        )
        last: nn.Conv2d = self.predict[0][-1]  # type: ignore[index]
        nn.init.constant_(last.bias[:of_class], prior_bias(config.prior))  # type: ignore[index]

    def forward(self, images: Tensor) -> Dense:
        """Judge every template at every cell of ``(N, H, W, channels)`` uint8 images."""
        return self.judge(self.pixels(images))

    def judge(self, pixels: Tensor) -> Dense:
        """The same for normalised pixels, ``(N, channels, H, W)`` float32."""
        features = self.backbone(pixels)
        values, *far = [of(map_) for of, map_ in zip(self.predict, features, strict=True)]
        if far:
            wide = functional.interpolate(far[0], scale_factor=2.0, mode="bilinear")
            values = values + wide
        logits, deltas = values.split(self.outputs, dim=1)
        anchors = self.anchors([values])
        return Dense(
            anchor_rows([logits], self.class_count),
            anchor_rows([deltas], 4),
            anchors,
            (values.shape[2] * values.shape[3] * self.anchors.per_cell,),
        )

    def decode(self, outputs: Dense) -> Decoded:
        """The best candidates, several an object."""
        return best_candidates(outputs, self.candidates)

    def loss(self, outputs: Dense, targets: list[Targets]) -> dict[str, Tensor]:
        """Class and box loss, per positive template of the batch."""
        lesson = assign_anchors(outputs, targets, self.config.matching)
        total = lesson.positive.sum().clamp(min=1)
        of_class = self._focal if self.config.class_loss == "focal" else self._mined
        box = functional.smooth_l1_loss(
            outputs.deltas[lesson.positive],
            lesson.deltas,
            beta=self.config.box_beta,
            reduction="sum",
        )
        return {
            "class": of_class(outputs.logits, lesson) / total,
            "box": self.config.box_weight * box / total,
        }

    def _focal(self, logits: Tensor, lesson: Lesson) -> Tensor:
        """Focal loss of all that are taught, summed."""
        focal = self.config.focal
        each = focal_loss(logits, lesson.classes, gamma=focal.gamma, alpha=focal.alpha)
        return (each.sum(dim=2) * lesson.taught).sum()

    def _mined(self, logits: Tensor, lesson: Lesson) -> Tensor:
        """Logistic loss of the hardest positive and negative ones of each tile, summed."""
        each = functional.binary_cross_entropy_with_logits(
            logits, lesson.classes, reduction="none"
        )  # (N, R, C)
        worst = each.detach().amax(dim=2)  # (N, R)
        most = torch.full((len(worst),), self.config.mined, device=worst.device)
        hard = lesson.taught & (worst >= self.config.least_loss)
        chosen = hardest(worst, hard & lesson.positive, most)
        chosen |= hardest(worst, hard & ~lesson.positive, most)
        return (each.sum(dim=2) * chosen).sum()


def _predictor(channels: int, width: int, outputs: tuple[int, int]) -> nn.Sequential:
    """From a map to the class logits and the box deltas of every template; no wider a view."""
    before = [conv_block(channels, width, kernel=1)] if width else []
    last = nn.Conv2d(width or channels, sum(outputs), 1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(*before, last)
