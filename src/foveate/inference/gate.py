"""Motion-gated tiles: on a fixed camera, look again only where something changed.

A cell of the picture is looked at when it differs from how it was when it was last looked at, when
a live track reaches into it, or when its turn has come. Tiles are fitted around such cells
(`foveate.tiling.fitted`): a whole tile for every ball in one would leave little to save. What was
found in the other cells still holds. Each cell is compared with what it was when it was last looked
at, so that slow change adds up and is noticed [D].

Shapes: R, C = rows and columns of cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from pydantic import Field

from foveate.config import Config
from foveate.data.camera import GreyImage
from foveate.data.motion import to_grey
from foveate.inference.folder import Runner
from foveate.inference.layers import LayeredSource, SourceView
from foveate.inference.pipeline import ImageResult
from foveate.structures import BoolArray, Detections, FloatArray, IntArray, Tile, UInt8Image
from foveate.structures.box_index import BoxIndex
from foveate.structures.boxes import paired_iou
from foveate.tiling import shown_pixels
from foveate.tiling.fitted import cheaper, fitted_tiles
from foveate.tiling.select import by_scale

_CELL = 16
"""Side of a cell, picture pixels."""
_SAME = 0.5
"""IoU from which two boxes of one class, found in different frames, are of one object."""


class GateConfig(Config):
    """When and how a part of the picture is looked at again.

    Attributes:
        levels: Grey levels by which a pixel has changed, once noise is smoothed over 3 x 3.
        pixels: So many of them within 32 x 32 change a cell; a ball four pixels wide changes twice
            as many.
        margin: Network pixels that are shown around what changed: the largest part of an object
            that may stand still while the rest of it moves.
        refresh: Every part is looked at every so many frames, at turns.
    """

    levels: int = Field(default=12, ge=1, le=255)
    pixels: int = Field(default=6, ge=1)
    margin: int = Field(default=32, ge=0)
    refresh: int = Field(default=50, ge=1)


class MotionGate:
    """Decides where a stream is looked at, and remembers what was found elsewhere.

    Args:
        config: When and how a part is looked at again.

    Attributes:
        shown: Network pixels shown so far.
        planned: Network pixels of all tiles so far.
    """

    def __init__(self, config: GateConfig | None = None) -> None:
        self.config = config or GateConfig()
        self.shown = 0
        self.planned = 0
        self._live: FloatArray = np.zeros((0, 4), np.float32)
        self._frame = -1
        self._seen: _Seen | None = None
        self._found = Detections.empty()

    def follow(self, boxes: FloatArray) -> None:
        """Say where live tracks are expected in the next frame, ``(N, 4)`` picture pixels."""
        self._live = boxes

    def detect(self, run: Runner, source: LayeredSource) -> ImageResult:
        """Detect in the next frame.

        Args:
            run: Detects in what it is given of a picture.
            source: The frame; of one size throughout.
        """
        self._frame += 1
        view = _GatedSource(source, self)
        result = run(view)
        self.shown += shown_pixels(result.tiles)
        self._found = _renewed(self._found, result.detections, view.inside)
        return replace(result, detections=self._found)

    def choose(
        self, tiles: Sequence[Tile], source: LayeredSource, multiple: int
    ) -> tuple[list[Tile], BoolArray]:
        """What is looked at of the present frame.

        Args:
            tiles: Of the plan.
            source: The frame.
            multiple: Of the sides that the network takes.

        Returns:
            Tiles, and the cells ``(R, C)`` of which what they give holds from now on.
        """
        self.planned += shown_pixels(tiles)
        grey = np.asarray(cv2.blur(to_grey(source.layers[..., :3]), (3, 3)), np.uint8)
        if self._seen is None:
            self._seen = _Seen.first(grey, tiles, self.config.refresh)
            return list(tiles), np.ones(self._seen.frame.shape, bool)
        wanted = self._changed(self._seen, grey) | self._tracked(self._seen.frame.shape)
        wanted |= self._frame - self._seen.frame >= self.config.refresh
        if not wanted.any():
            return [], wanted
        self._seen.renew(wanted, grey, self._frame)
        size = source.width, source.height
        chosen: list[Tile] = []
        for group in by_scale(tiles).values():
            margin = self.config.margin
            fitted = fitted_tiles(group, wanted, _CELL, size, margin, multiple)
            chosen += cheaper(fitted, group)
        return chosen, wanted

    def __str__(self) -> str:
        """What was saved, such as ``26 % of all tiles' pixels looked at``."""
        share = round(100 * self.shown / self.planned) if self.planned else 0
        return f"{share} % of all tiles' pixels looked at"

    def _changed(self, seen: _Seen, grey: GreyImage) -> BoolArray:
        """Cells of which enough pixels differ, with their neighbours: what moved was there too."""
        differs = (cv2.absdiff(seen.grey, grey) > self.config.levels).astype(np.float32)
        rows, columns = seen.frame.shape
        right, below = columns * _CELL - grey.shape[1], rows * _CELL - grey.shape[0]
        whole = cv2.copyMakeBorder(differs, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
        # Averages of ones and zeros over 16 x 16 are exact.
        counts = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA) * _CELL**2
        # A small thing may lie on the corner of four cells.
        four = np.pad(counts, ((0, 1), (0, 1)))
        four = four[:-1, :-1] + four[1:, :-1] + four[:-1, 1:] + four[1:, 1:]
        enough = (four >= self.config.pixels).astype(np.uint8)
        return np.asarray(cv2.dilate(enough, np.ones((4, 4), np.uint8), anchor=(2, 2)) > 0)

    def _tracked(self, shape: tuple[int, int]) -> BoolArray:
        cells = np.zeros(shape, bool)
        for x1, y1, x2, y2 in (self._live / _CELL).tolist():
            if x2 > 0 and y2 > 0:
                cells[max(0, int(y1)) : math.ceil(y2), max(0, int(x1)) : math.ceil(x2)] = True
        return cells


