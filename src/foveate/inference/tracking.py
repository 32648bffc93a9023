"""Tracks: the same object has the same number from frame to frame.

Through the ``trackers`` library (ByteTrack; ``pip install foveate[track]``), which needs no torch.
Two boxes are compared by their IoU after both are grown by a part of their size (C-BIoU), for a
small object that moves by its own length has no overlap with where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from pydantic import Field

from foveate.config import Config
from foveate.inference.ball import Trajectory
from foveate.inference.video import FrameResult
from foveate.libraries import import_library
from foveate.structures import Detections, FloatArray, IntArray

NO_TRACK = -1
_RATE = 25.0


class TrackConfig(Config):
    """How detections are joined to tracks.

    Attributes:
        low: Detections down to this share of the score threshold keep a track alive, and begin
            none: what ByteTrack is about.
        lost: Seconds after which a track that is not seen ends.
        confirmed: Frames in a row in which an object must be seen to get a number.
        overlap: Least IoU, of the grown boxes, of an object with where it is expected.
        grown: Part of its size that a box is grown by on every side.
    """

    low: float = Field(default=0.5, gt=0, le=1)
    lost: float = Field(default=1.0, ge=0)
    confirmed: int = Field(default=2, ge=1)
    overlap: float = Field(default=0.1, gt=0, lt=1)
    grown: float = Field(default=0.5, ge=0)


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A frame's detections with their tracks.

    Attributes:
        index: Of the frame in its video.
        detections: As they were found.
        tracks: ``(N,)`` int64, from 1; `NO_TRACK` for a detection of none.
    """

    index: int
    detections: Detections
    tracks: IntArray


class Tracker:
    """Gives detections of one stream their tracks, each class by itself.

    Args:
        threshold: Least score of a detection that begins a track.
        rate: Frames a second, of those that are handed over.
        config: How they are joined.

    Raises:
        FoveateError: If ``trackers`` is not installed.
    """

    def __init__(
        self, threshold: float, rate: Fraction | None = None, config: TrackConfig | None = None
    ) -> None:
        self.config = config or TrackConfig()
        self._threshold = threshold
        self._rate = float(rate) if rate else _RATE
        self._library = import_library("trackers", "--track", "foveate[track]")
        self._boxes = import_library("supervision", "--track", "foveate[track]")
        self._overlap = import_library("trackers.utils.iou", "--track", "foveate[track]")
        self._by_class: dict[int, Any] = {}
        self._numbers: dict[tuple[int, int], int] = {}

    def update(self, index: int, detections: Detections) -> TrackedFrame:
        """The tracks of the next frame's detections."""
        tracks = np.full(len(detections), NO_TRACK, np.int64)
        for label in sorted({*self._by_class, *detections.labels.tolist()}):
            rows = np.flatnonzero(detections.labels == label)
            found = self._one_class(label).update(self._handed(detections, rows))
            if len(found):
                tracks[found.data["row"]] = [
                    self._number(label, number) for number in found.tracker_id.tolist()
                ]
        return TrackedFrame(index, detections, tracks)

    def expected(self) -> FloatArray:
        """Where live tracks were last, ``(T, 4)`` xyxy pixels: for a gate."""
        boxes = [
            track.get_state_bbox()
            for tracker in self._by_class.values()
            for track in tracker.tracks
        ]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def _one_class(self, label: int) -> Any:
        if label not in self._by_class:
            config = self.config
            self._by_class[label] = self._library.ByteTrackTracker(
                # The library counts in frames of a thirtieth of a second.
                lost_track_buffer=round(30 * config.lost),
                frame_rate=self._rate,
                track_activation_threshold=self._threshold,
                high_conf_det_threshold=self._threshold,
                minimum_consecutive_frames=config.confirmed,
                minimum_iou_threshold=config.overlap,
                iou=self._overlap.BIoU(buffer_ratio=config.grown),
            )
        return self._by_class[label]

    def _handed(self, detections: Detections, rows: IntArray) -> Any:
        return self._boxes.Detections(
            xyxy=detections.boxes[rows].astype(np.float64),
            confidence=detections.scores[rows],
            class_id=detections.labels[rows],
            data={"row": rows},
        )

    def _number(self, label: int, number: int) -> int:
        """A number of this stream, from 1, for one of a class."""
        if number < 0:
            return NO_TRACK
        return self._numbers.setdefault((label, number), len(self._numbers) + 1)


def to_mot(frames: Iterable[TrackedFrame], ball: Trajectory | None = None) -> str:
    """Tracks as the MOT Challenge takes them: a line an object and frame.

    ``frame, id, left, top, width, height, confidence, -1, -1, -1``, frames from 1, pixels. The
    ball, if there is one, has the id 0.
    """
    rows = [
        (frame.index, int(track), box, score)
        for frame in frames
        for track, box, score in zip(
            frame.tracks,
            frame.detections.boxes.tolist(),
            frame.detections.scores.tolist(),
            strict=True,
        )
        if track != NO_TRACK
    ]
    if ball is not None:
        rows += [
            (index, 0, box, score)
            for index, box, score in zip(
                ball.frames.tolist(), ball.boxes.tolist(), ball.confidence.tolist(), strict=True
            )
        ]
    lines = [
        f"{index + 1},{track},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},-1,-1,-1\n"
        for index, track, (x1, y1, x2, y2), score in sorted(rows, key=lambda row: row[:2])
    ]
    return "".join(lines)


def to_tracks(
    frames: Iterable[TrackedFrame], class_names: Sequence[str], ball: Trajectory | None = None
) -> dict[str, Any]:
    """Tracks as plain data: `tracks`, each with its frames, boxes and scores; and `ball`."""
    tracks: dict[int, dict[str, Any]] = {}
    for frame in frames:
        found = frame.detections
        for row in np.flatnonzero(frame.tracks != NO_TRACK).tolist():
            number, label = int(frame.tracks[row]), int(found.labels[row])
            name = class_names[label] if label < len(class_names) else f"class {label}"
            track = tracks.setdefault(
                number, {"id": number, "class": name, "frames": [], "boxes": [], "scores": []}
            )
            track["frames"].append(frame.index)
            track["boxes"].append([round(value, 2) for value in found.boxes[row].tolist()])
            track["scores"].append(round(float(found.scores[row]), 4))
    return {
        "tracks": [tracks[number] for number in sorted(tracks)],
        "ball": None if ball is None else ball.to_dict(),
    }


def track_results(results: Iterable[FrameResult], tracker: Tracker) -> list[TrackedFrame]:
    """The tracks of frames that are done already."""
    return [tracker.update(result.index, result.detections) for result in results]
