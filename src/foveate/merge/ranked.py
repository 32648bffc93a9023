"""Bring the boxes of all tiles into one order that no longer knows the order they came in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foveate.merge.config import MergeConfig
from foveate.structures import BoolArray, Detections, FloatArray, IntArray, TiledDetections
from foveate.structures.boxes import valid_boxes

MOST_GROUPS = 1 << 20
"""Labels beyond are numbered anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The usable boxes of all tiles, best first: what every merge starts from.

    A box's row is its rank: of two rows the lower one is the better box. N = number of boxes.

    Attributes:
        tiled: In canonical order, every region once.
        groups: ``(N,)`` only boxes of one group may be joined: the labels, or all 0.
        rows: ``(N,)`` rank of each among all that were ranked, also of what is selected later.
    """

    tiled: TiledDetections
    groups: IntArray
    rows: IntArray

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.groups)

    def __getitem__(self, index: BoolArray | IntArray) -> Ranked:
        """Select by mask or by rising rows."""
        old = self.tiled
        kept = TiledDetections(
            old.detections[index], old.tile_index[index], old.regions, old.image_size
        )
        return Ranked(kept, self.groups[index], self.rows[index])

    @property
    def detections(self) -> Detections:
        """The boxes, best first."""
        return self.tiled.detections

    @property
    def boxes(self) -> FloatArray:
        """``(N, 4)`` xyxy pixels."""
        return self.tiled.detections.boxes

    @property
    def tile_index(self) -> IntArray:
        """``(N,)`` row of `regions`."""
        return self.tiled.tile_index

    @property
    def regions(self) -> FloatArray:
        """``(T, 4)`` xyxy pixels, sorted; two tiles with one region count as one."""
        return self.tiled.regions


def rank(tiled: TiledDetections, config: MergeConfig) -> Ranked:
    """Sort, and leave out what shows nothing: boxes without area, and values that are no number.

    Args:
        tiled: What the tiles gave, in any order of tiles and boxes.
        config: Says whether classes are kept apart.
    """
    found = tiled.detections
    regions, region_of = np.unique(tiled.regions, axis=0, return_inverse=True)
    tile_index = region_of.reshape(-1)[tiled.tile_index]
    usable = np.flatnonzero(valid_boxes(found.boxes) & np.isfinite(found.scores))
    order = usable[best_first(found[usable], tile_index[usable])]
    found = found[order]
    groups = groups_of(found.labels, config)
    canonical = TiledDetections(found, tile_index[order], regions, tiled.image_size)
    return Ranked(canonical, groups, np.arange(len(found)))


def groups_of(labels: IntArray, config: MergeConfig) -> IntArray:
    """Small non-negative numbers, equal where two boxes may be one object, ``(N,)``."""
    if not config.class_aware:
        return np.zeros(len(labels), np.int64)
    if len(labels) and (labels.min() < 0 or labels.max() >= MOST_GROUPS):
        return np.unique(labels, return_inverse=True)[1]
    return labels


def best_first(found: Detections, tile_index: IntArray | None = None) -> IntArray:
    """`canonical_order`, with ties of whole boxes broken by tile; four times as fast.

    It sorts by score, and by all else only what is tied.
    """
    order = np.argsort(-found.scores, kind="stable")
    scores = found.scores[order]
    same = scores[1:] == scores[:-1]
    tied = np.zeros(len(order), bool)
    tied[1:] |= same
    tied[:-1] |= same
    rows = order[tied]
    x1, y1, x2, y2 = np.take(found.boxes, rows, axis=0).T
    tiles = np.zeros(len(rows), np.int64) if tile_index is None else tile_index[rows]
    order[tied] = rows[np.lexsort((tiles, found.labels[rows], y2, x2, y1, x1, -found.scores[rows]))]
    return order
