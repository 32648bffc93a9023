"""Show one box with what surrounds it: a square piece of the picture, padded where that ends."""

from __future__ import annotations

import math

import cv2
import numpy as np

from foveate.structures import FloatArray, ImageSource, Tile, UInt8Image


def surroundings(box: FloatArray, margin: float, size: int) -> Tile:
    """The square around a box; unlike other tiles it may reach beyond the picture.

    Args:
        box: ``(4,)`` xyxy picture pixels.
        margin: Context on every side, as a share of the box's longer side.
        size: Side at which it is shown, network pixels.
    """
    x1, y1, x2, y2 = (float(value) for value in box)
    side = max(1, math.ceil(max(x2 - x1, y2 - y1) * (1 + 2 * margin)))
    left, top = math.floor((x1 + x2 - side) / 2), math.floor((y1 + y2 - side) / 2)
    return Tile(left, top, side, side, size, size)


def cut_out(source: ImageSource, tile: Tile, channels: int, padding: int = 0) -> UInt8Image:
    """The pixels of `surroundings`, scaled; what lies outside the picture becomes `padding`.

    Shrinking averages areas and enlarging is bicubic.

    Args:
        source: The picture.
        tile: May reach beyond the picture.
        channels: C, needed where the picture has nothing to look at.
        padding: Value of every channel there, 0 to 255.

    Returns:
        ``(out_height, out_width, C)`` uint8.
    """
    whole = np.full((tile.height, tile.width, channels), padding, np.uint8)
    x1, y1 = max(0, tile.x), max(0, tile.y)
    x2, y2 = min(source.width, tile.x + tile.width), min(source.height, tile.y + tile.height)
    if x2 > x1 and y2 > y1:
        region = source.read(Tile(x1, y1, x2 - x1, y2 - y1, x2 - x1, y2 - y1))
        if region is not None:
            whole[y1 - tile.y : y2 - tile.y, x1 - tile.x : x2 - tile.x] = region
    if whole.shape[:2] == (tile.out_height, tile.out_width):
        return whole
    how = cv2.INTER_AREA if tile.out_width < tile.width else cv2.INTER_CUBIC
    scaled = cv2.resize(whole, (tile.out_width, tile.out_height), interpolation=how)
    return np.asarray(scaled, np.uint8).reshape(tile.out_height, tile.out_width, channels)
