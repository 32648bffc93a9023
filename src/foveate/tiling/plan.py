"""Plan tiles: which regions of a picture the network is shown, and at what scale.

The same `TilePlan` is used in training, in validation and at run time, and travels in the model
file. Lengths with *network* in their description are pixels as the network sees them, after
scaling; all others are pixels of the picture.
"""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from foveate.config import Config
from foveate.structures import Tile


class TilePlan(Config):
    """How pictures are cut for the network.

    Attributes:
        size: Side of a square tile, network pixels.
        overlap: How much neighbouring tiles share: a ratio of the tile below 1, otherwise
            network pixels. Should be at least the largest object that must stay whole.
        scale: Enlargement before tiling: 2 shows a 6-pixel object to the network as 12.
        full_image: Also show the whole picture, squeezed into one tile, for large objects.
        plain: Show *only* the whole picture squeezed into one tile: what tiling is compared with.
    """

    size: int = Field(default=640, ge=32, le=8192)
    overlap: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    scale: float = Field(default=1.0, gt=0, le=16)
    full_image: bool = False
    plain: bool = False

    @model_validator(mode="after")
    def _overlap_leaves_a_step(self) -> TilePlan:
        if self.overlap_pixels >= self.size:
            raise ValueError(
                f"overlap must be a ratio below 1 or a whole number of pixels below the tile "
                f"size {self.size}, got {self.overlap:g}"
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


def plan_tiles(width: int, height: int, plan: TilePlan) -> list[Tile]:
    """Cover a picture with the fewest tiles of the plan's size; edge tiles are shifted inward.

    Args:
        width: Picture pixels.
        height: Picture pixels.
        plan: The geometry.

    Returns:
        Tiles in reading order, the full-image tile last. Every pixel lies in at least one; all
        lie within the picture. A side shorter than a tile is shown whole, at the plan's scale.
    """
    if plan.plain:
        return [_squeezed(width, height, plan.size)]
    region = max(1, round(plan.size / plan.scale))
    overlap = min(math.ceil(plan.overlap_pixels / plan.scale), region - 1)
    columns, rows = _starts(width, region, overlap), _starts(height, region, overlap)
    shown_w, tile_w = _extent(width, region, plan)
    shown_h, tile_h = _extent(height, region, plan)
    tiles = [Tile(x, y, tile_w, tile_h, shown_w, shown_h) for y in rows for x in columns]
    if plan.full_image and len(tiles) > 1:
        tiles.append(_squeezed(width, height, plan.size))
    return tiles


def _starts(length: int, region: int, overlap: int) -> list[int]:
    """Fewest, evenly spread starts of `region`-long windows that cover `length`."""
    if length <= region:
        return [0]
    count = math.ceil((length - overlap) / (region - overlap))
    return [round(i * (length - region) / (count - 1)) for i in range(count)]


def _extent(length: int, region: int, plan: TilePlan) -> tuple[int, int]:
    """Length shown (network pixels) and length covered (picture pixels) along one axis."""
    if length >= region:
        return plan.size, region
    return max(1, min(plan.size, round(length * plan.size / region))), length


def _squeezed(width: int, height: int, size: int) -> Tile:
    """The whole picture, aspect kept, in one tile of at most `size` x `size` network pixels."""
    scale = size / max(width, height)
    return Tile(0, 0, width, height, max(1, round(width * scale)), max(1, round(height * scale)))
