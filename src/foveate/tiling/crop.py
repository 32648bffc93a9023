"""Show a tile to the network: read its region, scale it, pad it to the batch's size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from foveate.structures import Tile, UInt8Image


def canvas_size(tiles: Sequence[Tile], multiple: int) -> tuple[int, int]:
    """Smallest width and height, network pixels, that hold every tile and suit the network.

    Args:
        tiles: The tiles of one picture.
        multiple: The network's coarsest stride; both sides become multiples of it.
    """
    width = max(tile.out_width for tile in tiles)
    height = max(tile.out_height for tile in tiles)
    return math.ceil(width / multiple) * multiple, math.ceil(height / multiple) * multiple


def show_tile(region: UInt8Image, tile: Tile, canvas: UInt8Image, padding: int = 0) -> None:
    """Scale a tile's region and write it into a corner of `canvas`; the rest becomes `padding`.

    Down-scaling averages areas, so that small objects fade instead of vanishing; up-scaling is
    bilinear. Training shows tiles through the same function.

    Args:
        region: ``(tile.height, tile.width, C)`` uint8, as `ImageSource.read` gives it.
        tile: Says the size to show.
        canvas: ``(H, W, C)`` uint8, written in place: the batch's memory.
        padding: Value of every channel there, 0 to 255.
    """
    height, width = tile.out_height, tile.out_width
    if region.shape[:2] == (height, width):
        canvas[:height, :width] = region
    else:
        shrinks = width < region.shape[1] and height < region.shape[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        scaled = cv2.resize(region, (width, height), interpolation=how)
        canvas[:height, :width] = scaled.reshape(height, width, -1)
    canvas[height:] = padding
    canvas[:height, width:] = padding


def tile_batch(regions: Sequence[UInt8Image], tiles: Sequence[Tile], multiple: int) -> UInt8Image:
    """Stack regions as the network is shown them, ``(N, H, W, C)`` uint8."""
    width, height = canvas_size(tiles, multiple)
    batch = np.empty((len(tiles), height, width, regions[0].shape[2]), np.uint8)
    for canvas, region, tile in zip(batch, regions, tiles, strict=True):
        show_tile(region, tile, canvas)
    return batch
