"""Tiles fitted to what is wanted of a picture: rectangles around cells, few pixels in all.

A plan's tiles are of one size, and a ball in one of them has all of it looked at. Here every group
of wanted cells gets a rectangle of its own with some surroundings; two become one where that costs
less.

Shapes: R, C = rows and columns of cells; K = rectangles, xyxy in picture pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.structures import BoolArray, Tile
from foveate.tiling.crop import shown_pixels
from foveate.tiling.plan import TilePlan, plan_tiles
from foveate.tiling.select import Demand, by_scale, choose_tiles

_LOOK = 48 * 48
"""Network pixels that a look costs beside those it shows [D]."""
_BLOCK = 4
"""Sides of a plan's largest tile within which rectangles are joined: a raster has many blocks."""
_MOST = 120
"""Groups of cells in a block beyond which it is taken for crowded."""
_SURROUNDINGS = 32
"""Network pixels shown around a wanted cell, unless the plan's overlap is more [D]."""

Rectangles = NDArray[np.int64]


def cheapest_tiles(
    tiles: Sequence[Tile], demand: Demand, overlap: int, multiple: int = 32
) -> list[Tile]:
    """Tiles that hold well all that is wanted, at each scale of a plan, for the fewest pixels.

    Either of the plan's size (`choose_tiles`), or fitted: whichever costs less.

    Args:
        tiles: A plan's.
        demand: What is wanted.
        overlap: Of the plan, network pixels.
        multiple: Of the sides that the network takes.
    """
    chosen: list[Tile] = []
    for group in by_scale(tiles).values():
        margin = max(overlap, _SURROUNDINGS)
        fitted = fitted_tiles(group, demand.wanted, demand.cell, demand.size, margin, multiple)
        chosen += cheaper(fitted, choose_tiles(group, demand, overlap).tiles)
    return chosen


def cheaper(fitted: list[Tile] | None, others: Sequence[Tile]) -> list[Tile]:
    """What `fitted_tiles` gave if looking at it costs less than at others, else those."""
    if fitted is not None and looking_cost(fitted) < looking_cost(others):
        return fitted
    return list(others)


def looking_cost(tiles: Sequence[Tile]) -> int:
    """What looking at tiles costs: network pixels, and something for each look."""
    return shown_pixels(tiles) + _LOOK * len(tiles)


def fitted_tiles(
    tiles: Sequence[Tile],
    wanted: BoolArray,
    cell: int,
    size: tuple[int, int],
    margin: int,
    multiple: int = 32,
) -> list[Tile] | None:
    """Tiles of any size, up to the plan's, whose insides hold all that is wanted.

    Args:
        tiles: A plan's, of one scale: they say the scale, the largest size and the overlap.
        wanted: ``(R, C)``: the cells that must be seen, each with `margin` around it.
        cell: Side of a cell, picture pixels; cell 0 begins at pixel 0.
        size: Width and height of the picture.
        margin: Surroundings of a wanted cell that are shown with it, network pixels.
        multiple: Of the sides that the network takes: what it would pad is shown instead.

    Returns:
        By rows; none if nothing is wanted. None if the picture is crowded: too much is wanted in
        too many places to be fitted.
    """
    model = tiles[0]
    enlarged = model.out_width / model.width, model.out_height / model.height
    found = _groups(wanted, cell, size, [math.ceil(margin / one) for one in enlarged])
    padded = _padded(found, size, enlarged, multiple)
    rectangles: list[NDArray[np.int64]] = []
    for block in _blocks(padded, _BLOCK * max(max(tile.width, tile.height) for tile in tiles)):
        if len(block) > _MOST:
            return None
        rectangles += [*_joined(block, enlarged)]
    rectangles.sort(key=lambda one: (int(one[1]), int(one[0])))
    return [tile for one in rectangles for tile in _within(one, tiles, enlarged, multiple)]


