"""Run a detector over one picture of any size: tile, detect, merge.

Three things happen at once: a thread cuts and scales the next batch of tiles, the detector works
(ONNX Runtime releases the interpreter meanwhile), and another thread carries the previous batch's
boxes to the picture. A detector that can be handed work without waiting for it (`start`) always has
the next batch in its queue, so that none of its threads waits for the slowest tile of a batch. Any
other callable stays in the caller's thread, because some keep state by thread (torch's gradient
mode, for one).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias, cast

import numpy as np

from foveate.errors import FoveateError, UsageError
from foveate.inference.batching import BatchSizer, sizer_of
from foveate.inference.placed import Placed, place
from foveate.inference.profile import Profile
from foveate.inference.trust import trusted
from foveate.merge import MergeConfig, merge_tiles
from foveate.structures import (
    Detections,
    Detector,
    GeoReference,
    ImageSource,
    Tile,
    TiledDetections,
    UInt8Image,
)
from foveate.tiling import (
    Pyramid,
    TilePlan,
    canvas_size,
    plan_pyramid,
    show_tile,
    shown_pixels,
)

Wait: TypeAlias = Callable[[], list[Detections]]
"""Gives a batch's results when they are there."""

OnTiles: TypeAlias = Callable[[int, int], None]
"""Told how many tiles are done, and of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """What was found in one picture, and how.

    Attributes:
        name: Of the source.
        width: Picture pixels.
        height: Picture pixels.
        detections: Merged, in picture pixels, best first.
        tiles: That the network was shown.
        seconds: Wall time of tiling, detection and merging; decoding a file is not in it.
        capped_tiles: Tiles that gave as many boxes as the model can give one: some may be missing.
        skipped_tiles: Tiles of the plan that the network was not shown: nothing is there, or not
            enough to be worth a look.
        geo: Where the picture lies, if its source says so.
        notes: What should be known of how it was done.
        uniform_tiles: Those of them whose pixels are all alike.
        unselected_tiles: Looks saved by choosing where objects may be.
        expected_miss: At most this share of objects is missed for that choice, as its file says;
            None where there was none.
        planned_pixels: Of the network, that all tiles of the plan would show it.
    """

    name: str
    width: int
    height: int
    detections: Detections
    tiles: list[Tile]
    seconds: float
    capped_tiles: int
    skipped_tiles: int = 0
    geo: GeoReference | None = None
    notes: tuple[str, ...] = ()
    uniform_tiles: int = 0
    unselected_tiles: int = 0
    expected_miss: float | None = None
    planned_pixels: int = 0


class _Group(NamedTuple):
    """Tiles that are shown on canvases of one size, of whatever scale they are.

    Attributes:
        canvas: Width and height, network pixels.
        waiting: Those not packed yet.
        sizer: How many of them make a batch.
    """

    canvas: tuple[int, int]
    waiting: Iterator[Tile]
    sizer: BatchSizer


class _Batch(NamedTuple):
    """What the detector is shown at once, and the sizer that wants to know how it went."""

    tiles: list[Tile]
    images: UInt8Image
    sizer: BatchSizer


def detect_image(
    source: ImageSource,
    detector: Detector,
    plan: TilePlan,
    merge: MergeConfig,
    *,
    score_threshold: float,
    pyramid: Pyramid | None = None,
    size_multiple: int = 32,
    padding: int = 0,
    batch_size: int | None = None,
    alone: bool = True,
    on_tiles: OnTiles | None = None,
    profile: Profile | None = None,
) -> ImageResult:
    """Detect objects in one picture.

    A source with a method `choose` is asked which tiles to look at: it is given those of the plan,
    and the multiple.

    The result does not depend on `batch_size`: a tile is shown on the smallest canvas that suits
    the detector, whichever tiles share its batch.

    Args:
        source: The picture.
        detector: An `OnnxDetector` or any callable ``images -> list[Detections]``. The images'
            memory is used again after the call, so it must keep no reference to them.
        plan: The tile geometry.
        merge: How the tiles' boxes become one set.
        score_threshold: Least score, in ``[0, 1]``, of a box that takes part in the merge.
        pyramid: Scales to show the picture at; None shows it at the plan's own.
        size_multiple: The tiles' canvas has sides that are multiples of this.
        padding: Value around tiles smaller than the canvas, 0 to 255.
        batch_size: Tiles a call; None takes as many as keep the detector busy.
        alone: Whether no other picture is worked on meanwhile: then a single tile gets all of
            the detector's threads.
        on_tiles: Told after each batch, in the calling thread; what it raises ends the run.
        profile: Where times are added to.

    Raises:
        FoveateError: If the picture cannot be read or does not suit the detector.
        UsageError: If `batch_size` is below 1.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch size must be at least 1, got {batch_size}")
    profile = profile or Profile()
    started = time.perf_counter()
    size = (source.width, source.height)
    tiles = plan_pyramid(*size, plan, pyramid, size_multiple)
    planned, planned_pixels = len(tiles), shown_pixels(tiles)
    choose = getattr(source, "choose", None)
    if choose is not None:
        tiles = choose(tiles, size_multiple)
    shown, found, capped = look_at(
        source,
        detector,
        tiles,
        score_threshold=score_threshold,
        size_multiple=size_multiple,
        padding=padding,
        batch_size=batch_size,
        alone=alone,
        on_tiles=on_tiles,
        profile=profile,
    )
    with profile.stage("merge"):
        tiled = TiledDetections.gather(found, shown, size)
        if pyramid is not None:
            tiled = trusted(tiled, shown, pyramid)
        merged = merge_tiles(tiled, merge)
    seconds = time.perf_counter() - started
    skipped = max(0, planned - len(shown))
    geo = getattr(source, "geo", None)
    return ImageResult(
        source.name, *size, merged, shown, seconds, capped, skipped, geo,
        planned_pixels=planned_pixels,
    )  # fmt: skip


