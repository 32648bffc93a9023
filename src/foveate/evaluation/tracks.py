"""How well tracks follow objects: MOTA, IDF1 and HOTA, through the ``trackers`` library.

Its evaluation gives what TrackEval, the MOT Challenge's own, gives. Labels come as the Challenge's
text or as a clip of COCO with videos; boxes are compared by IoU, whatever their class.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foveate.data.files import read_text
from foveate.data.formats.coco_video import Clip
from foveate.errors import FoveateError
from foveate.libraries import import_library
from foveate.structures import BoolArray, IntArray

_FIELDS = 6
"""Of a line: frame, track, left, top, width, height; more may follow."""
_COUNTS, _DISTRACTOR = 1, 8
"""Classes of the MOT Challenge: a pedestrian, and what is neither right nor wrong to find."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackRows:
    """Boxes with their tracks, of one video.

    Attributes:
        frame: ``(N,)`` from 1.
        track: ``(N,)``.
        boxes: ``(N, 4)`` left, top, width, height, pixels.
        ignore: ``(N,)``: of labels, neither right nor wrong to find.
    """

    frame: IntArray
    track: IntArray
    boxes: NDArray[np.float64]
    ignore: BoolArray

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.frame)


@dataclass(frozen=True, slots=True)
class TrackScores:
    """How well tracks follow the labelled ones; ratios, at IoU .5 but for HOTA.

    Attributes:
        mota: 1 less misses, false boxes and switches over labelled boxes; may be below 0.
        idf1: F1 of boxes that have the right number, by the best pairing of whole tracks.
        hota: Geometric mean of detection and association, over IoU .05 to .95.
        recall: Labelled boxes found.
        precision: Boxes that are right.
        switches: Times that a labelled track changes its number.
        labelled: Boxes.
        found: Boxes.
    """

    mota: float
    idf1: float
    hota: float
    recall: float
    precision: float
    switches: int
    labelled: int
    found: int


def read_tracks(path: Path, *, truth: bool = False) -> TrackRows:
    """Read tracks as the MOT Challenge writes them: a line a box, with commas.

    Args:
        path: The text.
        truth: Whether it is of labels: then lines whose seventh field is 0 are not to be counted.
            Otherwise the lines of track 0 are left out: foveate writes the ball there, which has
            no track.

    Raises:
        FoveateError: If it cannot be read, holds nothing, or a line is wrong: file and line.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            rows.append(_fields(line, f"{path}: line {number}"))
    table = np.array(rows, np.float64).reshape(-1, _FIELDS + 1)
    ignore = (table[:, 6] == 0) if truth else np.zeros(len(table), bool)
    read = TrackRows(
        table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:6], ignore
    )
    if truth and read.ignore.all():
        raise FoveateError(f"{path}: no tracks to compare with")
    return read if truth else _where(read, read.track != 0)


def clip_tracks(clip: Clip) -> TrackRows:
    """The labelled tracks of a clip; objects that are to be ignored, and those of no track, are so.

    Raises:
        FoveateError: If no object of it has a track.
    """
    frames, tracks, boxes, ignore = [], [], [], []
    for sample, index, own in zip(clip.samples, clip.frame_index, clip.tracks, strict=True):
        known = sample.annotations
        frames.append(np.full(len(own), index + 1))
        tracks.append(own)
        boxes.append(
            np.concatenate([known.boxes[:, :2], known.boxes[:, 2:] - known.boxes[:, :2]], axis=1)
        )
        ignore.append(known.ignore | (own < 0))
    rows = TrackRows(
        np.concatenate(frames).astype(np.int64),
        np.concatenate(tracks).astype(np.int64),
        np.concatenate(boxes).astype(np.float64),
        np.concatenate(ignore).astype(bool),
    )
    if rows.ignore.all():
        raise FoveateError(f"clip {clip.name}: no object has a track_id to compare with")
    return rows


def evaluate_tracks(truth: TrackRows, found: TrackRows) -> TrackScores:
    """Compare tracks with the labelled ones.

    Raises:
        FoveateError: If ``trackers`` is not installed, or a track has two boxes in one frame.
    """
    library = import_library("trackers.eval", "scoring tracks", "foveate[track]")
    for rows, what in ((truth, "the labels"), (found, "the tracks")):
        _require_once(_where(rows, ~rows.ignore), what)
    if not len(found):  # of which the library would make an error
        return TrackScores(0, 0, 0, 0, 0, 0, int((~truth.ignore).sum()), 0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("truth.txt", "found.txt")]
        for path, rows in zip(paths, (truth, found), strict=True):
            path.write_text(_text(rows))
        scores = library.evaluate_mot_sequence(*paths, metrics=["CLEAR", "HOTA", "Identity"])
    return TrackScores(
        mota=float(scores.CLEAR.MOTA),
        idf1=float(scores.Identity.IDF1),
        hota=float(scores.HOTA.HOTA),
        recall=float(scores.CLEAR.CLR_Re),
        precision=float(scores.CLEAR.CLR_Pr),
        switches=int(scores.CLEAR.IDSW),
        labelled=int(scores.CLEAR.CLR_TP + scores.CLEAR.CLR_FN),
        found=int(scores.CLEAR.CLR_TP + scores.CLEAR.CLR_FP),
    )


def _fields(line: str, where: str) -> list[float]:
    """Frame, track, box and what the seventh field says, 1 if there is none."""
    try:
        values = [float(field) for field in line.split(",")[: _FIELDS + 1]]
    except ValueError:
        values = []
    sound = len(values) >= _FIELDS and all(map(math.isfinite, values))
    whole = sound and values[0] >= 1 and all(v == int(v) for v in values[:2])
    if not whole or values[4] < 0 or values[5] < 0:
        raise FoveateError(
            f"{where}: expected frame (from 1), track, left, top, width, height, as numbers with "
            f"commas; got {line[:60]!r}"
        )
    return [*values, 1.0][: _FIELDS + 1]


def _where(rows: TrackRows, kept: BoolArray) -> TrackRows:
    return TrackRows(rows.frame[kept], rows.track[kept], rows.boxes[kept], rows.ignore[kept])


def _require_once(rows: TrackRows, what: str) -> None:
    pairs, counts = np.unique(
        np.stack([rows.frame, rows.track], axis=1), axis=0, return_counts=True
    )
    if (counts > 1).any():
        frame, track = pairs[counts > 1][0].tolist()
        raise FoveateError(f"{what} have two boxes of track {track} in frame {frame}")


def _text(rows: TrackRows) -> str:
    """As the library reads it; ignored labels are distractors, each a track of its own."""
    numbers = np.where(rows.ignore, -1 - np.arange(len(rows)), rows.track)
    kinds = np.where(rows.ignore, _DISTRACTOR, _COUNTS)
    lines = [
        f"{frame},{track},{x},{y},{width},{height},1,{kind},1\n"
        for frame, track, (x, y, width, height), kind in zip(
            rows.frame.tolist(), numbers.tolist(), rows.boxes.tolist(), kinds.tolist(), strict=True
        )
    ]
    return "".join(lines)
