"""Carry a tile's boxes from the network's pixels to the picture's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from foveate.structures import Detections, Tile
from foveate.structures.boxes import valid_boxes


class Placed(NamedTuple):
    """One tile's boxes in picture pixels, and how many it had above the threshold."""

    detections: Detections
    above: int


def place(
    found: Sequence[Detections], tiles: Sequence[Tile], score_threshold: float
) -> list[Placed]:
    """What each tile gave, as boxes of the picture; weak ones and those without area are gone."""
    placed = []
    for detections, tile in zip(found, tiles, strict=True):
        kept = detections[detections.scores >= score_threshold]
        boxes = tile.to_image(kept.boxes)
        in_picture = Detections(boxes, kept.scores, kept.labels)
        placed.append(Placed(in_picture[valid_boxes(boxes)], len(kept)))
    return placed
