"""Run over a raster of any size: merged as the front advances, and resumed after a kill.

Tiles are looked at from top to bottom, some dozens at a time. What they gave goes to a journal;
what is final (`foveate.merge.front`) goes to ``found.jsonl`` and out of memory. From time to time
the journal is written anew with what is not final yet, so that it stays short. All that happens
depends on the tiles alone, so that a run that was killed and goes on writes the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from foveate.inference.found_file import FOUND, Extent, FoundFile, held_by
from foveate.inference.journal import Journal, Record
from foveate.inference.layers import SourceView, StillSource
from foveate.inference.pipeline import look_at
from foveate.inference.profile import Profile
from foveate.inference.raster_records import (
    Chunk,
    Counts,
    Window,
    bits_of,
    chunk_of,
    chunk_record,
    record_of,
    text_of,
    tiled_of,
    windows_of,
)
from foveate.inference.raster_tiles import RasterTiles, raster_tiles
from foveate.inference.selecting import SkippingSource
from foveate.inference.settings import RunSettings
from foveate.inference.trust import trusted
from foveate.merge.front import FrontMerge, FrontState
from foveate.structures import (
    BoolArray,
    Detections,
    Detector,
    ImageSource,
    Tile,
    TiledDetections,
    UInt8Image,
)

JOURNAL = "journal"
_LEAST = 4
"""Tiles of a record."""
STEP = 32
"""Tiles between two attempts to settle boxes; counted from the first, so that no run differs."""
RECORD_SECONDS = 2.0
"""About so much work is between two records of the journal: what a kill costs. It is no more than
what is left of a step."""
SYNC_SECONDS = 10.0
"""Between two moments from which on a power cut loses nothing; a kill alone never does."""
LONGEST = 8 << 20
"""Bytes of the journal, or four times what it must hold, until it is written anew."""


class State(NamedTuple):
    """How far a run is.

    Attributes:
        tiles: Done.
        of: Tiles in all.
        found: Final boxes.
    """

    tiles: int
    of: int
    found: int


OnState: TypeAlias = Callable[[State], None]
"""Told how far the run is; what it raises ends the run, which can go on later."""


@dataclass(frozen=True, slots=True)
class RasterFound:
    """What was found in a raster.

    Attributes:
        path: ``found.jsonl``; `foveate.inference.found_file.read_found` reads it.
        boxes: How many it holds.
        counts: Of the tiles.
        tiles: That the network was shown, from top to bottom.
        chosen: Those that were to be looked at.
        unread: Blocks that cannot be read, xyxy pixels.
        seconds: Wall time since the run began or went on.
        resumed: Tiles that a run before had done.
    """

    path: Path
    boxes: int
    counts: Counts
    tiles: list[Tile]
    chosen: RasterTiles
    unread: tuple[Window, ...]
    seconds: float
    resumed: int


@dataclass(slots=True, eq=False)
class WholeTiles(SourceView):
    """A raster without the tiles in which a block cannot be read.

    Attributes:
        source: The raster.
        left_out: Such tiles so far.
    """

    source: ImageSource
    left_out: int = 0

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region; None also where a part of it cannot be read."""
        before = getattr(self.source, "failed_reads", 0)
        region = self.source.read(tile)
        if getattr(self.source, "failed_reads", 0) == before:
            return region
        self.left_out += 1
        return None


