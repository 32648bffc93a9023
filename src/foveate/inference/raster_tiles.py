"""Which tiles of a raster are looked at: all of the plan, or those that a glance chooses, once.

A glance reads the whole raster, from its overviews where it has them. What it chose is recorded, so
that a run that goes on looks at the same tiles, and glances no second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foveate.errors import UsageError
from foveate.inference.journal import Record
from foveate.inference.profile import Profile
from foveate.inference.raster_records import Window, windows_of
from foveate.inference.selecting import SelectedSource
from foveate.inference.settings import RunSettings
from foveate.structures import ImageSource, Tile
from foveate.tiling import plan_pyramid, shown_pixels

_KIND = "chosen"
_SIDES = 6


class RasterTiles(NamedTuple):
    """The tiles of a run.

    Attributes:
        tiles: From top to bottom.
        planned: How many the plan has.
        planned_pixels: Of the network, that those would show it.
        expected_miss: At most this share of objects is missed for the choice; None without one.
        unread: Blocks that the glance could not read.
    """

    tiles: list[Tile]
    planned: int
    planned_pixels: int
    expected_miss: float | None = None
    unread: Sequence[Window] = ()

    @property
    def records(self) -> list[Record]:
        """What is to be recorded of a choice; nothing where all are looked at."""
        if self.expected_miss is None:
            return []
        sides = [
            (tile.x, tile.y, tile.width, tile.height, tile.out_width, tile.out_height)
            for tile in self.tiles
        ]
        data = np.array(sides, "<i8").tobytes()
        values = {"kind": _KIND, "expected_miss": self.expected_miss, "unread": list(self.unread)}
        return [Record(values, data)]


def raster_tiles(
    source: ImageSource, settings: RunSettings, recorded: Sequence[Record], profile: Profile
) -> RasterTiles:
    """The tiles to look at, those of a run before if it recorded them.

    Args:
        source: The raster.
        settings: Of the run.
        recorded: What its journal holds.
        profile: Where the glance's time is added to.

    Raises:
        FoveateError: If the raster does not suit the glance.
        UsageError: If the glance is to work against time: no second run could choose alike.
    """
    size, multiple = (source.width, source.height), settings.size_multiple
    plan = plan_pyramid(*size, settings.plan, settings.pyramid, multiple)
    every = RasterTiles(_from_top(plan), len(plan), shown_pixels(plan))
    if settings.selection is None or settings.plan.plain:
        return every
    if settings.selection.select.kind == "budget":
        raise UsageError(
            "select: a budget of time is for pictures; of a raster that can be gone on with, "
            "recall=0.95 or tiles=40 chooses the tiles"
        )
    for record in recorded:
        if record.values["kind"] == _KIND:
            return every._replace(
                tiles=_tiles_of(record),
                expected_miss=record.values["expected_miss"],
                unread=windows_of(record.values["unread"]),
            )
    view = SelectedSource(source, *settings.selection, settings.plan, profile)
    chosen = view.choose(plan, multiple)
    settings.selection.glance.rest()
    return every._replace(
        tiles=_from_top(chosen),
        expected_miss=view.expected_miss(chosen),
        unread=list(getattr(source, "unread", ())),
    )


def _from_top(tiles: Sequence[Tile]) -> list[Tile]:
    return sorted(tiles, key=lambda tile: (tile.y, tile.x))


def _tiles_of(record: Record) -> list[Tile]:
    sides = np.frombuffer(record.data, "<i8").reshape(-1, _SIDES).tolist()
    return [Tile(*numbers) for numbers in sides]
