"""What a tile plan costs, and which objects it shows whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.inspection.objects import Objects
from foveate.structures import BoolArray, IntArray, Tile
from foveate.tiling import TilePlan, plan_tiles


@dataclass(frozen=True, slots=True)
class Coverage:
    """A tile plan over a data set.

    Attributes:
        tiles: Mean a picture.
        network_pixels: Mean a picture, millions: what decides the time.
        whole: Share of the objects that some tile shows uncut; NaN without objects.
        most_in_a_tile: Most objects of which one tile holds the centre.
        mean_in_a_tile: Mean of that over all tiles.
    """

    tiles: float
    network_pixels: float
    whole: float
    most_in_a_tile: int
    mean_in_a_tile: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an undefined value is None."""
        return {
            "tiles_per_image": round(self.tiles, 3),
            "network_megapixels_per_image": round(self.network_pixels, 4),
            "objects_whole_in_a_tile": None if np.isnan(self.whole) else round(self.whole, 5),
            "most_objects_in_a_tile": self.most_in_a_tile,
            "mean_objects_in_a_tile": round(self.mean_in_a_tile, 3),
        }


def cover(objects: Objects, plan: TilePlan, multiple: int = 32) -> Coverage:
    """Measure a plan.

    Args:
        objects: Of the data set.
        plan: How pictures are cut.
        multiple: Of the sides that the network takes.
    """
    tiles, pixels = plan_cost(objects.image_sizes, plan, multiple)
    whole, most, held = 0, 0, 0
    for rows, grid in _by_size(objects, plan, multiple):
        boxes = objects.boxes[rows].astype(np.float64)
        whole += int(grid.holds_whole(boxes).sum())
        counts = grid.counts((boxes[:, :2] + boxes[:, 2:]) / 2, objects.picture[rows])
        most, held = max(most, int(counts.max(initial=0))), held + int(counts.sum())
    all_tiles = tiles * len(objects.image_sizes)
    return Coverage(
        tiles,
        pixels,
        whole / len(objects) if len(objects) else float("nan"),
        most,
        held / all_tiles if all_tiles else 0.0,
    )


def plan_cost(image_sizes: IntArray, plan: TilePlan, multiple: int = 32) -> tuple[float, float]:
    """Tiles a picture, and millions of network pixels a picture; both are means.

    Args:
        image_sizes: ``(I, 2)`` width and height, pixels.
        plan: How pictures are cut.
        multiple: Of the sides that the network takes.
    """
    sizes, counts = np.unique(image_sizes, axis=0, return_counts=True)
    tiles = pixels = 0
    for (width, height), pictures in zip(sizes.tolist(), counts.tolist(), strict=True):
        planned = plan_tiles(width, height, plan, multiple)
        tiles += pictures * len(planned)
        # All tiles of a plan are shown alike but for the whole picture, which comes last.
        for tile, number in ((planned[0], len(planned) - 1), (planned[-1], 1)):
            pixels += pictures * number * tile.out_width * tile.out_height
    pictures = max(1, len(image_sizes))
    return tiles / pictures, pixels / pictures / 1e6


def whole_objects(objects: Objects, plan: TilePlan, multiple: int = 32) -> BoolArray:
    """Which objects some tile shows uncut, ``(N,)``; what sticks out of the picture is cut off."""
    whole = np.zeros(len(objects), bool)
    for rows, grid in _by_size(objects, plan, multiple):
        whole[rows] = grid.holds_whole(objects.boxes[rows].astype(np.float64))
    return whole


class _Grid:
    """The tiles of one size of picture. Tiles stand in a grid; the full-image tile stands apart."""

    def __init__(self, width: int, height: int, plan: TilePlan, multiple: int) -> None:
        self.tiles: list[Tile] = plan_tiles(width, height, plan, multiple)
        self.size = np.array([width, height], np.float64)
        whole = (0, 0, width, height)
        self.full_image = len(self.tiles) > 1 and self.tiles[-1].box == whole
        cut = self.tiles[:-1] if self.full_image else self.tiles
        self.starts = [np.unique([t.x for t in cut]), np.unique([t.y for t in cut])]
        self.covered = [cut[0].width, cut[0].height]

    def holds_whole(self, boxes: np.typing.NDArray[np.float64]) -> BoolArray:
        """Which boxes lie in one tile, ``(N,)``."""
        inside = np.ones(len(boxes), bool)
        if self.full_image:
            return inside
        for axis in (0, 1):
            low = np.clip(boxes[:, axis], 0, self.size[axis])
            high = np.clip(boxes[:, axis + 2], 0, self.size[axis])
            last = np.searchsorted(self.starts[axis], low, side="right") - 1
            inside &= high <= self.starts[axis][np.maximum(last, 0)] + self.covered[axis]
        return inside

    def counts(self, centres: np.typing.NDArray[np.float64], picture: IntArray) -> IntArray:
        """Objects in each tile that holds any."""
        across = len(self.starts[0])
        keys = []
        spans = [self._span(axis, centres[:, axis]) for axis in (0, 1)]
        across_most, down_most = (int((last - first).max(initial=0)) for first, last in spans)
        for right in range(across_most + 1):
            for down in range(down_most + 1):
                x, y = spans[0][0] + right, spans[1][0] + down
                there = (x <= spans[0][1]) & (y <= spans[1][1])
                tile = y[there] * across + x[there]
                keys.append(picture[there] * (across * len(self.starts[1])) + tile)
        return np.unique(np.concatenate(keys), return_counts=True)[1]

    def _span(self, axis: int, points: np.typing.NDArray[np.float64]) -> tuple[IntArray, IntArray]:
        """First and last tile along an axis that hold each point."""
        points = np.clip(points, 0, self.size[axis])
        starts = self.starts[axis]
        last = np.searchsorted(starts, points, side="right") - 1
        first = np.searchsorted(starts + self.covered[axis], points, side="left")
        return np.minimum(first, last), last


def _by_size(objects: Objects, plan: TilePlan, multiple: int) -> Iterator[tuple[IntArray, _Grid]]:
    """Rows of the objects in pictures of one size, with the tiles of those; no empty groups."""
    sizes, group = np.unique(objects.image_sizes, axis=0, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group[objects.picture], kind="stable")
    ends = np.searchsorted(group[objects.picture][order], np.arange(len(sizes) + 1))
    for number, (width, height) in enumerate(sizes.tolist()):
        rows = order[ends[number] : ends[number + 1]]
        if len(rows):
            yield rows, _Grid(width, height, plan, multiple)