class RasterRun:
    """One run over one raster.

    Args:
        source: The raster.
        detector: As of `detect_image`.
        settings: Everything else that is to be known.
        folder: Where ``found.jsonl`` and the journal are.
        run: Plain data that decides the result: a run goes on only with the same.
        profile: Where times are added to.

    Attributes:
        chosen: The tiles that are looked at.
        resumed: Tiles that a run before had done.
        damage: What was lost of it, in one line, or None.

    Raises:
        FoveateError: If the folder holds something else, or cannot be written to.
    """

    def __init__(
        self,
        source: ImageSource,
        detector: Detector,
        settings: RunSettings,
        folder: Path,
        run: Mapping[str, Any],
        profile: Profile | None = None,
    ) -> None:
        self._source = source
        self._whole = WholeTiles(source)
        self._skipping = SkippingSource(self._whole)
        self._detector, self._settings = detector, settings
        self._profile = profile or Profile()
        self._size = source.width, source.height
        self._journal = Journal(folder / JOURNAL, run)
        self.damage = self._journal.damage
        try:
            self.chosen = raster_tiles(source, settings, self._journal.records, self._profile)
        except BaseException:
            self._journal.close()
            raise
        self._tiles = self.chosen.tiles
        self._counts, self._unread = Counts(), dict.fromkeys(self.chosen.unread)
        self._shown: BoolArray = np.zeros(len(self._tiles), bool)
        self._found, self._front = self._restored(folder / FOUND)
        self._replay()
        self._pace = _LEAST
        self.resumed = self._counts.done
        self._synced = time.monotonic()

    def __call__(self, on_state: OnState | None = None) -> RasterFound:
        """Go on to the end.

        Raises:
            FoveateError: If the raster or the results cannot be read or written; what is done is
                kept.
        """
        began = time.perf_counter()
        try:
            while self._counts.done < len(self._tiles):
                self._take(self._look(on_state))
                self._sync()
        finally:
            self._found.close()
            self._journal.close()
        return RasterFound(
            self._found.path,
            self._found.extent.boxes,
            self._counts,
            [self._tiles[n] for n in np.flatnonzero(self._shown).tolist()],
            self.chosen,
            tuple(self._unread),
            time.perf_counter() - began,
            self.resumed,
        )

    def _look(self, on_state: OnState | None) -> Chunk:
        """What the next tiles give; it is in the journal then."""
        settings, first = self._settings, self._counts.done
        tiles = self._tiles[first : first + min(self._pace, STEP - first % STEP)]
        source: ImageSource = self._skipping
        if settings.motion is not None:
            source = StillSource(source, settings.motion)
        left_out, uniform = self._whole.left_out, self._skipping.uniform
        began = time.perf_counter()

        def told(done: int, _: int) -> None:
            if on_state is not None:
                on_state(State(first + done, len(self._tiles), self._found.extent.boxes))

        shown, found, capped = look_at(
            source,
            self._detector,
            tiles,
            score_threshold=self._least_score,
            size_multiple=settings.size_multiple,
            padding=settings.padding,
            batch_size=settings.batch_size,
            alone=True,
            on_tiles=told,
            profile=self._profile,
        )
        tiled = TiledDetections.gather(found, shown, self._size)
        if settings.pyramid is not None:
            tiled = trusted(tiled, shown, settings.pyramid)
        left_out, uniform = self._whole.left_out - left_out, self._skipping.uniform - uniform
        empty = len(tiles) - len(shown) - left_out
        counts = Counts(len(shown), empty, left_out, capped, uniform)
        unread = [one for one in getattr(self._source, "unread", ()) if one not in self._unread]
        are_shown = set(shown)
        chunk = Chunk(tiled, counts, np.array([tile in are_shown for tile in tiles]), unread)
        self._journal.append(chunk_record(first, chunk))
        told(len(tiles), len(tiles))
        spent = time.perf_counter() - began
        self._pace = max(_LEAST, min(STEP, int(len(tiles) * RECORD_SECONDS / spent)))
        return chunk

    @property
    def _least_score(self) -> float:
        """Of what takes part in the merge: a refiner can raise a box above the threshold."""
        refiner = self._settings.refiner
        threshold = self._settings.score_threshold
        return threshold if refiner is None else min(threshold, refiner.info.least_score)

    def _take(self, chunk: Chunk, *, recorded: bool = True) -> None:
        """Merge what came, and write what is final."""
        at = self._counts.done
        self._shown[at : at + len(chunk.shown)] = chunk.shown
        self._counts = self._counts.plus(chunk.counts)
        self._unread |= dict.fromkeys(chunk.unread)
        done = self._counts.done
        self._front.add(chunk.tiled)
        if done % STEP and done < len(self._tiles):
            return
        with self._profile.stage("merge"):
            if done < len(self._tiles):
                final = self._front.advance(self._tiles[done].y)
            else:
                final = self._front.finish()
        if final is None:
            return
        self._found.append(self._refined(final))
        if recorded:
            self._settled()

    def _refined(self, final: Detections) -> Detections:
        refiner = self._settings.refiner
        if refiner is None:
            return final
        with self._profile.stage("refine"):
            self._profile.count_refined(len(refiner.refines(final)))
            refined = refiner(self._source, final)
        return refined[refined.scores >= self._settings.score_threshold]

    def _settled(self) -> None:
        """Record how things stand; in the place of all before, if that is long or this the end."""
        record = self._checkpoint()
        finished = self._counts.done == len(self._tiles)
        if finished or self._journal.size > max(LONGEST, 4 * len(record.data)):
            self._found.sync()
            self._journal.rewrite([*self.chosen.records, record])
        else:
            self._journal.append(record)

    def _checkpoint(self) -> Record:
        pending, held, waited = self._front.state
        values = {
            "counts": self._counts,
            "shown": text_of(self._shown),
            "unread": list(self._unread),
            "found": self._found.extent,
            "held": held,
            "waited": waited,
        }
        return record_of("settled", values, pending)

    def _sync(self) -> None:
        if time.monotonic() - self._synced < SYNC_SECONDS:
            return
        # In this order: a journal must not know of boxes that are not there.
        self._found.sync()
        self._journal.sync()
        self._synced = time.monotonic()

    def _restored(self, path: Path) -> tuple[FoundFile, FrontMerge]:
        """Stand where a run before stood: at the last record that ``found.jsonl`` agrees with."""
        records = self._journal.records
        settled = [n for n, record in enumerate(records) if record.values["kind"] == "settled"]
        extents = [Extent(*records[n].values["found"]) for n in settled]
        held = [n for n, ok in zip(settled, held_by(path, extents), strict=True) if ok]
        if settled and held[-1:] != settled[-1:]:
            self.damage = f"{path} is not as it was left: what comes after the damage is done again"
        extent, state = Extent(), None
        if held:
            record = records[held[-1]]
            values = record.values
            self._counts = Counts(*values["counts"])
            self._unread |= dict.fromkeys(windows_of(values["unread"]))
            self._shown = bits_of(values["shown"], len(self._tiles))
            extent = Extent(*values["found"])
            state = FrontState(tiled_of(record, self._size), values["held"], values["waited"])
        return FoundFile(path, extent), FrontMerge(self._settings.merge, self._size, state)

    def _replay(self) -> None:
        """Take what the journal has of the tiles after that, and write it anew, short."""
        for record in self._journal.records:
            values = record.values
            if values["kind"] == "tiles" and values["first"] == self._counts.done:
                self._take(chunk_of(record, self._size), recorded=False)
        self._journal.records = []
        self._found.sync()
        self._journal.rewrite([*self.chosen.records, self._checkpoint()])
