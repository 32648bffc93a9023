"""Parts that dense methods with anchors share: head, box coding, the best candidates of a tile.

Shapes: N = tiles, R = anchors of a tile, P = positive ones of a batch, C = classes, K = candidates
of a tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.losses import MatchingConfig, match_anchors
from foveate.models.anchors import AnchoredConfig, AnchorGrid
from foveate.models.backbones import Backbone
from foveate.models.method import Decoded, Method, Targets
from foveate.models.pixels import Pixels

_MOST_GROWTH = math.log(1000 / 16)
"""Of a box over its anchor, logarithm [S: Faster R-CNN's code]: exp must not overflow."""
_LEAST_SIDE = 1e-2
"""Of a box that is encoded, network pixels."""


class AnchoredMethod(Method):
    """A method with a backbone and anchors, and what every one of them takes from its settings.

    Args:
        config: Settings; anchors are given or default.
        class_count: C.
        backbone: Gives the maps.
    """

    def __init__(self, config: AnchoredConfig, class_count: int, backbone: Backbone) -> None:
        super().__init__()
        self.class_count, self.backbone = class_count, backbone
        self.anchors = AnchorGrid(config.anchor_sizes, config.level_strides)
        self.strides = config.level_strides
        self.size_multiple = self.backbone.strides[-1]
        self.candidates = config.candidates
        self.suppression = config.suppression
        self.max_detections = config.max_detections
        self.mean, self.std = self.backbone.mean, self.backbone.std
        self.pixels = Pixels(self.mean, self.std, config.exposure)

    def backbone_parameters(self) -> list[nn.Parameter]:
        """The backbone's parameters."""
        return list(self.backbone.parameters())


class Dense(NamedTuple):
    """Raw outputs of a method that judges every anchor.

    Attributes:
        logits: ``(N, R, C)``.
        deltas: ``(N, R, 4)``: see `encode_boxes`.
        anchors: ``(R, 4)`` xyxy network pixels.
        counts: Anchors of each level, finest first; R in all.
    """

    logits: Tensor
    deltas: Tensor
    anchors: Tensor
    counts: tuple[int, ...]


class Lesson(NamedTuple):
    """What the anchors of a batch are taught.

    Attributes:
        positive: ``(N, R)`` bool: has a box to learn.
        taught: ``(N, R)`` bool: learns its class, or that there is none.
        classes: ``(N, R, C)`` float32, 0 or 1.
        deltas: ``(P, 4)``: the boxes of the positive ones, see `encode_boxes`.
    """

    positive: Tensor
    taught: Tensor
    classes: Tensor
    deltas: Tensor


def assign_anchors(outputs: Dense, targets: list[Targets], config: MatchingConfig) -> Lesson:
    """Give the anchors of every tile to its objects (see `match_anchors`)."""
    matches = [match_anchors(outputs.anchors, t.boxes, t.ignore, config) for t in targets]
    positive = torch.stack([match.positive for match in matches])
    taught = torch.stack([match.taught for match in matches])
    classes = torch.zeros_like(outputs.logits)
    owned = []
    for row, (match, target) in enumerate(zip(matches, targets, strict=True)):
        owner = match.owner[match.positive]
        classes[row, match.positive.nonzero()[:, 0], target.labels[owner]] = 1.0
        owned.append(encode_boxes(target.boxes[owner], outputs.anchors[match.positive]))
    return Lesson(positive, taught, classes, torch.cat(owned))


def subnet(width: int, outputs: int, depth: int, bias: float = 0.0) -> nn.Sequential:
    """`depth` 3x3 convolutions with ReLU and one without: a head that levels share.

    No batch norm: levels have statistics of their own [S: Lin 2017]. The last layer starts at
    `bias` with weights of deviation .01 [S]; the others as He 2015, where the paper has .01 for
    256 channels [D: at fewer it lets nothing through].

    Args:
        width: Channels of the input and within.
        outputs: Channels of the output.
        depth: Convolutions before the last.
        bias: Of the last.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [_he_conv(width), nn.ReLU(inplace=True)]
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers, last)


def _he_conv(width: int) -> nn.Conv2d:
    conv = nn.Conv2d(width, width, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def prior_bias(prior: float) -> float:
    """The logit at which a sigmoid gives `prior`."""
    return -math.log((1 - prior) / prior)


def anchor_rows(maps: Sequence[Tensor], values: int) -> Tensor:
    """Maps of ``(N, A * values, h, w)`` as one row an anchor, ``(N, R, values)`` float32.

    The rows are in the order of `AnchorGrid`.
    """
    rows = [level.permute(0, 2, 3, 1).reshape(level.shape[0], -1, values) for level in maps]
    return torch.cat(rows, dim=1).float()


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Where boxes lie from their anchors (Girshick 2014 [S]), paired.

    Args:
        boxes: ``(..., 4)`` xyxy.
        anchors: ``(..., 4)`` xyxy.

    Returns:
        ``(..., 4)``: centre's offset in units of the anchor's sides, logarithm of the sides' ratio.
    """
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=_LEAST_SIDE)
    anchor_size = anchors[..., 2:] - anchors[..., :2]
    offset = (boxes[..., :2] + boxes[..., 2:] - anchors[..., :2] - anchors[..., 2:]) / 2
    return torch.cat([offset / anchor_size, (size / anchor_size).log()], dim=-1)


def decode_boxes(deltas: Tensor, anchors: Tensor) -> Tensor:
    """The boxes, ``(..., 4)`` xyxy, that `encode_boxes` gives `deltas` for."""
    anchor_size = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., :2] + anchors[..., 2:]) / 2 + deltas[..., :2] * anchor_size
    growth = deltas[..., 2:].clamp(-_MOST_GROWTH, _MOST_GROWTH)
    half = growth.exp() * anchor_size / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def best_candidates(outputs: Dense, count: int) -> Decoded:
    """The `count` most probable pairs of anchor and class, of all levels alike, best first.

    [D] The paper takes 1000 of each level before suppression; which level is no matter here.
    """
    classes = outputs.logits.shape[2]
    # As many empty rows, so that a small tile still has enough to choose from.
    logits = functional.pad(outputs.logits.flatten(1), (0, count), value=-torch.inf)
    best, index = logits.topk(count, dim=1)  # (N, K)
    row = (index // classes)[..., None].expand(-1, -1, 4)
    deltas = functional.pad(outputs.deltas, (0, 0, 0, count)).gather(1, row)
    anchors = functional.pad(outputs.anchors, (0, 0, 0, count))
    boxes = decode_boxes(deltas, anchors.expand(deltas.shape[0], -1, -1).gather(1, row))
    return Decoded(boxes, best.sigmoid(), index % classes)
