"""A picture reduced by a whole number: the same pixels wherever it is needed and however large."""

from __future__ import annotations

import cv2
import numpy as np

from foveate.structures import ImageSource, Tile, UInt8Image


def reduced_size(source: ImageSource, reduction: int) -> tuple[int, int]:
    """Width and height of the reduced picture; the few pixels that fill no whole one are left out.

    Args:
        source: The picture.
        reduction: Picture pixels a pixel.
    """
    return max(1, source.width // reduction), max(1, source.height // reduction)


def reduced(
    source: ImageSource, region: tuple[int, int, int, int], reduction: int, channels: int
) -> UInt8Image:
    """A part of the reduced picture, areas averaged.

    A raster is read from its overviews, if it has them, so that memory does not grow with it.

    Args:
        source: The picture.
        region: x1, y1, x2, y2 in reduced pixels, within `reduced_size`.
        reduction: Picture pixels a pixel.
        channels: C, needed where the picture has nothing to look at: it is black there.

    Returns:
        ``(y2 - y1, x2 - x1, C)``.
    """
    x1, y1, x2, y2 = region
    width, height = x2 - x1, y2 - y1
    whole_width = min(width * reduction, source.width - x1 * reduction)
    whole_height = min(height * reduction, source.height - y1 * reduction)
    tile = Tile(x1 * reduction, y1 * reduction, whole_width, whole_height, width, height)
    pixels = source.read(tile)
    if pixels is None:
        return np.zeros((height, width, channels), np.uint8)
    if pixels.shape[:2] == (height, width):
        return pixels
    smaller = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, np.uint8).reshape(height, width, -1)
