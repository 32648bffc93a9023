"""Components of boxes that have a say in each other, in bounded memory."""

from __future__ import annotations

import numpy as np

from foveate.merge.greedy import Metric, paired_overlap
from foveate.merge.seam import connected
from foveate.structures import BoolArray, FloatArray, IntArray
from foveate.structures.box_index import BoxIndex


def linked(boxes: FloatArray, groups: IntArray, least: float, metric: Metric) -> IntArray:
    """Components of boxes of one group that overlap by `least` or more.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        groups: ``(N,)`` non-negative.
        least: Above 0.
        metric: What overlap is measured by.

    Returns:
        ``(N,)``: the lowest row that each is linked with.
    """
    owner = np.arange(len(boxes))
    for i, j in BoxIndex(boxes, groups).pairs():
        a, b = np.take(boxes, i, axis=0), np.take(boxes, j, axis=0)
        enough = paired_overlap(a, b, metric) >= least
        owner = link(owner, i[enough], j[enough])
    return owner


def link(owner: IntArray, i: IntArray, j: IntArray) -> IntArray:
    """Components with further links between rows `i` and rows `j`, ``(N,)`` as `linked` gives."""
    apart = owner[i] != owner[j]
    if not apart.any():
        return owner
    rows = np.arange(len(owner))
    return connected(
        len(owner), np.concatenate([rows, i[apart]]), np.concatenate([owner, j[apart]])
    )


def spread(owner: IntArray, seeds: BoolArray) -> BoolArray:
    """Rows whose component has a seed, ``(N,)``."""
    marked = np.zeros(len(owner), bool)
    marked[owner[seeds]] = True
    spread_: BoolArray = marked[owner]
    return spread_
