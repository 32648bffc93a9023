"""Show a tile to the network: read its region, scale it, pad it to the batch's size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from foveate.structures import ImageSource, Tile, UInt8Image

_RESIZED = 4
"""Channels that OpenCV scales at once by averaging areas."""


def canvas_size(tiles: Sequence[Tile], multiple: int) -> tuple[int, int]:
    """Smallest width and height, network pixels, that hold every tile and suit the network.

    Args:
        tiles: The tiles of one picture.
        multiple: The network's coarsest stride; both sides become multiples of it.
    """
    width = max(tile.out_width for tile in tiles)
    height = max(tile.out_height for tile in tiles)
    return math.ceil(width / multiple) * multiple, math.ceil(height / multiple) * multiple


def shown_pixels(tiles: Sequence[Tile]) -> int:
    """How many pixels tiles show the network."""
    return sum(tile.out_width * tile.out_height for tile in tiles)


def show_tile(region: UInt8Image, tile: Tile, canvas: UInt8Image, padding: int = 0) -> None:
    """Scale a tile's region and write it into a corner of `canvas`; the rest becomes `padding`.

    Down-scaling averages areas, so that small objects fade instead of vanishing; up-scaling is
    bilinear. Training shows tiles through the same function.

    Args:
        region: ``(H, W, C)`` uint8, as `ImageSource.read` gives it.
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
        for first in range(0, region.shape[2], _RESIZED):
            part = region[..., first : first + _RESIZED]
            scaled = cv2.resize(part, (width, height), interpolation=how)
            canvas[:height, :width, first : first + _RESIZED] = scaled.reshape(height, width, -1)
    canvas[height:] = padding
    canvas[:height, width:] = padding


def look(
    source: ImageSource, region: tuple[int, int, int, int], most: int | None = None
) -> UInt8Image:
    """A region of a picture for people to see, reduced if it is longer than `most` pixels.

    Args:
        source: The picture, which may be larger than memory.
        region: x1, y1, x2, y2 in whole pixels within the picture.
        most: Pixels of the longer side; None shows every pixel.

    Returns:
        ``(H, W, C)``; black where the picture has nothing to look at.
    """
    x1, y1, x2, y2 = region
    width, height = x2 - x1, y2 - y1
    scale = min(1.0, most / max(width, height)) if most else 1.0
    tile = Tile(x1, y1, width, height, max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = source.read(tile)
    shape = (tile.out_height, tile.out_width)
    if pixels is None:
        return np.zeros((*shape, 3), np.uint8)
    if pixels.shape[:2] == shape:
        return pixels
    reduced = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.uint8).reshape(*shape, -1)


def tile_batch(regions: Sequence[UInt8Image], tiles: Sequence[Tile], multiple: int) -> UInt8Image:
    """Stack regions as the network is shown them, ``(N, H, W, C)`` uint8."""
    width, height = canvas_size(tiles, multiple)
    batch = np.empty((len(tiles), height, width, regions[0].shape[2]), np.uint8)
    for canvas, region, tile in zip(batch, regions, tiles, strict=True):
        show_tile(region, tile, canvas)
    return batch
