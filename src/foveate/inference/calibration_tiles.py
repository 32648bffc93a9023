"""Tiles of real pictures, few of many and evenly drawn, as a detector is shown them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from foveate.errors import FoveateError
from foveate.inference.settings import RunSettings
from foveate.structures import ImageSource, UInt8Image
from foveate.tiling import plan_pyramid
from foveate.tiling.crop import canvas_size, show_tile

P = TypeVar("P")


def calibration_tiles(
    paths: Sequence[P],
    opened: Callable[[P], ImageSource],
    settings: RunSettings,
    count: int,
    on_failure: Callable[[str], None] | None = None,
) -> Iterator[UInt8Image]:
    """Up to `count` tiles, of as many of the pictures as there are tiles, drawn evenly.

    Args:
        paths: The pictures.
        opened: Opens one.
        settings: Says how they are tiled.
        count: Of tiles.
        on_failure: Told of a picture that cannot be read, which is left out; without it the first
            raises.

    Returns:
        ``(H, W, C)`` uint8 each, sides being multiples of the model's.

    Raises:
        FoveateError: As `on_failure` says.
    """
    pictures = chosen(len(paths), count)
    each = -(-count // max(1, len(pictures)))
    left = count
    for number in pictures:
        try:
            shown = list(_tiles(opened(paths[number]), settings, min(each, left)))
        except FoveateError as error:
            if on_failure is None:
                raise
            on_failure(str(error))
            continue
        left -= len(shown)
        yield from shown


def chosen(total: int, count: int) -> list[int]:
    """Up to `count` of `total` indices, the same distance apart."""
    few = min(total, count)
    return [(2 * i + 1) * total // (2 * few) for i in range(few)]


def _tiles(source: ImageSource, settings: RunSettings, count: int) -> Iterator[UInt8Image]:
    multiple = settings.size_multiple
    tiles = plan_pyramid(source.width, source.height, settings.plan, settings.pyramid, multiple)
    for number in chosen(len(tiles), count):
        tile = tiles[number]
        region = source.read(tile)
        if region is None:
            continue
        width, height = canvas_size([tile], multiple)
        canvas = np.empty((height, width, region.shape[2]), np.uint8)
        show_tile(region, tile, canvas, settings.padding)
        yield canvas
