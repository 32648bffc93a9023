"""yolov3: one-stage, one prior for every object, objectness apart from classes.

Paper: Redmon 2018, "YOLOv3: An Incremental Improvement" (arXiv:1804.02767 [S]), with what only its
code says (darknet, yolov3.cfg and yolo_layer.c [S]). Three maps, of strides 8, 16 and 32; on the
way down a coarser map is doubled and concatenated to the finer. A cell has three priors, and of
each four numbers of the box, objectness, and a logistic output for every class:
bx = sigmoid(tx) + cx, bw = pw exp(tw). An object goes to one prior, that of all levels most like it
in shape, in the cell of its centre; other priors that find it (IoU above .5 in the paper, .7 in the
cfg: `ignore_iou`) are left in peace, and all others learn that nothing is there. Boxes learn from
the difference of t to what it should be, twice as much for the smallest as for one that fills the
picture (2 - w h); nine priors come from COCO at 416 px; suppression at an IoU of .45. The score is
objectness times the probability of the class.

Its authors saw focal loss cost it 2 AP [S], perhaps because objectness already sorts out the many
easy negatives; `class_loss: focal` is there to measure that.

Ours [D]: EfficientNet-Lite0 with 96 channels at every level, where darknet has 512, 256 and 128,
and ReLU; the losses are divided by the number of objects; objectness starts at `prior`; a box is
bounded in its growth over its prior; `box_loss: giou` (Rezatofighi 2019, arXiv:1902.09630); anchors
fitted to the data (`anchors: auto`), as in the shipped recipe. For tiny objects: a fourth head, by
`backbone.strides: [4, 8, 16, 32]`, which darknet advises for objects below 16 px at 416 [S]; its
default priors are those of stride 8, halved.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from foveate.data.anchors import YOLOV3_ANCHORS
from foveate.losses import (
    FocalConfig,
    PriorGrid,
    focal_loss,
    match_priors,
    paired_iou_and_giou,
)
from foveate.models.anchors import AnchoredConfig, AnchorLevels
from foveate.models.backbones import Backbone
from foveate.models.dense import (
    AnchoredMethod,
    Dense,
    anchor_rows,
    best_candidates,
    decode_boxes,
    encode_boxes,
    prior_bias,
)
from foveate.models.method import Decoded, Targets
from foveate.models.pyramid import ConcatPyramid, conv_block

_STRIDES = (8, 16, 32)
_OF_LEVEL = 3


class YOLOv3Config(AnchoredConfig):
    """Settings of `YOLOv3`.

    Attributes:
        name: The row of `METHODS`.
        suppression: Of two boxes of one class and tile that overlap by this IoU, the better stays
            (darknet: .45 [M]).
        width: Channels that leave a level; its 3x3 convolutions have twice as many.
        neck_pairs: Pairs of 3x3 and 1x1 convolutions of a level before its head (darknet: 2 [S]).
        prior: Objectness of an untrained prior; darknet's is .5.
        ignore_iou: A prior that finds an object which is another's, by more than this IoU, does not
            learn that nothing is there: .7 in darknet's cfg [S], .5 in the paper [S].
        class_loss: Of objectness and classes.
        focal: Where `class_loss` is `focal`.
        box_loss: Of t as in the paper, or of the boxes themselves.
        objectness_weight: Weight of the objectness loss.
        class_weight: Weight of the class loss.
        box_weight: Weight of the box loss.
    """

    name: Literal["yolov3"] = "yolov3"
    suppression: float = Field(default=0.45, gt=0, le=1)
    width: int = Field(default=96, ge=8)
    neck_pairs: int = Field(default=2, ge=0, le=4)
    prior: float = Field(default=0.01, gt=0, lt=1)
    ignore_iou: float = Field(default=0.7, gt=0, le=1)
    class_loss: Literal["cross-entropy", "focal"] = "cross-entropy"
    focal: FocalConfig = FocalConfig()
    box_loss: Literal["squared", "giou"] = "squared"
    objectness_weight: float = Field(default=1.0, gt=0)
    class_weight: float = Field(default=1.0, gt=0)
    box_weight: float = Field(default=1.0, gt=0)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Of the heads, network pixels, finest first."""
        return self.backbone.strides

    @property
    def default_anchors(self) -> AnchorLevels:
        """Three a level: darknet's for strides 8, 16 and 32; for others the nearest's, scaled."""
        return tuple(_default_anchors(stride) for stride in self.level_strides)


