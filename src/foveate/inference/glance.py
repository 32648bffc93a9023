"""Where in a picture to look: a glance's file, without torch, and what its figures promise."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import cv2
import numpy as np

from foveate.data.files import read_file
from foveate.errors import FoveateError, UsageError
from foveate.evaluation.guarantee import pictures_needed
from foveate.inference.glance_info import (
    MULTIPLE,
    STRIDE,
    Calibration,
    detector_hash,
    read_glance_info,
    recall_in_words,
)
from foveate.inference.onnx_session import OnnxSessions
from foveate.structures import Detector, FloatArray, ImageSource, UInt8Image
from foveate.tiling.reduce import reduced, reduced_size
from foveate.tiling.select import Demand

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

T = TypeVar("T")

_BLOCK = 768
"""Reduced pixels that are looked at at once, a multiple of 8: it bounds memory."""
_AROUND = 64
"""Reduced pixels around a block that are shown with it; what lies further hardly matters [D]."""


class _Block(NamedTuple):
    """A part of the reduced picture: what is wanted of it, and what is shown."""

    wanted: tuple[int, int, int, int]
    shown: tuple[int, int, int, int]


class OnnxGlance:
    """A glance's file.

    A picture is shown block by block, several side by side, so that memory grows only with the
    map, by four bytes a cell of 16 x 16 pixels (or larger). Results do not depend on the threads.

    Args:
        path: Made by ``foveate glance fit``.
        threads: None takes as many as there are processors to run on.

    Attributes:
        path: The file.
        info: What it says of itself.

    Raises:
        FoveateError: If the file is missing, damaged, or no glance.
        UsageError: If `threads` is below 1.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path, self.info = path, read_glance_info(path)
        self._threads = threads
        self._sessions = OnnxSessions(path, threads)

    def rest(self) -> None:
        """Let go of the memory that looking took; it is taken again when it is needed."""
        self._sessions = OnnxSessions(self.path, self._threads)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(read_file(self.path)).hexdigest()

    def __call__(self, source: ImageSource) -> FloatArray:
        """Presence of objects in the cells of a picture, ``(R, C)`` in ``[0, 1]``.

        Raises:
            FoveateError: If the picture cannot be read, or has not as many channels.
        """
        width, height = reduced_size(source, self.info.reduction)
        presence = np.zeros((math.ceil(height / STRIDE), math.ceil(width / STRIDE)), np.float32)
        for blocks in _batched(_blocks(width, height), self._sessions.parallel):
            images = [self._image(source, block) for block in blocks]
            maps = self._sessions.start(self._presence, images)()
            for block, found in zip(blocks, maps, strict=True):
                _paste(presence, block, found)
        return presence

    def levels(self, presence: FloatArray) -> FloatArray:
        """The level of each cell, ``(R, C)``: the highest presence within reach of it."""
        side = 2 * self.info.reach + 1
        around = cv2.dilate(presence, np.ones((side, side), np.uint8))
        return np.asarray(around, np.float32).reshape(presence.shape)

    def demand(self, source: ImageSource, presence: FloatArray, threshold: float) -> Demand:
        """What must be looked at so that every cell of at least this level is.

        What a cell is worth is its presence to the fourth power, so that many cells of next to
        nothing are not worth as much as one object [D].
        """
        wanted = self.levels(presence) >= threshold
        size = (source.width, source.height)
        return Demand(size, self.info.cell, presence**4, wanted)

    def threshold_for(self, recall: float) -> float:
        """The highest threshold at which a recall is kept.

        Raises:
            FoveateError: If the calibration does not reach that far; it says what would.
        """
        calibration = self.calibration
        kept = [row.threshold for row in calibration.rows if row.bound >= recall]
        if kept:
            return max(kept)
        best = max((row.bound for row in calibration.rows), default=0.0)
        more = pictures_needed(recall, calibration.level) - calibration.units
        whats = f"{calibration.unit}s with objects"
        if more > 0:
            hint = f"hold out about {more} more {whats}, or ask for at most {recall_in_words(best)}"
        else:
            hint = f"fit it on more pictures, or ask for at most {recall_in_words(best)}"
        raise FoveateError(
            f"{self.path} cannot promise a recall of {recall:g}: {calibration.units} {whats} "
            f"were held out to calibrate it; {hint}"
        )

    def expected_miss(self, unseen_level: float) -> float:
        """What share of objects is missed at most, where no cell above a level was left out.

        Args:
            unseen_level: The highest level of a cell that no tile held well; below 0 if none.

        Returns:
            One minus the bound, in ``[0, 1]``; 0 if every cell was held.
        """
        if unseen_level < 0:
            return 0.0
        bounds = [row.bound for row in self.calibration.rows if row.threshold > unseen_level]
        return 1 - max(bounds, default=0.0)

    @property
    def calibration(self) -> Calibration:
        """What held-out pictures said.

        Raises:
            FoveateError: If the file holds none.
        """
        if self.info.calibration is None or not self.info.calibration.rows:
            raise FoveateError(f"{self.path}: a glance that is not calibrated; fit it again")
        return self.info.calibration

    def require_detector(self, detector: Detector, class_names: Sequence[str]) -> None:
        """See that it was fitted for a detector, or for the one of floats that it was made from.

        Raises:
            FoveateError: If it was for other classes or another file.
        """
        names = ", ".join(self.info.class_names)
        if tuple(class_names) != self.info.class_names:
            raise FoveateError(
                f"{self.path} was fitted for a detector of {names or 'unnamed classes'}, and this "
                f"one finds {', '.join(class_names) or 'unnamed classes'}: fit a glance for it"
            )
        quantisation = getattr(getattr(detector, "info", None), "quantisation", None)
        floats = None if quantisation is None else quantisation.source_sha256
        if self.info.detector_hash not in (floats, detector_hash(detector)):
            raise FoveateError(
                f"{self.path} was fitted for another detector, {self.info.detector} of another "
                "file: fit a glance for this one ('foveate glance fit')"
            )

    def _image(self, source: ImageSource, block: _Block) -> UInt8Image:
        """What is shown of a block, ``(H, W, C)``, its sides made multiples of 8."""
        info = self.info
        pixels = reduced(source, block.shown, info.reduction, info.channels)
        if pixels.shape[2] != info.channels:
            raise FoveateError(
                f"{source.name} has {pixels.shape[2]} channels, and {self.path} was fitted on "
                f"{info.channels}; leave --select out, or fit it on such pictures"
            )
        down, right = -pixels.shape[0] % MULTIPLE, -pixels.shape[1] % MULTIPLE
        return np.pad(pixels, ((0, down), (0, right), (0, 0)), mode="edge")

    def _presence(self, session: onnxruntime.InferenceSession, image: UInt8Image) -> FloatArray:
        size = f"{image.shape[1]} x {image.shape[0]}"
        found: FloatArray = self._sessions.run(
            session, ["presence"], {"images": np.ascontiguousarray(image)[None]}, size
        )[0][0]
        return found


