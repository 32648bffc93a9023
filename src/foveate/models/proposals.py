"""The first stage of two-stage methods: which anchors may hold an object, whatever its class.

Ren 2015, "Faster R-CNN" (arXiv:1506.01497 [S]): a 3x3 convolution with ReLU and two 1x1 over every
map; an anchor is positive from an IoU of .7 or as the best of a box, negative below .3; the best
boxes that do not overlap by .7 go on.

Shapes: N = tiles, R = anchors of a tile, M = proposals of a tile before suppression, K = after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import nms  # type: ignore[import-untyped]

from foveate.config import Config
from foveate.losses import MatchingConfig
from foveate.models.dense import Dense, anchor_rows, assign_anchors, decode_boxes
from foveate.models.method import Targets

_ROUNDS = 16
"""Of suppression by distance: chains of boxes longer than this are cut at one in two."""
_LEAST_SIDE = 1.0
"""Of a region, network pixels: less holds nothing, and nothing can be coded from it."""


class ProposalConfig(Config):
    """The first stage: which boxes of a tile the second one looks at.

    Attributes:
        matching: Which anchors learn which boxes (paper: .7 and .3, and the best of a box [S]).
        drawn: Anchors of a tile that count in the loss, at most half of them positive [S].
        box_beta: Where smooth L1 turns from square to straight, in units of the box coding.
        box_weight: Weight of the box loss.
        considered: Best anchors of a tile, of all levels alike, that suppression chooses from.
        kept: Proposals of a tile. More than 300 for dense scenes.
        metric: How suppression measures: `iou`, or `nwd` (see `MatchingConfig`), which also finds
            two tiny boxes alike that overlap little.
        nwd_constant: Its C, network pixels: about the size of the objects.
        suppression: From this overlap with a better one a proposal is left out.
    """

    matching: MatchingConfig = MatchingConfig(positive=0.7, negative=0.3)
    drawn: int = Field(default=256, ge=2)
    box_beta: float = Field(default=0.11, gt=0)
    box_weight: float = Field(default=1.0, gt=0)
    considered: int = Field(default=1000, ge=1)
    kept: int = Field(default=300, ge=1)
    metric: Literal["iou", "nwd"] = "iou"
    nwd_constant: float = Field(default=12.8, gt=0)
    suppression: float = Field(default=0.7, gt=0, le=1)

    @model_validator(mode="after")
    def _enough_to_choose_from(self) -> ProposalConfig:
        if self.considered < self.kept:
            raise ValueError(f"considered must be at least kept ({self.kept}), "
                             f"got {self.considered}")  # fmt: skip
        return self


class Proposals(NamedTuple):
    """Where the second stage looks, best first.

    Attributes:
        boxes: ``(N, K, 4)`` xyxy network pixels, within the tile, without a gradient.
        used: ``(N, K)`` bool: False beyond the tile's last.
    """

    boxes: Tensor
    used: Tensor


class ProposalHead(nn.Module):
    """Whether each anchor has an object, and where from it; shared by the levels.

    Args:
        width: Channels of the maps and within.
        per_cell: Anchors of a cell.
    """

    def __init__(self, width: int, per_cell: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.objectness = nn.Conv2d(width, per_cell, 1)
        self.regress = nn.Conv2d(width, per_cell * 4, 1)
        for last in (self.objectness, self.regress):
            nn.init.normal_(last.weight, std=0.01)
        for conv in (self.conv, self.objectness, self.regress):
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits ``(N, R, 1)`` and deltas ``(N, R, 4)`` from ``(N, width, h, w)`` each."""
        hidden = [self.conv(level).relu() for level in levels]
        logits = anchor_rows([self.objectness(h) for h in hidden], 1)
        return logits, anchor_rows([self.regress(h) for h in hidden], 4)


def best_proposals(outputs: Dense, size: tuple[int, int], config: ProposalConfig) -> Proposals:
    """The most probable boxes of each tile, less those that overlap a better one.

    Args:
        outputs: With one class: an object.
        size: Height and width of the tile, network pixels.
        config: How many, and what overlaps.
    """
    count = config.considered
    # As many empty rows, so that a small tile still has enough to choose from.
    logits = functional.pad(outputs.logits.detach().flatten(1), (0, count), value=-torch.inf)
    best, index = logits.topk(count, dim=1)  # (N, M)
    row = index[..., None].expand(-1, -1, 4)
    deltas = functional.pad(outputs.deltas.detach(), (0, 0, 0, count)).gather(1, row)
    anchors = functional.pad(outputs.anchors, (0, 0, 0, count))
    anchors = anchors.expand(deltas.shape[0], -1, -1).gather(1, row)
    boxes = within(decode_boxes(deltas, anchors), size)  # (N, M, 4)
    if config.metric == "nwd":
        kept = apart(boxes, config.nwd_constant, config.suppression)
    else:
        kept = keep_best(boxes, best, config.suppression)
    # Those that stay, in their order; then any.
    place = count - torch.arange(count, device=best.device)
    rank, chosen = torch.where(kept & (best > -torch.inf), place, 0).topk(config.kept, dim=1)
    return Proposals(boxes.gather(1, chosen[..., None].expand(-1, -1, 4)), rank > 0)