def _blocks(rectangles: Rectangles, side: int) -> list[Rectangles]:
    """Those that begin in one block of the picture, together."""
    if not len(rectangles):
        return []
    _, block = np.unique(rectangles[:, :2] // side, axis=0, return_inverse=True)
    order = np.argsort(block.ravel(), kind="stable")
    ends = np.flatnonzero(np.diff(block.ravel()[order])) + 1
    return np.split(rectangles[order], ends)


def _groups(
    wanted: BoolArray, cell: int, size: tuple[int, int], margin: Sequence[int]
) -> Rectangles:
    """Bounds of each group of neighbouring cells and its margin, within the picture."""
    stats: Any = cv2.connectedComponentsWithStats(wanted.astype(np.uint8), connectivity=8)[2]
    left, top, width, height, _ = np.asarray(stats, np.int64)[1:].T  # the first is what is between
    bounds = np.stack([left, top, left + width, top + height], axis=1) * cell
    around = np.array([*margin, *margin]) * [-1, -1, 1, 1]
    return _inside(bounds + around, size)


def _inside(rectangles: Rectangles, size: tuple[int, int]) -> Rectangles:
    return np.clip(rectangles, 0, np.array([*size, *size]))


def _padded(
    rectangles: Rectangles, size: tuple[int, int], enlarged: tuple[float, float], multiple: int
) -> Rectangles:
    """As large as the network pads them to be; shifted where they would leave the picture."""
    padded = rectangles.copy()
    for axis, (whole, scale) in enumerate(zip(size, enlarged, strict=True)):
        length = rectangles[:, axis + 2] - rectangles[:, axis]
        shown = np.ceil(length * scale / multiple) * multiple
        length = np.minimum(np.maximum(length, np.floor(shown / scale)), whole).astype(np.int64)
        start = rectangles[:, axis] - (length - rectangles[:, axis + 2] + rectangles[:, axis]) // 2
        padded[:, axis] = np.clip(start, 0, whole - length)
        padded[:, axis + 2] = padded[:, axis] + length
    return padded


def _joined(rectangles: Rectangles, enlarged: tuple[float, float]) -> Rectangles:
    """Two become one as long as that costs less, those first that save most."""
    kept = rectangles
    while len(kept) > 1:
        low = np.minimum(kept[:, None, :2], kept[None, :, :2])
        high = np.maximum(kept[:, None, 2:], kept[None, :, 2:])
        together = _looks((high - low), enlarged)
        alone = _looks(kept[:, 2:] - kept[:, :2], enlarged)
        saved = alone[:, None] + alone[None, :] - together
        saved[np.tril_indices(len(kept))] = -np.inf
        first, second = np.unravel_index(int(saved.argmax()), saved.shape)
        if saved[first, second] < 0:
            break
        one = np.concatenate([low[first, second], high[first, second]])
        kept = np.concatenate([np.delete(kept, [first, second], axis=0), one[None]])
    return kept


def _looks(sides: NDArray[np.int64], enlarged: tuple[float, float]) -> NDArray[np.float64]:
    """What showing regions of these widths and heights costs."""
    shown = sides * np.array(enlarged)
    return np.asarray(shown[..., 0] * shown[..., 1] + _LOOK, np.float64)


def _within(
    rectangle: NDArray[np.int64],
    tiles: Sequence[Tile],
    enlarged: tuple[float, float],
    multiple: int,
) -> list[Tile]:
    """A rectangle as one tile, or as several where it is longer than those of the plan."""
    x, y, right, bottom = (int(side) for side in rectangle)
    width, height = right - x, bottom - y
    most = max(max(tile.out_width, tile.out_height) for tile in tiles)
    overlap = min(_overlap(tiles), most // 2)
    across, down = (round(n * one) for n, one in zip((width, height), enlarged, strict=True))
    if max(across, down) <= most:
        return [Tile(x, y, width, height, max(1, across), max(1, down))]
    plan = TilePlan(size=max(32, most), overlap=float(overlap) if overlap > 1 else 0.0,
                    scale=enlarged[0])  # fmt: skip
    inner = plan_tiles(width, height, plan, multiple)
    return [replace(tile, x=x + tile.x, y=y + tile.y) for tile in inner]


def _overlap(tiles: Sequence[Tile]) -> int:
    """What neighbours of a plan share at least, network pixels; 0 of a single tile."""
    shared = []
    for starts, length, shown in (
        ({tile.x for tile in tiles}, tiles[0].width, tiles[0].out_width),
        ({tile.y for tile in tiles}, tiles[0].height, tiles[0].out_height),
    ):
        ordered = sorted(starts)
        steps = [after - before for before, after in pairwise(ordered)]
        shared += [int((length - step) * shown / length) for step in steps]
    return max(0, min(shared, default=0))
