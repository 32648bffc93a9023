"""Pictures, and the tiles of a raster, looked at by the workers of a Ray cluster.

Workers read the pictures themselves, from a folder that all machines have or from an address; what
comes back is boxes, and what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

import cv2

from foveate.api.result import Drawn, Result
from foveate.data.rasters import RasterSource
from foveate.data.remote import Location, location_of
from foveate.data.sources import open_source
from foveate.data.values import Reading
from foveate.errors import FoveateError
from foveate.inference.cluster import Cluster, Lost
from foveate.inference.folder import Failure, detect_folder
from foveate.inference.pipeline import ImageResult
from foveate.inference.raster_look import look_at_chunk
from foveate.inference.raster_records import Chunk
from foveate.inference.raster_run import Looks
from foveate.inference.settings import (
    Options,
    RunSettings,
    class_names_of,
    reading_of,
    run_settings,
    runner,
)
from foveate.inference.shipping import Shipped, shipped, shipped_options, unpacked_options
from foveate.structures import Detector, ImageSource, Tile, UInt8Image

Draw: TypeAlias = Callable[[Result], Drawn]
"""Draws a picture where it was looked at; it is sent to the workers."""


class Found(NamedTuple):
    """What a worker sends back of a picture.

    Attributes:
        result: What was found.
        notes: What the picture's source says of how it was read.
        unread: Parts of it that could not be, xyxy pixels.
        drawn: What was drawn of it, if that was asked for.
    """

    result: ImageResult
    notes: tuple[str, ...]
    unread: tuple[tuple[int, int, int, int], ...]
    drawn: Drawn | None


@dataclass(slots=True, eq=False)
class FarSource:
    """A picture that a worker looked at: read here only if pixels of it are asked for.

    Attributes:
        path: Where it is.
        reading: Which bands and values.
        found: What came back of it.
    """

    path: Location
    reading: Reading
    found: Found
    _opened: ImageSource | None = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """File name."""
        return self.found.result.name

    @property
    def width(self) -> int:
        """Pixels."""
        return self.found.result.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.found.result.height

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was read."""
        return self.found.notes

    @property
    def unread(self) -> tuple[tuple[int, int, int, int], ...]:
        """Parts that could not be read."""
        return self.found.unread

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region, as `ImageSource` says."""
        if self._opened is None:
            self._opened = open_source(self.path, self.reading)
        return self._opened.read(tile)


def detect_on_cluster(
    paths: Sequence[Location],
    detector: Detector,
    cluster: Cluster,
    on_failure: Callable[[Failure], None],
    draw: Draw | None,
    options: Options,
) -> Iterator[Result]:
    """Do pictures; one that fails is reported, and the others are still done.

    Args:
        paths: Of the pictures.
        detector: Sent to every worker.
        cluster: Who works.
        on_failure: Told of each picture that could not be read or done, in turn.
        draw: What workers draw of each picture.
        options: As for `foveate.detect`.

    Yields:
        The result of each picture that was done, in their order.

    Raises:
        FoveateError: If the workers cannot be had, or cannot load the detector.
    """
    task = _Pictures(_Settings.of(detector, options), draw)
    names, reading = class_names_of(detector), reading_of(options)
    outcomes = cluster.ordered(task, [_absolute(path) for path in paths])
    for path, outcome in zip(paths, outcomes, strict=False):
        if isinstance(outcome, Found):
            source = FarSource(path, reading, outcome)
            yield replace(Result.of(outcome.result, source, names), drawn=outcome.drawn)
        elif isinstance(outcome, Lost):
            on_failure(Failure(path, f"{path}: {_lost(outcome)}"))
        else:
            on_failure(Failure(path, outcome.replace(_absolute(path), str(path))))


def looks_on_cluster(
    raster: RasterSource, detector: Detector, cluster: Cluster, options: Options
) -> Looks:
    """What looks at a raster's tiles for `RasterRun`, by workers that each open it themselves.

    Args:
        raster: Told what values the workers saw.
        detector: Sent to every worker.
        cluster: Who works.
        options: As for `foveate.detect`.
    """

    def looks(parts: Sequence[Sequence[Tile]]) -> Generator[Chunk]:
        task = _Chunks(_Settings.of(detector, options), _absolute(raster.path))
        for outcome in cluster.ordered(task, [_sides(part) for part in parts]):
            if isinstance(outcome, Lost):
                raise FoveateError(
                    f"{raster.path}: {_lost(outcome)}; what is done is kept, and the same command "
                    "goes on from there"
                )
            raster.count_seen(*outcome.seen)
            yield outcome.chunk

    return looks


class _Seen(NamedTuple):
    """A chunk, and values that were clipped and looked at for it."""

    chunk: Chunk
    seen: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Settings:
    """A detector and options as they are sent."""

    version: str
    detector: Shipped
    options: dict[str, Any]

    @classmethod
    def of(cls, detector: Detector, options: Options) -> _Settings:
        from foveate import __version__

        return cls(__version__, shipped(detector), shipped_options(options))

    def unpacked(self, threads: int) -> _Ready:
        """Load everything in a worker.

        Raises:
            FoveateError: If the worker has another foveate, or cannot load it.
        """
        from foveate import __version__

        if self.version != __version__:
            raise FoveateError(
                f"a worker has foveate {__version__}, and this is {self.version}: install the same "
                "on every machine of the cluster"
            )
        cv2.setNumThreads(threads)
        folder = TemporaryDirectory(prefix="foveate-")
        detector = self.detector.unpacked(Path(folder.name), threads)
        options = unpacked_options(self.options, Path(folder.name), threads)
        return _Ready(detector, run_settings(detector, options), folder)


class _Ready(NamedTuple):
    """What a worker works with; `folder` holds the files as long as this lives."""

    detector: Detector
    settings: RunSettings
    folder: TemporaryDirectory[str]


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The task of looking at pictures; an item is a path or an address."""

    settings: _Settings
    draw: Draw | None

    def prepare(self, threads: int) -> Callable[[str], Found | str]:
        """Load the detector."""
        ready = self.settings.unpacked(threads)
        run, names = runner(ready.detector, ready.settings), class_names_of(ready.detector)

        def opened(path: Location) -> ImageSource:
            return open_source(path, ready.settings.reading)

        def look(item: str) -> Found | str:
            failures: list[Failure] = []
            for _, source, found in detect_folder(
                [location_of(item)], opened, run, failures.append
            ):
                drawn = None
                if self.draw is not None:
                    drawn = self.draw(Result.of(found, source, names))
                notes = tuple(getattr(source, "notes", ()))
                return Found(found, notes, tuple(getattr(source, "unread", ())), drawn)
            return failures[0].message

        return look


