"""Run over a raster of any size: merged as the front advances, and resumed after a kill.

Tiles are looked at from top to bottom, some dozens at a time. What they gave goes to a journal;
what is final (`foveate.merge.front`) goes to ``found.jsonl`` and out of memory. From time to time
the journal is written anew with what is not final yet, so that it stays short. All that happens
depends on the tiles alone, so that a run that was killed and goes on writes the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from foveate.inference.found_file import FOUND, Extent, FoundFile, held_by
from foveate.inference.journal import Journal, Record
from foveate.inference.profile import Profile
from foveate.inference.raster_look import look_at_chunk
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
from foveate.inference.settings import RunSettings
from foveate.merge.front import FrontMerge, FrontState
from foveate.structures import (
    BoolArray,
    Detections,
    Detector,
    ImageSource,
    Tile,
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


Looks: TypeAlias = Callable[[Sequence[Sequence[Tile]]], Generator[Chunk]]
"""Given tiles by the chunk, gives what each chunk has, in their order."""


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


class RasterRun:
    """One run over one raster.

    Args:
        source: The raster.
        detector: As of `detect_image`.
        settings: Everything else that is to be known.
        folder: Where ``found.jsonl`` and the journal are.
        run: Plain data that decides the result: a run goes on only with the same.
        profile: Where times are added to.
        looks: Looks at the tiles elsewhere; the result is the same.

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
        looks: Looks | None = None,
    ) -> None:
        self._source, self._looks = source, looks
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
            for chunk in self._chunks(on_state):
                self._take(chunk)
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

    def _chunks(self, on_state: OnState | None) -> Iterator[Chunk]:
        """What the tiles still to be done give, some at a time; each is in the journal then."""
        if self._looks is None:
            while self._counts.done < len(self._tiles):
                yield self._look(on_state)
            return
        with closing(self._looks(self._parts())) as chunks:
            for chunk in chunks:
                yield self._noted(chunk, on_state)

    def _parts(self) -> list[list[Tile]]:
        """The tiles still to be done, by the step."""
        done, count = self._counts.done, len(self._tiles)
        firsts = [done, *range((done // STEP + 1) * STEP, count, STEP)] if done < count else []
        return [self._tiles[first : (first // STEP + 1) * STEP] for first in firsts]

    def _look(self, on_state: OnState | None) -> Chunk:
        """What the next tiles give, looked at here."""
        first, began = self._counts.done, time.perf_counter()
        tiles = self._tiles[first : first + min(self._pace, STEP - first % STEP)]

        def told(done: int, _: int) -> None:
            self._tell(first + done, on_state)

        chunk = look_at_chunk(
            self._source,
            self._detector,
            self._settings,
            tiles,
            on_tiles=told,
            profile=self._profile,
        )
        chunk = self._noted(chunk, on_state)
        spent = time.perf_counter() - began
        self._pace = max(_LEAST, min(STEP, int(len(tiles) * RECORD_SECONDS / spent)))
        return chunk

    def _noted(self, chunk: Chunk, on_state: OnState | None) -> Chunk:
        """Put what the next tiles gave into the journal."""
        first = self._counts.done
        chunk = chunk._replace(unread=[one for one in chunk.unread if one not in self._unread])
        self._journal.append(chunk_record(first, chunk))
        self._tell(first + len(chunk.shown), on_state)
        return chunk

    def _tell(self, done: int, on_state: OnState | None) -> None:
        if on_state is not None:
            on_state(State(done, len(self._tiles), self._found.extent.boxes))

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