class Looked(NamedTuple):
    """What some tiles of a picture gave.

    Attributes:
        tiles: Those that the network was shown.
        found: What each gave, in picture pixels.
        capped: Tiles that gave as many boxes as the model can give one.
    """

    tiles: list[Tile]
    found: list[Detections]
    capped: int


def look_at(
    source: ImageSource,
    detector: Detector,
    tiles: Sequence[Tile],
    *,
    score_threshold: float,
    size_multiple: int,
    padding: int,
    batch_size: int | None,
    alone: bool,
    on_tiles: OnTiles | None,
    profile: Profile,
) -> Looked:
    """Show tiles to the network, without a merge; the arguments are those of `detect_image`."""
    start = None if alone and len(tiles) == 1 else getattr(detector, "start", None)
    groups = [
        _Group(canvas, iter(alike), sizer_of(detector, start is not None, canvas, batch_size))
        for canvas, alike in _by_canvas(tiles, size_multiple).items()
    ]
    run = _Run(detector, start and partial(start, least_score=score_threshold), profile)
    packer = _Packer(source, groups, len(tiles), padding, run.memory, profile)
    parts = run.over(packer, score_threshold, on_tiles)
    most = getattr(detector, "max_detections", None)
    capped = 0 if most is None else sum(part.above >= most for part in parts)
    return Looked(packer.shown, [part.detections for part in parts], capped)


def _by_canvas(tiles: Sequence[Tile], multiple: int) -> dict[tuple[int, int], list[Tile]]:
    """Tiles by the width and height that each is shown on, in their order; the largest first.

    So no thread begins the largest when the others have nothing left to do.
    """
    groups: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles:
        groups.setdefault(canvas_size([tile], multiple), []).append(tile)
    return dict(sorted(groups.items(), key=lambda group: -math.prod(group[0])))


