"""Motion-gated tiles: on a fixed camera, look again only where something changed.

A tile is looked at when it differs from how it was when it was last looked at, when a live track
reaches into it, or when its turn has come; of the others, what they gave then still holds. With
each tile is kept what it looked like, so that slow change adds up and is noticed [D].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import Field

from foveate.config import Config
from foveate.data.camera import GreyImage
from foveate.data.motion import to_grey
from foveate.inference.layers import SourceView
from foveate.inference.tile_memory import TileMemory
from foveate.structures import FloatArray, ImageSource, Tile, UInt8Image


class GateConfig(Config):
    """When a tile is looked at again.

    Attributes:
        levels: Grey levels by which a pixel has changed, once noise is smoothed over 3 x 3.
        pixels: So many of them change a tile; a ball four pixels wide changes twice as many.
        refresh: Every tile is looked at every so many frames, at turns.
    """

    levels: int = Field(default=12, ge=1, le=255)
    pixels: int = Field(default=6, ge=1)
    refresh: int = Field(default=50, ge=1)


@dataclass(slots=True)
class _Seen:
    """When and how a tile was last looked at."""

    frame: int
    grey: GreyImage


class MotionGate:
    """Decides which tiles of a stream are looked at, and remembers what the others gave.

    Args:
        config: When a tile is looked at again.

    Attributes:
        memory: What each tile gave.
        looked: Tiles looked at so far.
        skipped: Tiles not looked at so far.
    """

    def __init__(self, config: GateConfig | None = None) -> None:
        self.config = config or GateConfig()
        self.memory = TileMemory()
        self.looked = 0
        self.skipped = 0
        self._seen: dict[Tile, _Seen] = {}
        self._live: FloatArray = np.zeros((0, 4), np.float32)
        self._frame = -1

    def follow(self, boxes: FloatArray) -> None:
        """Say where live tracks are expected in the next frame, ``(N, 4)`` picture pixels."""
        self._live = boxes

    def over(self, source: ImageSource) -> GatedSource:
        """The next frame, of which only the tiles that need it are read."""
        self._frame += 1
        return GatedSource(source, self)

    def wants(self, tile: Tile, region: UInt8Image) -> bool:
        """Whether a tile of the present frame is to be looked at; counts it.

        Args:
            tile: Of the plan.
            region: Its pixels, ``(H, W, C)``.
        """
        grey = np.asarray(cv2.blur(to_grey(region), (3, 3)), np.uint8)
        seen = self._seen.get(tile)
        wanted = (
            seen is None or self._due(seen) or self._holds_track(tile) or self._changed(seen, grey)
        )
        if wanted:
            # The first turns are spread, so that not all tiles come round in one frame.
            spread = len(self._seen) % self.config.refresh if seen is None else 0
            self._seen[tile] = _Seen(self._frame - spread, grey)
            self.looked += 1
        else:
            self.skipped += 1
        return wanted

    def __str__(self) -> str:
        """What was saved, such as ``310 of 1200 tiles looked at (26 %)``."""
        total = self.looked + self.skipped
        share = round(100 * self.looked / total) if total else 0
        return f"{self.looked} of {total} tiles looked at ({share} %)"

    def _due(self, seen: _Seen) -> bool:
        return self._frame - seen.frame >= self.config.refresh

    def _holds_track(self, tile: Tile) -> bool:
        x1, y1, x2, y2 = tile.box
        boxes = self._live
        apart = (
            (boxes[:, 0] >= x2) | (boxes[:, 2] <= x1) | (boxes[:, 1] >= y2) | (boxes[:, 3] <= y1)
        )
        return not bool(apart.all())

    def _changed(self, seen: _Seen, grey: GreyImage) -> bool:
        differs = cv2.absdiff(seen.grey, grey) > self.config.levels
        return int(np.count_nonzero(differs)) >= self.config.pixels


@dataclass(frozen=True, slots=True, eq=False)
class GatedSource(SourceView):
    """A frame as a source that has nothing to look at where its gate is shut.

    Attributes:
        source: The frame.
        gate: Of its stream.
    """

    source: ImageSource
    gate: MotionGate

    @property
    def memory(self) -> TileMemory:
        """What the tiles that are not read gave before."""
        return self.gate.memory

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region; None where it need not be looked at again."""
        region = self.source.read(tile)
        return region if region is not None and self.gate.wants(tile, region) else None
