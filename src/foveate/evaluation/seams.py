"""Does tiling hurt? Recall and false detections by how near the edge of a tile is.

An object is looked at by the tiles that hold its whole box; every other tile shows a part of it at
best. By what the tiles make of its box it is

- *cut*: no tile holds it whole, so that only merging can put it together;
- *crossed*: a tile holds it whole, but the edge of another runs through it, whose fragment may
  stay beside the whole box as a false detection;
- *near*: no edge runs through it, but of a tile that holds it an inner edge is nearer than the
  side (√area) of the object, so that the network lacks its surroundings there;
- *far*: none of that.

The edge of the picture is no inner edge. Of tiles at several scales only the finest count: a pass
over the whole picture shows everything whole, but small. If recall falls from *far* to *cut*, the
overlap is too small or merging fails; if false detections crowd at *crossed*, merging leaves
fragments. The nearness of a false detection is that of its own box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.assignment import Assignment
from foveate.evaluation.matching import missed_objects
from foveate.evaluation.tables import Detected, Objects, Tables, areas_of
from foveate.structures import BoolArray, Dataset, FloatArray, IntArray, Tile
from foveate.structures.box_index import BoxIndex

Floats = NDArray[np.float64]

SEAM_KINDS = ("cut", "crossed", "near", "far")


@dataclass(frozen=True, slots=True)
class SeamCounts:
    """Objects and false detections at one nearness to the edges of tiles.

    Attributes:
        found: Objects that were detected.
        missed: Objects that were not.
        false: Detections of nothing.
    """

    found: int
    missed: int
    false: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; recall is None without objects."""
        objects = self.found + self.missed
        return {
            "found": self.found,
            "missed": self.missed,
            "false": self.false,
            "recall": self.found / objects if objects else None,
        }


def seam_effects(
    dataset: Dataset,
    tables: Tables,
    match: Assignment,
    tiles: Mapping[int, Sequence[Tile]],
    score_threshold: float,
    row: int = 0,
) -> dict[str, SeamCounts]:
    """Found, missed and false by nearness to the edges of tiles; a key for each of `SEAM_KINDS`.

    Args:
        dataset: For the sizes of the pictures.
        tables: Detections and objects.
        match: Of all sizes.
        tiles: Image id to the tiles that its detections came from. Pictures without an entry are
            left out.
        score_threshold: Detections below it are left out.
        row: Of IoU .5 in `match`.
    """
    regions, image, sizes = _regions(dataset, tables, tiles)
    shown = tables.detected.score >= score_threshold
    missed = missed_objects(match, row, shown)
    objects, detected = tables.objects, tables.detected
    groups: dict[str, tuple[Objects | Detected, BoolArray]] = {
        "found": (objects, match.counted & ~missed),
        "missed": (objects, missed),
        "false": (detected, match.wrong[row] & shown),
    }
    counts = {}
    for name, (boxes, kept) in groups.items():
        rows = np.flatnonzero(kept & np.isin(boxes.image, image))
        kind = _kinds(boxes.boxes[rows], boxes.image[rows], regions, image, sizes)
        counts[name] = np.bincount(kind, minlength=len(SEAM_KINDS)).tolist()
    return {
        kind: SeamCounts(counts["found"][i], counts["missed"][i], counts["false"][i])
        for i, kind in enumerate(SEAM_KINDS)
    }


def _regions(
    dataset: Dataset, tables: Tables, tiles: Mapping[int, Sequence[Tile]]
) -> tuple[FloatArray, IntArray, Floats]:
    """Regions of the finest tiles ``(T, 4)``, row of the picture of each, sizes ``(I, 2)``."""
    sizes = {sample.image_id: (sample.width, sample.height) for sample in dataset.samples}
    boxes, image = [], []
    for row, image_id in enumerate(tables.image_ids.tolist()):
        finest = _finest(tiles.get(image_id, ()))
        boxes += [tile.box for tile in finest]
        image += [row] * len(finest)
    return (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(image, np.int64),
        np.array([sizes[number] for number in tables.image_ids.tolist()], np.float64),
    )


def _finest(tiles: Sequence[Tile]) -> list[Tile]:
    scales = [tile.out_width / tile.width for tile in tiles]
    # Rounding to whole pixels makes the scales of one plan differ a little.
    least = 0.95 * max(scales, default=0)
    return [tile for tile, scale in zip(tiles, scales, strict=True) if scale >= least]


def _kinds(
    boxes: FloatArray, image: IntArray, regions: FloatArray, tile_image: IntArray, sizes: Floats
) -> IntArray:
    """Place in `SEAM_KINDS` of each box, ``(N,)``."""
    limit = np.tile(sizes[image], 2).astype(np.float32)
    inside = np.clip(boxes, 0, limit)
    holding = np.zeros(len(boxes), bool)
    crossed = np.zeros(len(boxes), bool)
    nearest = np.full(len(boxes), np.inf)
    index = BoxIndex(regions, tile_image)
    for box, tile in index.query(inside, image):
        low = (inside[box, :2] - regions[tile, :2]).astype(np.float64)
        high = (regions[tile, 2:] - inside[box, 2:]).astype(np.float64)
        whole = (low >= 0).all(axis=1) & (high >= 0).all(axis=1)
        holding[box[whole]] = True
        crossed[box[~whole]] = True
        low[regions[tile, :2] <= 0] = np.inf
        high[regions[tile, 2:] >= sizes[image[box]]] = np.inf
        apart = np.minimum(low, high).min(axis=1)
        np.minimum.at(nearest, box[whole], apart[whole])
    near = nearest < np.sqrt(np.maximum(areas_of(inside), 0))
    return np.select([~holding, crossed, near], [0, 1, 2], default=3)