class Priors(NamedTuple):
    """Raw outputs. R = priors of a tile, L = levels.

    Attributes:
        offsets: ``(N, R, 4)``: the paper's tx, ty, tw, th.
        objectness: ``(N, R)`` logits.
        classes: ``(N, R, C)`` logits.
        anchors: ``(R, 4)`` xyxy network pixels: the priors around their cells' centres.
        cells: ``(R, 1)``: side of the prior's cell, network pixels.
        shapes: Height and width of each level, cells, finest first.
    """

    offsets: Tensor
    objectness: Tensor
    classes: Tensor
    anchors: Tensor
    cells: Tensor
    shapes: tuple[tuple[int, int], ...]


class YOLOv3(AnchoredMethod):
    """Concatenating pyramid, a head a level, one prior an object; see the module's docstring."""

    def __init__(self, config: YOLOv3Config, class_count: int, channels: int = 3) -> None:
        super().__init__(config, class_count, Backbone(config.backbone, channels))
        self.config = config
        self.neck = ConcatPyramid(self.backbone.channels, config.width, config.neck_pairs)
        self.heads = nn.ModuleList(
            [_head(config, self.anchors.per_cell, class_count) for _ in self.strides]
        )

    def forward(self, images: Tensor) -> Priors:
        """What every prior says of ``(N, H, W, channels)`` uint8 images."""
        levels = self.neck(self.backbone(self.pixels(images)))
        maps = [head(level) for head, level in zip(self.heads, levels, strict=True)]
        rows = anchor_rows(maps, 5 + self.class_count)
        anchors, shapes = self.anchors(maps), tuple((m.shape[2], m.shape[3]) for m in maps)
        cells = torch.cat(
            [
                anchors.new_full((height * width * self.anchors.per_cell, 1), stride)
                for (height, width), stride in zip(shapes, self.strides, strict=True)
            ]
        )
        return Priors(rows[..., :4], rows[..., 4], rows[..., 5:], anchors, cells, shapes)

    def decode(self, outputs: Priors) -> Decoded:
        """The best pairs of prior and class by objectness times probability of the class."""
        objectness = outputs.objectness[..., None].expand_as(outputs.classes)
        return best_candidates(
            Dense(
                _logit_of_both(objectness, outputs.classes),
                _deltas(outputs),
                outputs.anchors,
                tuple(h * w * self.anchors.per_cell for h, w in outputs.shapes),
            ),
            self.candidates,
        )

    def loss(self, outputs: Priors, targets: list[Targets]) -> dict[str, Tensor]:
        """Objectness, class and box loss, per object of the batch that has a prior."""
        config = self.config
        boxes = decode_boxes(_deltas(outputs), outputs.anchors)  # (N, R, 4)
        grid = PriorGrid(self.anchors.sizes, self.strides, outputs.shapes)
        matches = [
            match_priors(found, t.boxes, t.ignore, grid, config.ignore_iou)
            for found, t in zip(boxes.detach(), targets, strict=True)
        ]
        positive = torch.stack([match.positive for match in matches])  # (N, R)
        taught = torch.stack([match.taught for match in matches])
        owners = [match.owner[match.positive] for match in matches]
        labels = torch.cat([t.labels[o] for t, o in zip(targets, owners, strict=True)])  # (P,)
        wanted = torch.cat([t.boxes[o] for t, o in zip(targets, owners, strict=True)])  # (P, 4)
        total = positive.sum().clamp(min=1)
        objectness = self._binary_loss(outputs.objectness, positive.float()) * taught
        classes = self._binary_loss(
            outputs.classes[positive], functional.one_hot(labels, self.class_count).float()
        )
        box = self._box_loss(outputs, boxes, positive, wanted) * self._box_weights(outputs, wanted)
        return {
            "objectness": config.objectness_weight * objectness.sum() / total,
            "class": config.class_weight * classes.sum() / total,
            "box": config.box_weight * box.sum() / total,
        }

    def _binary_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Elementwise."""
        if self.config.class_loss == "focal":
            focal = self.config.focal
            return focal_loss(logits, targets, gamma=focal.gamma, alpha=focal.alpha)
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    def _box_loss(self, outputs: Priors, boxes: Tensor, positive: Tensor, wanted: Tensor) -> Tensor:
        """Of each positive prior, ``(P,)``; `boxes` ``(N, R, 4)`` is what is found."""
        if self.config.box_loss == "giou":
            return 1 - paired_iou_and_giou(boxes[positive], wanted)[1]
        row = positive.nonzero()[:, 1]
        place, growth = _wanted_offsets(wanted, outputs.anchors[row], outputs.cells[row])
        found = outputs.offsets[positive]
        # In darknet the gradient at tx is sigmoid(tx) less the target, past the sigmoid: that of a
        # cross-entropy. Less the target's own entropy, so that a box that is right costs nothing.
        entropy: Tensor = torch.special.entr(place) + torch.special.entr(1 - place)
        cross = functional.binary_cross_entropy_with_logits(found[:, :2], place, reduction="none")
        return (cross - entropy).sum(dim=1) + (found[:, 2:] - growth).square().sum(dim=1) / 2

    def _box_weights(self, outputs: Priors, wanted: Tensor) -> Tensor:
        """Twice as much for the smallest box as for one that fills the tile, ``(P,)``."""
        (height, width), stride = outputs.shapes[0], self.strides[0]
        share = (wanted[:, 2:] - wanted[:, :2]).prod(dim=1) / (height * width * stride**2)
        return 2 - share.clamp(max=1)


def _default_anchors(stride: int) -> tuple[tuple[float, float], ...]:
    """Those of the nearest stride that darknet has, in proportion [D]."""
    level = min(range(len(_STRIDES)), key=lambda i: abs(math.log(stride / _STRIDES[i])))
    sizes = YOLOV3_ANCHORS[level * _OF_LEVEL : (level + 1) * _OF_LEVEL] * stride / _STRIDES[level]
    return tuple((float(w), float(h)) for w, h in sizes)


def _head(config: YOLOv3Config, per_cell: int, class_count: int) -> nn.Sequential:
    """A level's own 3x3 convolution and its outputs: of each prior t, objectness, classes."""
    values = 5 + class_count
    last = nn.Conv2d(2 * config.width, per_cell * values, 1)
    nn.init.normal_(last.weight, std=0.01)
    bias = torch.zeros(per_cell, values)
    bias[:, 4] = prior_bias(config.prior)
    last.bias = nn.Parameter(bias.flatten())
    return nn.Sequential(conv_block(config.width, 2 * config.width), last)


def _deltas(outputs: Priors) -> Tensor:
    """The boxes as `decode_boxes` wants them, ``(N, R, 4)``: a centre stays in its cell."""
    size = outputs.anchors[:, 2:] - outputs.anchors[:, :2]
    shift = (outputs.offsets[..., :2].sigmoid() - 0.5) * outputs.cells / size
    return torch.cat([shift, outputs.offsets[..., 2:]], dim=-1)


def _wanted_offsets(boxes: Tensor, anchors: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """What sigmoid(txy) in ``[0, 1]`` and twh should be of the priors' boxes, ``(P, 2)`` each."""
    deltas = encode_boxes(boxes, anchors)
    place = deltas[:, :2] * (anchors[:, 2:] - anchors[:, :2]) / cells + 0.5
    return place.clamp(0, 1), deltas[:, 2:]


def _logit_of_both(a: Tensor, b: Tensor) -> Tensor:
    """The logit of the product of two probabilities that are given as logits."""
    return -torch.stack([-a, -b, -a - b]).logsumexp(dim=0)
