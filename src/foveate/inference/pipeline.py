"""Run a detector over one picture of any size: tile, detect, merge.

Three things happen at once: a thread cuts and scales the next batch of tiles, the calling thread
runs the detector (ONNX Runtime releases the interpreter meanwhile), and a second thread carries
the previous batch's boxes to the picture. The detector stays in the caller's thread because some
(torch's gradient mode, for one) keep state by thread.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

import numpy as np

from foveate.errors import FoveateError, UsageError
from foveate.inference.batching import BatchSizer, sizer_for
from foveate.merge import MergeConfig, merge_tiles
from foveate.structures import Detections, Detector, ImageSource, Tile, TiledDetections, UInt8Image
from foveate.structures.boxes import valid_boxes
from foveate.tiling import TilePlan, canvas_size, plan_tiles, show_tile

Batches: TypeAlias = Generator[tuple[Sequence[Tile], Sequence[UInt8Image]]]
"""Groups of tiles, each with what the detector is shown of them."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """What was found in one picture, and how.

    Attributes:
        name: Of the source.
        width: Picture pixels.
        height: Picture pixels.
        detections: Merged, in picture pixels, best first.
        tiles: That the network was shown.
        seconds: Wall time of tiling, detection and merging; reading the file is not in it.
        capped_tiles: Tiles that gave as many boxes as the model can give one: some may be missing.
    """

    name: str
    width: int
    height: int
    detections: Detections
    tiles: list[Tile]
    seconds: float
    capped_tiles: int


class _Placed(NamedTuple):
    """One tile's boxes in picture pixels, and how many it had above the threshold."""

    detections: Detections
    above: int


def detect_image(
    source: ImageSource,
    detector: Detector,
    plan: TilePlan,
    merge: MergeConfig,
    *,
    score_threshold: float,
    size_multiple: int = 32,
    padding: int = 0,
    batch_size: int | None = None,
) -> ImageResult:
    """Detect objects in one picture.

    The result does not depend on `batch_size`: every tile of a picture is shown on a canvas of
    the same size, whichever tiles share its batch.

    Args:
        source: The picture.
        detector: An `OnnxDetector` or any callable ``images -> list[Detections]``. The images'
            memory is used again after the call, so it must keep no reference to them.
        plan: The tile geometry.
        merge: How the tiles' boxes become one set.
        score_threshold: Least score, in ``[0, 1]``, of a box that takes part in the merge.
        size_multiple: The tiles' canvas has sides that are multiples of this.
        padding: Value around tiles smaller than the canvas, 0 to 255.
        batch_size: Tiles a call; None chooses by measurement.

    Raises:
        FoveateError: If the picture cannot be read or does not suit the detector.
        UsageError: If `batch_size` is below 1.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch size must be at least 1, got {batch_size}")
    started = time.perf_counter()
    tiles = plan_tiles(source.width, source.height, plan, size_multiple)
    canvas = canvas_size(tiles, size_multiple)
    sizer = BatchSizer([batch_size]) if batch_size else sizer_for(detector, canvas)
    batches = _batches(source, tiles, canvas, padding, sizer)
    parts = _detect_tiles(batches, detector, sizer, score_threshold)
    most = getattr(detector, "max_detections", None)
    capped = 0 if most is None else sum(part.above >= most for part in parts)
    size = (source.width, source.height)
    tiled = TiledDetections.gather([part.detections for part in parts], tiles, size)
    merged = merge_tiles(tiled, merge)
    seconds = time.perf_counter() - started
    return ImageResult(source.name, *size, merged, tiles, seconds, capped)


def _detect_tiles(
    batches: Batches, detector: Detector, sizer: BatchSizer, score_threshold: float
) -> list[_Placed]:
    futures: list[Future[list[_Placed]]] = []
    with ThreadPoolExecutor(1, "foveate-boxes") as placer, closing(batches):
        for group, batch in batches:
            started = time.perf_counter()
            found = detector(batch)
            sizer.record(len(group), time.perf_counter() - started)
            if len(found) != len(group):
                raise FoveateError(
                    f"the detector returned {len(found)} results for {len(group)} images; "
                    f"expected one Detections an image"
                )
            futures.append(placer.submit(_place, found, group, score_threshold))
        return [part for future in futures for part in future.result()]


def _batches(
    source: ImageSource,
    tiles: Sequence[Tile],
    canvas: tuple[int, int],
    padding: int,
    sizer: BatchSizer,
) -> Batches:
    """Groups of tiles with their batch; while one is used, a thread prepares the next.

    A batch's memory is one of two buffers: it stays valid until the next batch is asked for.
    """
    width, height = canvas
    channels = source.read(Tile(0, 0, 1, 1, 1, 1)).shape[2]
    most = min(len(tiles), sizer.largest)
    buffers = [np.empty((most, height, width, channels), np.uint8) for _ in range(2)]
    with ThreadPoolExecutor(1, "foveate-tiles") as producer:

        def prepare(start: int, buffer: UInt8Image) -> tuple[Sequence[Tile], Future[UInt8Image]]:
            group = tiles[start : start + min(most, sizer.size)]
            return group, producer.submit(_show, source, group, buffer, padding)

        start = turn = 0
        group, pending = prepare(start, buffers[turn])
        while group:
            batch = pending.result()
            start, turn = start + len(group), 1 - turn
            upcoming, pending = prepare(start, buffers[turn])
            # An array of images is a sequence of images; its type cannot say so.
            yield group, cast("Sequence[UInt8Image]", batch)
            group = upcoming


def _show(
    source: ImageSource, tiles: Sequence[Tile], buffer: UInt8Image, padding: int
) -> UInt8Image:
    for canvas, tile in zip(buffer, tiles, strict=False):
        show_tile(source.read(tile), tile, canvas, padding)
    return buffer[: len(tiles)]


def _place(
    found: Sequence[Detections], tiles: Sequence[Tile], score_threshold: float
) -> list[_Placed]:
    placed = []
    for detections, tile in zip(found, tiles, strict=True):
        kept = detections[detections.scores >= score_threshold]
        boxes = tile.to_image(kept.boxes)
        in_picture = Detections(boxes, kept.scores, kept.labels)
        placed.append(_Placed(in_picture[valid_boxes(boxes)], len(kept)))
    return placed
