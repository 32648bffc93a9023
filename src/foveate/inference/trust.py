"""Of a picture shown at several scales: which boxes to believe at which scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foveate.merge.views import edge_tolerance
from foveate.structures import Tile, TiledDetections
from foveate.tiling import Pyramid


def trusted(tiled: TiledDetections, tiles: Sequence[Tile], pyramid: Pyramid) -> TiledDetections:
    """Leave out the boxes of sizes that their tile's scale is not trusted with.

    After Finding Tiny Faces (Hu and Ramanan 2017 [S]), which takes its small templates from the
    enlarged picture alone; there a list of templates a scale, here a range of lengths [D].

    A box that an inner tile edge cuts is a part: of an object that may be longer, so that it is
    never too small. The full-image tile counts to the scale nearest its own.

    Args:
        tiled: What the tiles gave.
        tiles: Those tiles, in the same order.
        pyramid: The scales, and the range.

    Returns:
        The same regions, with fewer boxes or as many.
    """
    if pyramid.sides is None:
        return tiled
    low, high = pyramid.sides
    scale = np.array([_scale(tile) for tile in tiles]).reshape(-1, 1)  # (T, 1)
    level = np.abs(np.log(scale / pyramid.scales)).argmin(axis=1)[tiled.tile_index]  # (N,)
    boxes = tiled.detections.boxes
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) * scale[tiled.tile_index, 0]
    cut = tiled.cut_sides(edge_tolerance(boxes)).any(axis=1)
    large_enough = (side >= low) | cut | (level == 0)
    small_enough = (side <= high) | (level == len(pyramid.scales) - 1)
    kept = large_enough & small_enough
    return TiledDetections(
        tiled.detections[kept], tiled.tile_index[kept], tiled.regions, tiled.image_size
    )


def _scale(tile: Tile) -> float:
    """Network pixels a picture pixel, by the longer side, which rounding changes less."""
    if tile.out_width >= tile.out_height:
        return tile.out_width / tile.width
    return tile.out_height / tile.height
