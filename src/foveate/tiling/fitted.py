"""Tiles fitted to what is wanted of a picture: rectangles around cells, few pixels in all.

A plan's tiles are of one size, and a ball in one of them has all of it looked at. Here every group
of wanted cells gets a rectangle of its own with some surroundings; two become one where that costs
less. Wherever the plan's own tiles would cost less, they are taken.

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
from foveate.tiling.plan import TilePlan, plan_tiles

_LOOK = 48 * 48
"""Network pixels that a look costs beside those it shows [D]."""
_MOST = 200
"""Groups of cells beyond which a picture is taken for crowded: the plan's tiles are looked at."""

Rectangles = NDArray[np.int64]


def fitted_tiles(
    tiles: Sequence[Tile],
    wanted: BoolArray,
    cell: int,
    size: tuple[int, int],
    margin: int,
    multiple: int = 32,
) -> list[Tile]:
    """Tiles of any size, up to the plan's, whose insides hold all that is wanted.

    Args:
        tiles: A plan's, of one scale: they say the scale, the largest size and the overlap; they
            are given back where fitted ones would show the network as many pixels.
        wanted: ``(R, C)``: the cells that must be seen, each with `margin` around it.
        cell: Side of a cell, picture pixels; cell 0 begins at pixel 0.
        size: Width and height of the picture.
        margin: Surroundings of a wanted cell that are shown with it, network pixels.
        multiple: Of the sides that the network takes: what it would pad is shown instead.

    Returns:
        In the order of their rectangles, by rows; none if nothing is wanted.
    """
    model = tiles[0]
    enlarged = model.out_width / model.width, model.out_height / model.height
    found = _groups(wanted, cell, size, [math.ceil(margin / one) for one in enlarged])
    if not len(found):
        return []
    if len(found) > _MOST:
        return list(tiles)
    rectangles = _joined(_padded(found, size, enlarged, multiple), enlarged)
    fitted = [tile for one in rectangles for tile in _within(one, tiles, enlarged, multiple)]
    return fitted if _cost(fitted) < _cost(tiles) else list(tiles)


def _cost(tiles: Sequence[Tile]) -> int:
    return sum(tile.out_width * tile.out_height + _LOOK for tile in tiles)


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
    return kept[np.lexsort((kept[:, 0], kept[:, 1]))]


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