@dataclass(slots=True)
class _Seen:
    """When and how each cell was last looked at.

    Attributes:
        grey: The picture, smoothed: each cell as it was then.
        frame: ``(R, C)``.
    """

    grey: GreyImage
    frame: IntArray

    @classmethod
    def first(cls, grey: GreyImage, tiles: Sequence[Tile], refresh: int) -> _Seen:
        """All cells at once; their turns are spread, a block about as large as a tile at a time."""
        rows, columns = (math.ceil(side / _CELL) for side in grey.shape)
        across = math.ceil(grey.shape[1] / tiles[0].width)
        down = math.ceil(grey.shape[0] / tiles[0].height)
        block = (np.arange(rows) * down // rows)[:, None] * across
        block = block + (np.arange(columns) * across // columns)[None]
        return cls(grey, -(block * refresh // (across * down)))

    def renew(self, cells: BoolArray, grey: GreyImage, frame: int) -> None:
        """Some cells are looked at now."""
        self.frame[cells] = frame
        pixels = np.repeat(np.repeat(cells.astype(np.uint8), _CELL, axis=0), _CELL, axis=1)
        cv2.copyTo(grey, pixels[: grey.shape[0], : grey.shape[1]], self.grey)


class _GatedSource(SourceView):
    """A frame of which the gate says where it is looked at.

    Attributes:
        source: The frame.
        inside: ``(R, C)``: cells of which what is found holds.
    """

    __slots__ = ("_gate", "inside", "source")

    def __init__(self, source: LayeredSource, gate: MotionGate) -> None:
        self.source: LayeredSource = source
        self._gate = gate
        self.inside: BoolArray = np.zeros((0, 0), bool)

    def choose(self, tiles: Sequence[Tile], multiple: int) -> list[Tile]:
        """The tiles to look at."""
        chosen, self.inside = self._gate.choose(tiles, self.source, multiple)
        return chosen

    def read(self, tile: Tile) -> UInt8Image:
        """The tile's region."""
        return self.source.read(tile)


def _renewed(old: Detections, new: Detections, inside: BoolArray) -> Detections:
    """What was found before outside of some cells, and what was found now inside of them.

    A box lies where its centre does. One that moved out of the cells is taken for what it was, by
    its overlap with a box that lay inside; and one of before that overlaps with a new one goes.
    """
    if inside.all():
        return new
    gone = _lies_in(old, inside)
    taken = _lies_in(new, inside) | _overlapped(new, old[gone])
    fresh = new[taken]
    kept = old[~gone]
    return Detections.concatenate([kept[~_overlapped(kept, fresh)], fresh]).in_order()


def _lies_in(found: Detections, cells: BoolArray) -> BoolArray:
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / (2 * _CELL)
    column, row = np.clip(centres.astype(np.int64), 0, np.array(cells.shape[::-1]) - 1).T
    return np.asarray(cells[row, column])


def _overlapped(some: Detections, others: Detections) -> BoolArray:
    """Which of some boxes are, by class and overlap, of an object among the others."""
    taken = np.zeros(len(some), bool)
    for i, j in BoxIndex(others.boxes, others.labels).query(some.boxes, some.labels):
        enough = paired_iou(np.take(some.boxes, i, axis=0), np.take(others.boxes, j, axis=0))
        taken[i[enough >= _SAME]] = True
    return taken
