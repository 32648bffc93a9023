"""Find the boxes that meet each other, in near-linear time and bounded memory.

Boxes are sorted into grids, one for every octave of size: a box lies in exactly one cell, that of
its left top corner, of the grid whose cells are just large enough for it. Whatever meets a box then
lies in a few runs of neighbouring cells, and a run is one slice of the sorted boxes, found by
bisection. There is never an N x N matrix of many boxes, and pairs come in blocks. Few boxes are
compared each with each, which takes less time than sorting them into grids.

A tree (shapely's STRtree) answers the same question, but keeps a geometry object for every box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from foveate.structures.types import FloatArray, IntArray

Pairs: TypeAlias = tuple[IntArray, IntArray]

BLOCK = 1 << 19
"""Candidate pairs looked at in one go: some 40 MB of temporary arrays."""

FEW = 128
"""So many boxes are compared each with each."""

SMALLEST_CELL = 8.0
"""Pixels; a finer grid would gain nothing, since cells of that size hold few boxes."""

MOST_CELLS = 1 << 20
"""Along one axis: a large box may ask for every row."""


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """The boxes of one octave of size, sorted by group, row and column. M = their number.

    Attributes:
        cell: Side of a cell, pixels; no box is larger.
        items: ``(M,)`` row of each in the index's `boxes`.
        groups: ``(M,)``.
        keys: ``(M,)`` cell numbers, rising.
        boxes: ``(M, 4)``.
    """

    cell: float
    items: IntArray
    groups: IntArray
    keys: IntArray
    boxes: FloatArray


class BoxIndex:
    """Boxes arranged so that those which meet are found quickly.

    Args:
        boxes: ``(N, 4)`` finite xyxy pixels.
        groups: ``(N,)`` non-negative; only boxes of one group form a pair. None: all are one.
    """

    def __init__(self, boxes: FloatArray, groups: IntArray | None = None) -> None:
        self.boxes = boxes
        self.groups = np.zeros(len(boxes), np.int64) if groups is None else groups
        corners = boxes[:, :2].astype(np.float64)
        self._low = corners.min(axis=0, initial=np.inf)
        self._high = corners.max(axis=0, initial=-np.inf)

    @cached_property
    def _grids(self) -> list[_Grid]:
        """Small boxes first."""
        boxes, groups = self.boxes, self.groups
        if not len(boxes):
            return []
        base = _smallest_cell(self._high - self._low, int(groups.max()) + 1)
        size = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
        mantissa, exponent = np.frexp(np.maximum(size, base) / base)
        octave = exponent - (mantissa == 0.5)  # of a power of two: exactly its logarithm
        return [
            self._grid(boxes, groups, np.flatnonzero(octave == level), base * 2.0 ** int(level))
            for level in np.flatnonzero(np.bincount(octave))
        ]

    def _grid(self, boxes: FloatArray, groups: IntArray, items: IntArray, cell: float) -> _Grid:
        boxes, groups = np.take(boxes, items, axis=0), np.take(groups, items)
        columns, rows = self._shape(cell)
        column, row = self._cells(boxes[:, :2], cell)
        keys = (groups * rows + row) * columns + column
        order = np.argsort(keys)
        return _Grid(cell, items[order], groups[order], keys[order], np.take(boxes, order, axis=0))

    def _shape(self, cell: float) -> tuple[int, int]:
        """Columns and rows of a grid."""
        columns, rows = np.floor(self._high / cell) - np.floor(self._low / cell) + 1
        return int(columns), int(rows)

    def _cells(self, points: FloatArray, cell: float) -> tuple[IntArray, IntArray]:
        """Column and row of points ``(N, 2)``; outside the grid where the points are."""
        x, y = np.floor(points.T / cell).astype(np.int64)
        x0, y0 = np.floor(self._low / cell)
        return x - int(x0), y - int(y0)

    def pairs(self) -> Iterator[Pairs]:
        """Every pair of boxes that share some area.

        Yields:
            Blocks ``(i, j)`` of rows of `boxes`, ``i < j``; no pair comes twice.
        """
        if len(self.boxes) <= FEW:
            i, j = _each_with_each(self.boxes, self.groups, self.boxes, self.groups)
            first = i < j
            yield i[first], j[first]
            return
        for n, small in enumerate(self._grids):
            yield from _in_order(small, small, self._search(small, small.boxes, small.groups, True))
            for large in self._grids[n + 1 :]:
                spread = large.cell / small.cell + 2
                if 3 * len(small.keys) <= spread * len(large.keys):
                    found = self._search(large, small.boxes, small.groups)
                    yield from _in_order(small, large, found)
                else:
                    found = self._search(small, large.boxes, large.groups)
                    yield from _in_order(large, small, found)

    def query(self, boxes: FloatArray, groups: IntArray | None = None) -> Iterator[Pairs]:
        """Every pair of one of `boxes` with one of the index's that share some area.

        Args:
            boxes: ``(Q, 4)`` finite xyxy pixels.
            groups: ``(Q,)`` non-negative; None: all are of group 0.

        Yields:
            Blocks ``(q, i)``: rows of the argument, rows of the index's boxes.
        """
        groups = np.zeros(len(boxes), np.int64) if groups is None else groups
        if max(len(boxes), len(self.boxes)) <= FEW:
            yield _each_with_each(boxes, groups, self.boxes, self.groups)
            return
        for grid in self._grids:
            for asked, place in self._search(grid, boxes, groups):
                yield asked, np.take(grid.items, place)

    def _search(
        self, grid: _Grid, boxes: FloatArray, groups: IntArray, itself: bool = False
    ) -> Iterator[Pairs]:
        """Pairs of a row of `boxes` with a place in `grid`; each pair once if it is `itself`."""
        columns, rows = self._shape(grid.cell)
        left, top = self._cells(boxes[:, :2], grid.cell)
        right, bottom = self._cells(boxes[:, 2:], grid.cell)
        left = np.maximum(left - 1, 0)  # a box that starts a cell earlier may reach into this one
        top = np.maximum(top if itself else top - 1, 0)
        right, bottom = np.minimum(right, columns - 1), np.minimum(bottom, rows - 1)
        counts = np.where(left <= right, np.maximum(bottom - top + 1, 0), 0)
        for part in _slices(counts, BLOCK // 4):
            asked, step = _expand(counts[part])
            asked += part.start
            first = (np.take(groups, asked) * rows + np.take(top, asked) + step) * columns
            start = np.searchsorted(grid.keys, first + np.take(left, asked))
            stop = np.searchsorted(grid.keys, first + np.take(right, asked), side="right")
            if itself:
                start = np.maximum(start, asked + 1)
            yield from _meeting(grid.boxes, boxes, asked, start, stop)


def _each_with_each(
    boxes_a: FloatArray, groups_a: IntArray, boxes_b: FloatArray, groups_b: IntArray
) -> Pairs:
    """Every pair of one group that shares some area, rows of a and of b."""
    a, b = boxes_a[:, None], boxes_b[None]
    size = np.minimum(a[..., 2:], b[..., 2:]) > np.maximum(a[..., :2], b[..., :2])  # (A, B, 2)
    i, j = np.nonzero(size[..., 0] & size[..., 1] & (groups_a[:, None] == groups_b[None]))
    return i, j


def _meeting(
    stored: FloatArray, boxes: FloatArray, asked: IntArray, start: IntArray, stop: IntArray
) -> Iterator[Pairs]:
    """Of each ``boxes[asked]`` with ``stored[start:stop]``, the pairs that share some area."""
    counts = np.maximum(stop - start, 0)
    for part in _slices(counts, BLOCK):
        run, place = _expand(counts[part])
        place += np.take(start[part], run)
        one = np.take(asked[part], run)
        a, b = np.take(boxes, one, axis=0), np.take(stored, place, axis=0)
        size = np.minimum(a[:, 2:], b[:, 2:]) > np.maximum(a[:, :2], b[:, :2])
        meets = size[:, 0] & size[:, 1]
        yield one[meets], place[meets]


def _in_order(asking: _Grid, asked: _Grid, found: Iterator[Pairs]) -> Iterator[Pairs]:
    """Places in two grids as rows of the index's boxes, the lower row first."""
    for one, other in found:
        i, j = np.take(asking.items, one), np.take(asked.items, other)
        yield np.minimum(i, j), np.maximum(i, j)


def _smallest_cell(extent: NDArray[np.float64], groups: int) -> float:
    """Side of the finest cells, a power of two; cell numbers must fit 63 bits."""
    cell = SMALLEST_CELL
    while True:
        columns, rows = (float(length) / cell + 2 for length in extent)
        if max(columns, rows) <= MOST_CELLS and columns * rows * groups < 2**62:
            return cell
        cell *= 2


def _slices(counts: IntArray, limit: int) -> Iterator[slice]:
    """Cut `counts` into runs whose sum is at most `limit` (or that are a single one)."""
    ends = np.cumsum(counts)
    start, done = 0, 0
    while start < len(counts):
        stop = max(start + 1, int(np.searchsorted(ends, done + limit, side="right")))
        yield slice(start, stop)
        start, done = stop, int(ends[stop - 1])


def _expand(counts: IntArray) -> Pairs:
    """``[2, 0, 3]`` to the rows ``[0, 0, 2, 2, 2]`` and the steps ``[0, 1, 0, 1, 2]``."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
