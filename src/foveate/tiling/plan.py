"""Plan tiles: which regions of a picture the network is shown, and at what scale.

The same `TilePlan` is used in training, in validation and at run time, and travels in the model
file. Lengths with *network* in their description are pixels as the network sees them, after
scaling; all others are pixels of the picture.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from foveate.config import Config
from foveate.structures import Tile

_MOST_OVERLAP = 7 / 8
"""Of a tile: beyond it a small picture would be shown thousands of times."""

Scale: TypeAlias = Annotated[float, Field(gt=0, le=16)]
"""Network pixels a picture pixel."""


class TilePlan(Config):
    """How pictures are cut for the network.

    Attributes:
        size: Longest side of a tile, network pixels.
        overlap: How much neighbouring tiles share: a ratio of the tile below 1, otherwise
            network pixels. Should be at least the largest object that must stay whole.
        scale: Enlargement before tiling: 2 shows a 6-pixel object to the network as 12.
        full_image: Also show the whole picture, squeezed into one tile, for large objects.
        plain: Show *only* the whole picture squeezed into one tile: what tiling is compared with.
    """

    size: int = Field(default=640, ge=32, le=8192)
    overlap: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    scale: Scale = 1.0
    full_image: bool = False
    plain: bool = False

    @model_validator(mode="after")
    def _overlap_leaves_a_step(self) -> TilePlan:
        most = int(_MOST_OVERLAP * self.size)
        if self.overlap_pixels > most:
            raise ValueError(
                f"overlap must be a ratio of at most {_MOST_OVERLAP:g}, or at most {most} whole "
                f"pixels of a tile of {self.size}, got {self.overlap:g}"
            )
        if self.overlap >= 1 and self.overlap != int(self.overlap):
            raise ValueError(
                f"overlap must be a ratio below 1 or a whole number of pixels, got {self.overlap:g}"
            )
        return self

    @property
    def overlap_pixels(self) -> int:
        """Least overlap of neighbouring tiles, network pixels."""
        return round(self.overlap * self.size) if self.overlap < 1 else int(self.overlap)

    def enlargements(self, image_sizes: ArrayLike) -> NDArray[np.float64]:
        """How much each picture is enlarged, ``(S,)``; a plain plan makes it fill one tile.

        Args:
            image_sizes: ``(S, 2)`` width and height, picture pixels.
        """
        sides = np.asarray(image_sizes, np.float64).reshape(-1, 2)
        return self.size / sides.max(axis=1) if self.plain else np.full(len(sides), self.scale)


def plan_tiles(width: int, height: int, plan: TilePlan, multiple: int = 32) -> list[Tile]:
    """Cover a picture with the fewest tiles of at most the plan's size.

    Those tiles are then made as small as their number allows, and spread evenly: a picture that
    is a little more than one tile long is covered by two of little more than half a tile.

    Args:
        width: Picture pixels.
        height: Picture pixels.
        plan: The geometry.
        multiple: Of the sides that the network takes: tiles shrink no further than to one.

    Returns:
        Tiles of one size in reading order, the full-image tile last. Every pixel lies in at least
        one; all lie within the picture. A side shorter than a tile is shown whole, at the plan's
        scale.
    """
    if plan.plain:
        return [_squeezed(width, height, plan.size)]
    across, down = _cut(width, plan, multiple), _cut(height, plan, multiple)
    tiles = [
        Tile(x, y, across.covered, down.covered, across.shown, down.shown)
        for y in down.starts
        for x in across.starts
    ]
    if plan.full_image and len(tiles) > 1:
        tiles.append(_squeezed(width, height, plan.size))
    return tiles


class _Cut(NamedTuple):
    """Tiles along one axis.

    Attributes:
        starts: Picture pixels.
        covered: Length of each, picture pixels.
        shown: Length of each, network pixels.
    """

    starts: list[int]
    covered: int
    shown: int


def _cut(length: int, plan: TilePlan, multiple: int) -> _Cut:
    """Fewest, then smallest, evenly spread tiles that cover `length` pixels of the picture."""
    region = max(1, round(plan.size / plan.scale))
    if length <= region:
        return _Cut([0], length, max(1, min(plan.size, round(length * plan.size / region))))
    overlap = min(math.ceil(plan.overlap_pixels / plan.scale), region - 1)
    count = math.ceil((length - overlap) / (region - overlap))
    needed = overlap + math.ceil((length - overlap) / count)
    shown = min(plan.size, multiple * math.ceil(needed * plan.scale / multiple))
    covered = max(needed, round(shown / plan.scale))
    return _Cut([round(i * (length - covered) / (count - 1)) for i in range(count)], covered, shown)


def _squeezed(width: int, height: int, size: int) -> Tile:
    """The whole picture, aspect kept, in one tile of at most `size` x `size` network pixels."""
    scale = size / max(width, height)
    return Tile(0, 0, width, height, max(1, round(width * scale)), max(1, round(height * scale)))
