"""Which anchors learn which boxes: by overlap, with a best anchor for every box.

Shapes: R = anchors of one tile, G = objects, M = ignored places.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor

from foveate.config import Config

_COVERED = 0.5
"""Share of an anchor within an ignored place from which it teaches nothing."""
_TIED = 1 - 1e-4
"""Overlaps this close to the best count as equal: the same box, some cells further on."""


class MatchingConfig(Config):
    """How anchors are given to boxes.

    Attributes:
        metric: `iou`, or `nwd`, the normalised Wasserstein distance of boxes as Gaussians, which
            tells near from far also where tiny boxes do not overlap (Wang 2021, arXiv:2110.13389).
        nwd_constant: Its C, network pixels: about the size of the objects.
        positive: From this overlap an anchor learns the box.
        negative: Below this overlap with every box it learns that nothing is there; between the
            two it learns nothing.
        best: The best anchor of a box learns it too if their overlap is above this; 1 switches
            the rule off.
    """

    metric: Literal["iou", "nwd"] = "iou"
    nwd_constant: float = Field(default=12.8, gt=0)
    positive: float = Field(default=0.5, gt=0, le=1)
    negative: float = Field(default=0.4, gt=0, le=1)
    best: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> MatchingConfig:
        if self.negative > self.positive:
            raise ValueError(f"negative must be at most positive ({self.positive:g}), "
                             f"got {self.negative:g}")  # fmt: skip
        return self


class Matching(NamedTuple):
    """What each anchor is taught.

    Attributes:
        owner: ``(R,)`` int64: the box that a positive anchor learns; any where it is not.
        positive: ``(R,)`` bool.
        taught: ``(R,)`` bool: False for the undecided and the ignored.
    """

    owner: Tensor
    positive: Tensor
    taught: Tensor


def match_anchors(
    anchors: Tensor, boxes: Tensor, ignore: Tensor, config: MatchingConfig
) -> Matching:
    """Give anchors to boxes.

    An anchor goes to the box that it overlaps most; the best anchor of a box goes to that box, the
    nearest of several best ones, and to the box that overlaps it more where two want it. An ignored
    place teaches nothing to anchors that lie in it, nor to those that would match it as an object.

    Args:
        anchors: ``(R, 4)`` xyxy network pixels.
        boxes: ``(G, 4)`` likewise; G may be 0.
        ignore: ``(M, 4)`` likewise; M may be 0.
        config: Thresholds and metric.
    """
    taught = ~_is_ignored(anchors, ignore, config)
    if not len(boxes):
        none = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
        return Matching(none, none.bool(), taught)
    overlap = _overlap(boxes, anchors, config)  # (G, R)
    highest, owner = overlap.max(dim=0)
    claim, claimant = _claims(overlap, boxes, anchors, config.best).max(dim=0)
    owner = torch.where(claim > 0, claimant, owner)
    positive = (highest >= config.positive) | (claim > 0)
    return Matching(owner, positive, positive | (taught & (highest < config.negative)))


def _claims(overlap: Tensor, boxes: Tensor, anchors: Tensor, least: float) -> Tensor:
    """The overlap of each box with its best anchor, ``(G, R)``; 0 with all others."""
    best = overlap.amax(dim=1, keepdim=True)  # (G, 1)
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (boxes, anchors)]
    away = _distance(*centres).masked_fill(overlap < best * _TIED, torch.inf)
    nearest = away.argmin(dim=1, keepdim=True)  # (G, 1)
    claims = torch.zeros_like(overlap)
    return claims.scatter(1, nearest, torch.where(best > least, best, 0.0))


def _is_ignored(anchors: Tensor, ignore: Tensor, config: MatchingConfig) -> Tensor:
    """Which anchors an ignored place keeps from learning, ``(R,)`` bool."""
    if not len(ignore):
        return torch.zeros(len(anchors), dtype=torch.bool, device=anchors.device)
    within = _intersection(ignore, anchors) / _area(anchors)  # (M, R)
    alike = _overlap(ignore, anchors, config) >= config.negative
    return ((within >= _COVERED) | alike).any(dim=0)


def _overlap(boxes_a: Tensor, boxes_b: Tensor, config: MatchingConfig) -> Tensor:
    """By the metric, pairwise, ``(A, B)`` in ``[0, 1]``."""
    if config.metric == "nwd":
        # Centre and half sides: the distance of two Gaussians is that of these four numbers.
        a, b = (
            torch.cat([(x[:, :2] + x[:, 2:]) / 2, (x[:, 2:] - x[:, :2]) / 2], dim=1)
            for x in (boxes_a, boxes_b)
        )
        return torch.exp(-_distance(a, b) / config.nwd_constant)
    common = _intersection(boxes_a, boxes_b)
    return common / (_area(boxes_a)[:, None] + _area(boxes_b)[None] - common).clamp(min=1e-6)


def _intersection(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Areas, pairwise, ``(A, B)``."""
    low = torch.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = torch.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    return (high - low).clamp(min=0).prod(-1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean, pairwise; exact, where torch's default for many rows is not."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
