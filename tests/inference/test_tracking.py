"""Tracks through the trackers library: numbers that stay, and files that others read."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from foveate.errors import FoveateError
from foveate.inference.ball import Trajectory
from foveate.inference.tracking import TrackedFrame, Tracker, to_mot, to_tracks
from foveate.structures import Detections


def found(*rows: tuple[float, float, float, int]) -> Detections:
    """Boxes of 8 x 8 by left, top, score and label."""
    boxes = np.array([[x, y, x + 8, y + 8] for x, y, *_ in rows], np.float32)
    scores = np.array([row[2] for row in rows], np.float32)
    return Detections(boxes, scores, np.array([row[3] for row in rows], np.int64))


def test_without_the_library_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trackers", None)
    with pytest.raises(FoveateError, match="trackers"):
        Tracker(0.5)


def test_small_objects_that_cross_keep_their_numbers() -> None:
    pytest.importorskip("trackers")
    tracker = Tracker(0.5, Fraction(25))
    numbers = []
    for t in range(20):
        both = found((10 + 6 * t, 50, 0.9, 0), (124 - 6 * t, 62, 0.9, 0), (300, 300, 0.9, 1))
        numbers.append(tracker.update(t, both).tracks.tolist())
    assert numbers[0] == [-1, -1, -1]
    assert numbers[-1] == [1, 2, 3]
    assert all(row == [1, 2, 3] for row in numbers[2:])
    assert len(tracker.expected()) == 3


def test_a_weak_detection_keeps_a_track_and_begins_none() -> None:
    pytest.importorskip("trackers")
    tracker = Tracker(0.5, Fraction(25))
    for t in range(6):
        score = 0.9 if t < 3 else 0.3
        frame = tracker.update(t, found((10 + 2 * t, 50, score, 0), (200, 50, 0.3, 0)))
    assert frame.tracks.tolist() == [1, -1]


def test_a_track_that_is_gone_for_too_long_ends() -> None:
    pytest.importorskip("trackers")
    tracker = Tracker(0.5, Fraction(10))
    for t in range(5):
        tracker.update(t, found((10, 50, 0.9, 0)))
    for t in range(5, 12):
        assert tracker.update(t, Detections.empty()).tracks.tolist() == []
    again = [tracker.update(t, found((10, 50, 0.9, 0))).tracks.tolist() for t in range(12, 15)]
    assert again[-1] == [1]
    for t in range(15, 40):
        tracker.update(t, Detections.empty())
    assert len(tracker.expected()) == 0
    again = [tracker.update(t, found((10, 50, 0.9, 0))).tracks.tolist() for t in range(40, 43)]
    assert again[-1] == [2]


def _tracked() -> tuple[list[TrackedFrame], Trajectory]:
    frames = [
        TrackedFrame(0, found((1, 2, 0.9, 0), (50, 2, 0.4, 0)), np.array([7, -1])),
        TrackedFrame(1, found((3, 2, 0.8, 0)), np.array([7])),
    ]
    box = np.array([[5, 5, 9, 9]], np.float32)
    ball = Trajectory(np.array([1]), box, np.array([0.25], np.float32), np.array([False]))
    return frames, ball


def test_mot_lines() -> None:
    assert to_mot(*_tracked()) == (
        "1,7,1.00,2.00,8.00,8.00,0.9000,-1,-1,-1\n"
        "2,0,5.00,5.00,4.00,4.00,0.2500,-1,-1,-1\n"
        "2,7,3.00,2.00,8.00,8.00,0.8000,-1,-1,-1\n"
    )


def test_tracks_as_plain_data() -> None:
    frames, ball = _tracked()
    assert to_tracks(frames, ("player", "ball"), ball) == {
        "tracks": [
            {
                "id": 7,
                "class": "player",
                "frames": [0, 1],
                "boxes": [[1, 2, 9, 10], [3, 2, 11, 10]],
                "scores": [0.9, 0.8],
            }
        ],
        "ball": {
            "frames": [1],
            "boxes": [[5, 5, 9, 9]],
            "confidence": [0.25],
            "seen": [False],
        },
    }