def read_recall(text: str) -> float:
    """A recall target above 0 and below 1.

    Raises:
        UsageError: If it is none.
    """
    try:
        recall = float(text)
    except ValueError:
        recall = math.nan
    if not 0 < recall < 1:
        raise UsageError(f"select: a recall is above 0 and below 1, such as 0.95; got {text!r}")
    return recall


def _blocks(width: int, height: int) -> Iterator[_Block]:
    """Blocks of a reduced picture in reading order; each begins at a multiple of 8."""
    for y in range(0, height, _BLOCK):
        for x in range(0, width, _BLOCK):
            right, bottom = min(width, x + _BLOCK), min(height, y + _BLOCK)
            shown = (
                max(0, x - _AROUND),
                max(0, y - _AROUND),
                min(width, right + _AROUND),
                min(height, bottom + _AROUND),
            )
            yield _Block((x, y, right, bottom), shown)


def _paste(presence: FloatArray, block: _Block, found: FloatArray) -> None:
    """Write what a block gave into the map of the picture, without what was shown around it."""
    x1, y1, x2, y2 = block.wanted
    top, left = (y1 - block.shown[1]) // STRIDE, (x1 - block.shown[0]) // STRIDE
    rows, columns = math.ceil((y2 - y1) / STRIDE), math.ceil((x2 - x1) / STRIDE)
    row, column = y1 // STRIDE, x1 // STRIDE
    presence[row : row + rows, column : column + columns] = found[
        top : top + rows, left : left + columns
    ]


def _batched(items: Iterator[T], count: int) -> Iterator[list[T]]:
    while batch := list(islice(items, count)):
        yield batch