class _Packer:
    """Packs tiles into batches, in turn, skipping those without anything to look at.

    Args:
        source: The picture.
        groups: All tiles; no batch holds tiles of two groups.
        total: How many they are.
        padding: Value around a tile smaller than its canvas.
        memory: Batches that stay valid at once; the oldest one's memory is used again.
        profile: Where the time is added to.

    Attributes:
        shown: Tiles packed so far.
        passed: Tiles packed or skipped so far.
        total: All tiles.
    """

    def __init__(
        self,
        source: ImageSource,
        groups: Sequence[_Group],
        total: int,
        padding: int,
        memory: int,
        profile: Profile,
    ) -> None:
        self._source, self._padding = source, padding
        self._groups = deque(groups)
        self._buffers: deque[UInt8Image | None] = deque([None] * memory)
        self._profile = profile
        self.shown: list[Tile] = []
        self.passed = 0
        self.total = total

    def __call__(self) -> _Batch | None:
        """The next batch; None at the end."""
        with self._profile.stage("tiles"):
            while self._groups:
                batch = self._pack(self._groups[0])
                if batch is not None:
                    self.shown += batch.tiles
                    return batch
                self._groups.popleft()
            return None

    def _pack(self, group: _Group) -> _Batch | None:
        """As many tiles of a group as its sizer says, fewer at its end; None if none is left."""
        size, (width, height) = group.sizer.size, group.canvas
        tiles: list[Tile] = []
        for tile in group.waiting:
            self.passed += 1
            region = self._source.read(tile)
            if region is None:
                continue
            if not tiles:
                buffer = self._oldest((size, height, width, region.shape[2]))
            show_tile(region, tile, buffer[len(tiles)], self._padding)
            tiles.append(tile)
            if len(tiles) == size:
                break
        return _Batch(tiles, buffer[: len(tiles)], group.sizer) if tiles else None

    def _oldest(self, shape: tuple[int, ...]) -> UInt8Image:
        """Memory for a batch of this shape or a longer one: the oldest batch's, if it fits."""
        self._buffers.rotate(-1)
        buffer = self._buffers[0]
        if buffer is None or len(buffer) < shape[0] or buffer.shape[1:] != shape[1:]:
            # Unused memory costs nothing: it is given out page by page.
            buffer = np.empty(shape, np.uint8)
            self._buffers[0] = buffer
        return buffer


class _Run:
    """A detector at work on one picture's batches.

    Attributes:
        memory: Batches that must stay valid at once: the one being packed, the one at work and, if
            work is handed over without waiting, the one in the queue.
    """

    def __init__(
        self,
        detector: Detector,
        start: Callable[[Sequence[UInt8Image]], Wait] | None,
        profile: Profile,
    ) -> None:
        self._detector, self._start, self._profile = detector, start, profile
        self._queue = 0 if start is None else 1
        self.memory = self._queue + 2

    def over(
        self, packer: _Packer, score_threshold: float, on_tiles: OnTiles | None
    ) -> list[Placed]:
        """What every tile gave, in their order."""
        placed: list[Future[list[Placed]]] = []
        pending: deque[tuple[list[Tile], Wait, int]] = deque()
        with (
            ThreadPoolExecutor(1, "foveate-tiles") as producer,
            ThreadPoolExecutor(1, "foveate-boxes") as placer,
        ):

            def finish() -> None:
                group, wait, passed = pending.popleft()
                found = self._finished(wait, len(group))
                placed.append(placer.submit(self._place, found, group, score_threshold))
                if on_tiles is not None:
                    on_tiles(passed, packer.total)

            try:
                upcoming = producer.submit(packer)
                while (batch := upcoming.result()) is not None:
                    passed = packer.passed
                    upcoming = producer.submit(packer)
                    pending.append((batch.tiles, self._started(batch), passed))
                    while len(pending) > self._queue:
                        finish()
                while pending:
                    finish()
            finally:
                for _, wait, _ in pending:  # after an error: its memory must not be used again
                    self._abandon(wait)
        return [part for future in placed for part in future.result()]

    def _started(self, batch: _Batch) -> Wait:
        """Hand a batch over, or work on it at once."""
        # An array of images is a sequence of images; its type cannot say so.
        images = cast("Sequence[UInt8Image]", batch.images)
        self._profile.network_begins()
        if self._start is not None:
            return self._start(images)
        started = time.perf_counter()
        try:
            found = self._detector(images)
        except BaseException:
            self._profile.network_ends()
            raise
        batch.sizer.record(len(batch.tiles), time.perf_counter() - started)
        return lambda: found

    def _finished(self, wait: Wait, count: int) -> list[Detections]:
        try:
            found = wait()
        finally:
            self._profile.network_ends()
        if len(found) != count:
            raise FoveateError(
                f"the detector returned {len(found)} results for {count} images; "
                f"expected one Detections an image"
            )
        return found

    def _abandon(self, wait: Wait) -> None:
        with suppress(FoveateError):
            wait()
        self._profile.network_ends()

    def _place(
        self, found: Sequence[Detections], tiles: Sequence[Tile], score_threshold: float
    ) -> list[Placed]:
        with self._profile.stage("boxes"):
            return place(found, tiles, score_threshold)
