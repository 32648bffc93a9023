"""Greedy suppression, the step that most merges share, decided in rounds instead of box by box."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from foveate.structures import BoolArray, FloatArray, IntArray
from foveate.structures.box_index import BoxIndex
from foveate.structures.boxes import paired_ios, paired_iou

Metric: TypeAlias = Literal["iou", "ios"]

Overlaps: TypeAlias = tuple[IntArray, IntArray, FloatArray]
"""Pairs of rows ``i < j``, and how much they overlap, ``(P,)`` each."""

PAIRS_HELD = 1 << 18
"""Overlapping pairs held at once, or four a box where that is more."""

ROUNDS = 24
"""After so many rounds what is left are chains, settled faster one after another."""


def paired_overlap(boxes_a: FloatArray, boxes_b: FloatArray, metric: Metric) -> FloatArray:
    """Overlap of row i of both by `metric`, ``(N,)`` in ``[0, 1]``."""
    return paired_iou(boxes_a, boxes_b) if metric == "iou" else paired_ios(boxes_a, boxes_b)


def overlapping_pairs(
    boxes: FloatArray, groups: IntArray, least: float, metric: Metric, limit: int | None = None
) -> Overlaps | None:
    """All pairs of one group that overlap by `least` or more.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        groups: ``(N,)`` non-negative.
        least: Smallest overlap that counts, above 0.
        metric: What overlap is measured by.
        limit: Give up beyond so many pairs.

    Returns:
        The pairs, or None if they are more than `limit`.
    """
    none = np.zeros(0, np.int64)
    blocks: list[Overlaps] = [(none, none, np.zeros(0, np.float32))]
    held = 0
    for i, j in BoxIndex(boxes, groups).pairs():
        a, b = np.take(boxes, i, axis=0), np.take(boxes, j, axis=0)
        overlap = paired_overlap(a, b, metric)
        enough = overlap >= least
        blocks.append((i[enough], j[enough], overlap[enough]))
        held += len(blocks[-1][0])
        if limit is not None and held > limit:
            return None
    i, j, overlap = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return i, j, overlap


def greedy_owners(
    boxes: FloatArray, groups: IntArray, threshold: float, metric: Metric
) -> IntArray:
    """Keep the best box, strike what overlaps it, and again: which box does each one yield to?

    The result is that of the textbook loop. But all boxes that overlap nothing better are kept in
    one round, and what they strike is gone in the next. Where the pairs are too many to hold
    (thousands of boxes in one spot), the best quarter of the boxes is decided first, and of the
    others only what that leaves.

    Args:
        boxes: ``(N, 4)`` xyxy pixels, best first.
        groups: ``(N,)`` non-negative; boxes of different groups do not touch each other.
        threshold: Least overlap at which a box yields.
        metric: What overlap is measured by.

    Returns:
        ``(N,)``: the best kept box that overlaps it; its own row if it is kept itself.
    """
    greedy = _Greedy(boxes, groups, threshold, metric)
    greedy.decide(np.arange(len(boxes)))
    return greedy.owners


def greedy_kept(boxes: FloatArray, groups: IntArray, threshold: float, metric: Metric) -> BoolArray:
    """Which boxes `greedy_owners` keeps, ``(N,)``."""
    kept: BoolArray = greedy_owners(boxes, groups, threshold, metric) == np.arange(len(boxes))
    return kept


class _Greedy:
    """The state of one `greedy_owners`: what is decided so far."""

    def __init__(
        self, boxes: FloatArray, groups: IntArray, threshold: float, metric: Metric
    ) -> None:
        self.owners = np.arange(len(boxes))
        self._boxes, self._groups = boxes, groups
        self._threshold: float = threshold
        self._metric: Metric = metric
        self._limit = max(PAIRS_HELD, 4 * len(boxes))

    def decide(self, rows: IntArray) -> None:
        """Settle `rows` (best first) among themselves."""
        boxes, groups = self._take(rows)
        pairs = overlapping_pairs(boxes, groups, self._threshold, self._metric, self._limit)
        if pairs is not None:
            self.owners[rows] = rows[settle(len(rows), pairs[0], pairs[1])]
            return
        better, worse = np.split(rows, [len(rows) // 4])
        self.decide(better)
        self._strike(worse, better[self.owners[better] == better])
        self.decide(worse[self.owners[worse] == worse])

    def _strike(self, rows: IntArray, kept: IntArray) -> None:
        """Let each of `rows` yield to the best of `kept` that overlaps it."""
        boxes, groups = self._take(rows)
        others, groups_of_others = self._take(kept)
        for i, j in BoxIndex(others, groups_of_others).query(boxes, groups):
            a, b = np.take(boxes, i, axis=0), np.take(others, j, axis=0)
            strikes = paired_overlap(a, b, self._metric) >= self._threshold
            np.minimum.at(self.owners, rows[i[strikes]], kept[j[strikes]])

    def _take(self, rows: IntArray) -> tuple[FloatArray, IntArray]:
        return np.take(self._boxes, rows, axis=0), np.take(self._groups, rows)


def settle(count: int, better: IntArray, worse: IntArray) -> IntArray:
    """`greedy_owners`, given the pairs that overlap enough.

    Args:
        count: Number of boxes, best first.
        better: ``(P,)`` of each pair, the better box.
        worse: ``(P,)`` the other.
    """
    kept = np.ones(count, bool)
    a, b = better, worse
    for _ in range(ROUNDS):
        if not len(a):
            break
        undecided = np.zeros(count, bool)
        undecided[b] = True
        sure = ~undecided[a]  # nothing better is in its way
        kept[b[sure]] = False
        matters = ~sure & kept[a] & kept[b]
        a, b = a[matters], b[matters]
    order = np.argsort(a, kind="stable")
    for one, other in zip(a[order].tolist(), b[order].tolist(), strict=True):
        if kept[one]:
            kept[other] = False
    owners = np.arange(count)
    strikes = kept[better]
    np.minimum.at(owners, worse[strikes], better[strikes])
    return owners
