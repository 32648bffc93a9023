"""Scenes for the tests of merging: what tiles would give of objects that are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from random_boxes import random_boxes

from foveate.structures import Detections, FloatArray, IntArray, Tile, TiledDetections

Box = tuple[float, float, float, float]


def tiled(
    regions: Sequence[Box], found: Sequence[tuple[int, Box, float]], size: tuple[int, int]
) -> TiledDetections:
    """Boxes of one class by hand: (tile, box, score) each."""
    boxes = np.array([box for _, box, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, _, score in found], np.float32)
    tile_index = np.array([tile for tile, _, _ in found], np.int64)
    labels = np.zeros(len(found), np.int64)
    edges = np.array(regions, np.float32).reshape(-1, 4)
    return TiledDetections(Detections(boxes, scores, labels), tile_index, edges, size)


def one_tile(detections: Detections, size: tuple[int, int] = (100_000, 100_000)) -> TiledDetections:
    """All boxes from one tile that is the picture."""
    regions = np.array([[0, 0, *size]], np.float32)
    return TiledDetections(detections, np.zeros(len(detections), np.int64), regions, size)


def random_detections(rng: np.random.Generator, count: int, extent: float = 100) -> Detections:
    """`random_boxes` with two labels and few different scores, so that there are ties."""
    scores = rng.integers(1, 6, count) / 5
    return Detections(
        random_boxes(rng, count, extent), scores.astype(np.float32), rng.integers(0, 2, count)
    )


def plain(boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike | None = None) -> Detections:
    """Detections from lists; of class 0 if nothing else is said."""
    count = len(np.asarray(scores))
    return Detections(
        np.asarray(boxes, np.float32),
        np.asarray(scores, np.float32),
        np.asarray(np.zeros(count) if labels is None else labels, np.int64),
    )


def shuffled(scene: TiledDetections, rng: np.random.Generator) -> TiledDetections:
    """The same with tiles and boxes in another order."""
    tiles, boxes = (rng.permutation(n) for n in (len(scene.regions), len(scene.tile_index)))
    place = np.argsort(tiles)
    return TiledDetections(
        scene.detections[boxes],
        place[scene.tile_index][boxes] if len(boxes) else scene.tile_index,
        scene.regions[tiles],
        scene.image_size,
    )


def touching_objects(rng: np.random.Generator, width: int, height: int) -> FloatArray:
    """Cut the picture into boxes, of which most become objects, side by side without a gap."""
    done: list[list[int]] = []
    todo = [([0, 0, width, height], int(rng.integers(2, 9)))]
    while todo:
        box, depth = todo.pop()
        axis = int(box[3] - box[1] > box[2] - box[0])
        low, high = box[axis] + 4, box[axis + 2] - 4
        if depth == 0 or low > high:
            done.append(box)
            continue
        cut = int(rng.integers(low, high + 1))
        first, second = list(box), list(box)
        first[axis + 2] = second[axis] = cut
        todo += [(first, depth - 1), (second, depth - 1)]
    boxes = np.array(done, np.float32)
    return boxes[rng.random(len(boxes)) < 0.7]


def perfect_views(
    objects: FloatArray,
    labels: IntArray,
    tiles: Sequence[Tile],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> TiledDetections:
    """What a perfect detector gives: of every object the part in the tile, from 2 pixels on."""
    parts = []
    for tile in tiles:
        edges = np.array(tile.box, np.float32)
        seen = np.clip(objects, np.tile(edges[:2], 2), np.tile(edges[2:], 2))
        visible = (seen[:, 2:] - seen[:, :2] >= 2).all(axis=1)
        scores = rng.uniform(0.2, 1, int(visible.sum())).astype(np.float32)
        parts.append(Detections(seen[visible], scores, labels[visible]))
    return TiledDetections.gather(parts, tiles, size)


def as_rows(detections: Detections) -> list[tuple[float, ...]]:
    """Boxes and labels, sorted, for comparison."""
    rows = np.column_stack([detections.boxes, detections.labels])
    return sorted(map(tuple, rows.tolist()))


def same(one: Detections, other: Detections) -> bool:
    """Equal to the last bit, in the same order."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("boxes", "scores", "labels")
    )