@dataclass(frozen=True, slots=True)
class _Chunks:
    """The task of looking at tiles of one raster; an item is their sides."""

    settings: _Settings
    raster: str

    def prepare(self, threads: int) -> Callable[[Any], _Seen]:
        """Load the detector and open the raster."""
        ready = self.settings.unpacked(threads)
        raster = RasterSource(location_of(self.raster), ready.settings.reading)
        raster.unread.clear()

        def look(item: Any) -> _Seen:
            before = raster.seen
            tiles = [Tile(*(int(side) for side in sides)) for sides in item]
            chunk = look_at_chunk(raster, ready.detector, ready.settings, tiles)
            # Each chunk names all that it came upon: another worker may have done those before it.
            raster.unread.clear()
            clipped, looked_at = raster.seen
            return _Seen(chunk, (clipped - before[0], looked_at - before[1]))

        return look


def _sides(tiles: Sequence[Tile]) -> list[list[int]]:
    """Tiles as whole numbers, in the order of `Tile`'s attributes."""
    return [
        [tile.x, tile.y, tile.width, tile.height, tile.out_width, tile.out_height] for tile in tiles
    ]


def _absolute(path: Location) -> str:
    """As workers, which have folders of their own, find it."""
    return str(path.absolute()) if isinstance(path, Path) else str(path)


def _lost(outcome: Lost) -> str:
    return (
        f"given up, for {outcome.tries} workers died of it one after the other; they may lack "
        "memory (fewer with --workers)"
    )
