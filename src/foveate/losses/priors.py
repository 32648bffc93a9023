"""YOLO's assignment: one prior for every box, and silence where a box is found already.

Shapes: L = levels, A = priors of a cell, R = priors of one tile, G = objects, M = ignored places.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from foveate.losses.matching import Matching

_COVERED = 0.5
"""Share of a found box within an ignored place from which its prior teaches nothing."""
_LEAST_AREA = 1e-6


class PriorGrid(NamedTuple):
    """Where the priors of a tile are: level by level, row by row, cell by cell, prior by prior.

    Attributes:
        sizes: ``(L, A, 2)`` width and height, network pixels.
        strides: Of the levels, network pixels.
        shapes: Height and width of the levels, cells.
    """

    sizes: Tensor
    strides: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]


def match_priors(
    found: Tensor, boxes: Tensor, ignore: Tensor, grid: PriorGrid, ignore_iou: float
) -> Matching:
    """Give priors to boxes (Redmon 2018, arXiv:1804.02767 [S]).

    Each box goes to one prior (see `wanted_priors`); where two want the same, the one more of its
    shape gets it, and of equals the first [D: in darknet the last]. A prior without a box learns
    that nothing is there, unless what it finds overlaps a box enough. [D] An ignored place teaches
    nothing to priors whose found box lies in it, nor to the one it would be given as an object.

    Args:
        found: ``(R, 4)`` xyxy network pixels: the boxes that the priors predict.
        boxes: ``(G, 4)`` likewise; G may be 0.
        ignore: ``(M, 4)`` likewise; M may be 0.
        grid: The priors.
        ignore_iou: Above this IoU of its found box with a box a prior learns nothing.
    """
    owner = _owners(boxes, grid, len(found))
    positive = owner < len(boxes)
    silent = _overlaps(found, boxes, ignore_iou) | _in_ignored_place(found, ignore, grid)
    return Matching(torch.where(positive, owner, 0), positive, positive | ~silent)


def wanted_priors(boxes: Tensor, grid: PriorGrid) -> tuple[Tensor, Tensor]:
    """The prior of each box: of all levels the most like it in shape, at its centre's cell.

    Args:
        boxes: ``(G, 4)`` xyxy network pixels. A centre beyond the tile counts to the nearest cell.
        grid: The priors.

    Returns:
        Row of each box's prior, ``(G,)`` int64, and the IoU of the two on one centre, ``(G,)``.
    """
    device, per_cell = boxes.device, grid.sizes.shape[1]
    overlap, best = _centred_iou(boxes[:, 2:] - boxes[:, :2], grid.sizes.flatten(0, 1)).max(dim=1)
    level, kind = best // per_cell, best % per_cell
    height, width = torch.tensor(grid.shapes, device=device).unbind(1)  # (L,)
    stride = torch.tensor(grid.strides, device=device)[level]
    column, row = ((boxes[:, :2] + boxes[:, 2:]) / (2 * stride[:, None])).long().unbind(1)  # (G,)
    column = torch.minimum(column.clamp(min=0), width[level] - 1)
    row = torch.minimum(row.clamp(min=0), height[level] - 1)
    count = height * width * per_cell
    first = count.cumsum(0) - count
    return first[level] + (row * width[level] + column) * per_cell + kind, overlap


def _owners(boxes: Tensor, grid: PriorGrid, rows: int) -> Tensor:
    """The box that each prior is given, ``(rows,)``; G where it is given none."""
    owner = torch.full((rows,), len(boxes), device=boxes.device)
    if not len(boxes):
        return owner
    place, overlap = wanted_priors(boxes, grid)
    best = overlap.new_full((rows,), -1.0).scatter_reduce(0, place, overlap, "amax")
    number = torch.arange(len(boxes), device=boxes.device)
    claim = torch.where(overlap == best[place], number, len(boxes))
    return owner.scatter_reduce(0, place, claim, "amin")


def _overlaps(found: Tensor, boxes: Tensor, least: float) -> Tensor:
    """Which found boxes overlap a box by more than this IoU, ``(R,)`` bool."""
    if not len(boxes):
        return torch.zeros(len(found), dtype=torch.bool, device=found.device)
    common = _intersection(boxes, found)  # (G, R)
    union = _area(boxes)[:, None] + _area(found)[None] - common
    return (common > least * union.clamp(min=_LEAST_AREA)).any(dim=0)


def _in_ignored_place(found: Tensor, ignore: Tensor, grid: PriorGrid) -> Tensor:
    """Which priors an ignored place keeps from learning, ``(R,)`` bool."""
    if not len(ignore):
        return torch.zeros(len(found), dtype=torch.bool, device=found.device)
    within = _intersection(ignore, found) / _area(found).clamp(min=_LEAST_AREA)  # (M, R)
    covered = (within >= _COVERED).any(dim=0)
    return covered.index_fill(0, wanted_priors(ignore, grid)[0], True)


def _centred_iou(sizes_a: Tensor, sizes_b: Tensor) -> Tensor:
    """Of widths and heights laid on one centre, pairwise, ``(A, B)``."""
    common = torch.minimum(sizes_a[:, None], sizes_b[None]).clamp(min=0).prod(-1)
    areas = sizes_a.clamp(min=0).prod(-1)[:, None] + sizes_b.prod(-1)[None]
    return common / (areas - common).clamp(min=_LEAST_AREA)


def _intersection(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Areas, pairwise, ``(A, B)``; by coordinates, as products over a last axis of 2 are slow."""
    left, top, right, bottom = (
        edge(boxes_a[:, None, i], boxes_b[None, :, i])
        for i, edge in enumerate((torch.maximum, torch.maximum, torch.minimum, torch.minimum))
    )
    return (right - left).clamp(min=0) * (bottom - top).clamp(min=0)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)
