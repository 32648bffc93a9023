"""Choose the tiles that are worth looking at, from where objects are to be expected.

What says where objects may be is a coarse map, from anything: here it is only numbers in square
cells. A cell counts for a tile that *holds it well*: its centre lies inside, and not in the half of
an overlap that a neighbour sees better [D], so that an object there is whole.

Shapes: R, C = rows and columns of cells; T = tiles.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from foveate.structures import BoolArray, FloatArray, IntArray, Tile


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Where in a picture objects are to be expected.

    Attributes:
        size: Width and height of the picture, pixels.
        cell: Side of a cell, pixels; cell 0 begins at pixel 0.
        expected: ``(R, C)`` float32, from 0: what looking at each cell is worth.
        wanted: ``(R, C)``: which cells must be held well by a tile that is looked at.
    """

    size: tuple[int, int]
    cell: int
    expected: FloatArray
    wanted: BoolArray

    @property
    def worth(self) -> NDArray[np.float64]:
        """``(R, C)``: what each wanted cell is worth, above 0; 0 of the others."""
        return np.where(self.wanted, np.maximum(self.expected, 1e-6), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Tiles to look at.

    Attributes:
        tiles: In reading order; best first where their number is bounded.
        held: ``(R, C)``: cells that they hold well, at each scale that the plan shows.
        moved: Whether some do not lie where the plan has them.
    """

    tiles: list[Tile]
    held: BoolArray
    moved: bool = False


def choose_tiles(
    tiles: Sequence[Tile], demand: Demand, overlap: int, most: int | None = None
) -> Choice:
    """Take tiles by what they are worth until all that is wanted is held, or `most` are taken.

    Greedy: the next tile is the one that is worth most beside those taken; by Nemhauser 1978 [M]
    that is at least 1 - 1/e of the best that as many tiles can do. Unless their number is bounded,
    tiles that others made superfluous are left out in the end, and where tiles placed freely need
    fewer looks than those of the plan, they stand in for them. The result depends on neither the
    order of the tiles nor the number of threads.

    Args:
        tiles: A plan's; tiles of one scale hold every cell together, each scale by itself.
        demand: What is wanted.
        overlap: Of the plan, network pixels.
        most: Tiles; None takes as many as it needs.
    """
    groups = [_Group(group, demand, overlap) for group in by_scale(tiles).values()]
    taken = list(_by_worth(groups, most))
    if most is not None:
        return Choice([tile for _, tile in taken], _held_by_all(groups))
    chosen: list[Tile] = []
    moved = False
    for number, group in enumerate(groups):
        kept = group.without_superfluous([tile for which, tile in taken if which == number])
        free = free_tiles(group.tiles[0], demand, group.margin)
        fewer = free is not None and len(free) < len(kept)
        chosen += free if fewer and free is not None else sorted(kept, key=_reading_order)
        moved = moved or fewer
    return Choice(chosen, demand.wanted.copy(), moved)


def held_well(
    looked: Sequence[Tile], tiles: Sequence[Tile], demand: Demand, overlap: int
) -> BoolArray:
    """The wanted cells that are held well at each scale that a plan shows, ``(R, C)``.

    Args:
        looked: Tiles that were looked at: of the plan, or of the same size elsewhere.
        tiles: All of the plan.
        demand: What is wanted.
        overlap: Of the plan, network pixels.
    """
    seen = by_scale(looked)
    held = demand.wanted.copy()
    for scale, group in by_scale(tiles).items():
        margin = _margins(group, overlap)
        of_scale = np.zeros(held.shape, bool)
        for tile in seen.get(scale, []):
            of_scale[held_cells(tile, demand, margin)] = True
        held &= of_scale
    return held


def by_scale(tiles: Sequence[Tile]) -> dict[tuple[int, int, int, int], list[Tile]]:
    """Tiles by the size of their region and of what is shown, in their order."""
    groups: dict[tuple[int, int, int, int], list[Tile]] = {}
    for tile in tiles:
        key = tile.width, tile.height, tile.out_width, tile.out_height
        groups.setdefault(key, []).append(tile)
    return groups


def held_cells(tile: Tile, demand: Demand, margin: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the cells that a tile holds well.

    Args:
        tile: Within the picture.
        demand: Says where the cells lie.
        margin: Pixels along x and y from an inner edge of the tile that it does not see well.
    """
    rows, columns = demand.wanted.shape
    width, height = demand.size
    x = _cells(tile.x, tile.width, width, margin[0], demand.cell, columns)
    y = _cells(tile.y, tile.height, height, margin[1], demand.cell, rows)
    return y, x


def free_tiles(model: Tile, demand: Demand, margin: tuple[int, int]) -> list[Tile] | None:
    """Few tiles of one size, placed anywhere, that hold well every cell that is wanted.

    From the top down: the first row that is left has its first cell held by the tile, of all that
    begin in this row, that holds most of what is left [D].

    Args:
        model: Its size, and the size at which it is shown.
        demand: What is wanted.
        margin: As for `held_cells`.

    Returns:
        Tiles in the order in which they were placed; None if a tile holds no whole cell.
    """
    width, height = demand.size
    rows, columns = demand.wanted.shape
    across = _cells_within(model.width, width, margin[0], demand.cell, columns)
    down = _cells_within(model.height, height, margin[1], demand.cell, rows)
    if across < 1 or down < 1:
        return None
    left = demand.wanted.copy()
    placed: list[Tile] = []
    top = 0
    while True:
        filled = np.flatnonzero(left[top:].any(axis=1))
        if not len(filled):
            return placed
        top += int(filled[0])
        row = min(top, rows - down)
        column = _best_column(left[row : row + down], left[top], across)
        tile = replace(
            model,
            x=_start(column, model.width, width, margin[0], demand.cell),
            y=_start(row, model.height, height, margin[1], demand.cell),
        )
        left[held_cells(tile, demand, margin)] = False
        placed.append(tile)


class _Group:
    """The tiles of one scale, and what they have not held yet.

    Attributes:
        tiles: In the order of the plan.
        margin: As for `held_cells`.
    """

    def __init__(self, tiles: Sequence[Tile], demand: Demand, overlap: int) -> None:
        self.tiles, self._wanted = list(tiles), demand.wanted
        self.margin = _margins(tiles, overlap)
        self._cells = {tile: held_cells(tile, demand, self.margin) for tile in tiles}
        self._left = demand.worth

    def worth(self, tile: Tile) -> float:
        """Of the cells that it holds well and no tile that was taken does."""
        return float(self._left[self._cells[tile]].sum())

    def take(self, tile: Tile) -> None:
        """Count a tile's cells as held."""
        self._left[self._cells[tile]] = 0

    @property
    def held(self) -> BoolArray:
        """``(R, C)``: of the wanted cells, those held."""
        held: BoolArray = self._wanted & (self._left == 0)
        return held

    def without_superfluous(self, taken: Sequence[Tile]) -> list[Tile]:
        """Those taken but for the ones whose wanted cells others hold, the last taken first."""
        times: IntArray = np.zeros(self._wanted.shape, np.int64)
        for tile in taken:
            times[self._cells[tile]] += 1
        kept = []
        for tile in reversed(taken):
            cells = self._cells[tile]
            if (times[cells] > 1)[self._wanted[cells]].all():
                times[cells] -= 1
            else:
                kept.append(tile)
        return kept[::-1]


def _by_worth(groups: Sequence[_Group], most: int | None) -> Iterator[tuple[int, Tile]]:
    """Number of the group and tile, the most worth first, until none is worth anything.

    What a tile is worth only falls while others are taken, so that only the one on top of the heap
    has to be looked at again (Minoux 1978 [M]).
    """
    heap = [
        (-group.worth(tile), *_reading_order(tile), number)
        for number, group in enumerate(groups)
        for tile in group.tiles
    ]
    places = {
        (*_reading_order(tile), number): tile
        for number, group in enumerate(groups)
        for tile in group.tiles
    }
    heapq.heapify(heap)
    count = 0
    while heap and (most is None or count < most):
        known, y, x, number = heap[0]
        tile = places[y, x, number]
        worth = groups[number].worth(tile)
        if worth <= 0:
            heapq.heappop(heap)
        elif worth < -known:
            heapq.heapreplace(heap, (-worth, y, x, number))
        else:
            heapq.heappop(heap)
            groups[number].take(tile)
            count += 1
            yield number, tile


def _held_by_all(groups: Sequence[_Group]) -> BoolArray:
    held: BoolArray = np.logical_and.reduce([group.held for group in groups])
    return held


def _reading_order(tile: Tile) -> tuple[int, int]:
    return tile.y, tile.x


def _margins(tiles: Sequence[Tile], overlap: int) -> tuple[int, int]:
    """Half of what neighbours share, at most half of the plan's overlap, along x and y."""
    first = tiles[0]
    x = _margin([tile.x for tile in tiles], first.width, overlap * first.width / first.out_width)
    y = _margin([tile.y for tile in tiles], first.height, overlap * first.height / first.out_height)
    return x, y


def _margin(starts: Sequence[int], length: int, overlap: float) -> int:
    steps = [second - first for first, second in pairwise(sorted(set(starts)))]
    shared = min((length - step for step in steps), default=length)
    return max(0, min(shared, math.floor(overlap)) // 2)


def _cells(start: int, length: int, whole: int, margin: int, cell: int, count: int) -> slice:
    """Cells along one axis whose centre a tile holds well."""
    first, last = 0, count
    if start > 0:
        first = math.ceil((start + margin) / cell - 0.5)
    if start + length < whole:
        last = math.ceil((start + length - margin) / cell - 0.5)
    return slice(min(first, count), max(0, min(last, count)))


def _cells_within(length: int, whole: int, margin: int, cell: int, count: int) -> int:
    """How many cells in a row a tile holds whole, wherever it is placed."""
    return count if length >= whole else min(count, (length - 2 * margin) // cell)


def _best_column(strip: BoolArray, first_row: BoolArray, across: int) -> int:
    """Where the cells of the tile begin that holds the row's first wanted cell, and most others."""
    before = np.concatenate([[0], strip.sum(axis=0).cumsum()])
    cell = int(first_row.argmax())
    starts = np.arange(max(0, cell - across + 1), min(cell, strip.shape[1] - across) + 1)[::-1]
    return int(starts[(before[starts + across] - before[starts]).argmax()])


def _start(first: int, length: int, whole: int, margin: int, cell: int) -> int:
    """First pixel of a tile that is to hold cells from the one given on."""
    return 0 if first == 0 else max(0, min(first * cell - margin, whole - length))