def within(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes ``(..., 4)`` xyxy cut to a tile of height and width `size`, of a pixel's side or more.

    A box that lies beyond the tile, or is thinner than a pixel, becomes a pixel wide, which may lie
    half beyond the edge.
    """
    height, width = size
    x = boxes[..., 0::2].clamp(0, width)
    y = boxes[..., 1::2].clamp(0, height)
    corners = torch.stack([x, y], dim=-1)  # (..., 2 corners, 2 axes)
    centre = corners.mean(dim=-2)
    half = (corners[..., 1, :] - corners[..., 0, :]).clamp(min=_LEAST_SIDE) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


@torch.library.custom_op("foveate::keep_best", mutates_args=())
def keep_best(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Greedy non-maximum suppression, tile by tile.

    An operator of its own, with a result of known shape: ONNX has the like for whole batches, into
    which `foveate.export` turns it.

    Args:
        boxes: ``(N, M, 4)`` xyxy.
        scores: ``(N, M)``.
        iou: Above this intersection over union with a better box that stays, a box goes.

    Returns:
        ``(N, M)`` bool: which stay.
    """
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for tile, (its_boxes, its_scores) in enumerate(zip(boxes, scores, strict=True)):
        kept[tile, nms(its_boxes, its_scores, iou)] = True
    return kept


@keep_best.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def apart(boxes: Tensor, constant: float, threshold: float) -> Tensor:
    """The same as `keep_best` by NWD (Wang 2021, arXiv:2110.13389), for boxes that are best first.

    In rounds, in each of which a box goes if a better one that stays is like it: exact after as
    many rounds as the longest chain of boxes has links, and sixteen are made.

    Args:
        boxes: ``(N, M, 4)`` xyxy, best first.
        constant: C of the metric, in the boxes' units.
        threshold: Likeness in ``(0, 1]``.
    """
    halves = torch.cat([boxes[..., :2] + boxes[..., 2:], boxes[..., 2:] - boxes[..., :2]], -1) / 2
    squared = sum((v[:, :, None] - v[:, None, :]).square() for v in halves.unbind(-1))
    likeness = (-torch.sqrt(torch.as_tensor(squared)) / constant).exp()  # (N, M, M)
    alike = torch.triu((likeness > threshold).float(), diagonal=1)  # better, worse
    kept = torch.ones_like(alike[:, :1])  # (N, 1, M)
    for _ in range(_ROUNDS):
        kept = (kept @ alike == 0).float()
    return kept[:, 0] > 0


def proposal_losses(
    outputs: Dense, targets: list[Targets], config: ProposalConfig
) -> dict[str, Tensor]:
    """Cross-entropy of the anchors, and smooth L1 of the positive ones' boxes.

    The paper draws 256 anchors a tile at random, up to half of them positive. [D] Here every anchor
    counts by its probability to be drawn, which is what many drawings come to: no chance, and no
    dependence on the batch or the order of tiles. The box loss is per positive anchor drawn.

    Args:
        outputs: With one class: an object.
        targets: One a tile.
        config: Of the first stage.
    """
    alike = [Targets(t.boxes, torch.zeros_like(t.labels), t.ignore) for t in targets]
    lesson = assign_anchors(outputs, alike, config.matching)
    negative = lesson.taught & ~lesson.positive
    positives, negatives = lesson.positive.sum(dim=1), negative.sum(dim=1)  # (N,)
    drawn = positives.clamp(max=config.drawn // 2)
    others = torch.minimum(negatives, config.drawn - drawn)
    share = drawn / positives.clamp(min=1)  # (N,)
    weight = lesson.positive * share[:, None]
    weight = weight + negative * (others / negatives.clamp(min=1))[:, None]  # (N, R)
    each = functional.binary_cross_entropy_with_logits(
        outputs.logits, lesson.classes, reduction="none"
    )
    boxes = functional.smooth_l1_loss(
        outputs.deltas[lesson.positive], lesson.deltas, beta=config.box_beta, reduction="none"
    )  # (P, 4)
    of_positive = share[:, None].expand_as(weight)[lesson.positive]
    box = (boxes.sum(dim=1) * of_positive).sum() / drawn.sum().clamp(min=1)
    return {
        "objectness": (each[..., 0] * weight).sum() / (drawn + others).sum().clamp(min=1),
        "proposal": config.box_weight * box,
    }
