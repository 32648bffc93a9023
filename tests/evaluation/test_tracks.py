"""Tracks against labelled tracks: figures known by hand, and files that are wrong."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from foveate.data.formats.coco_video import Clip
from foveate.errors import FoveateError
from foveate.evaluation.tracks import TrackRows, clip_tracks, evaluate_tracks, read_tracks
from foveate.structures import Annotations, Sample


def write(path: Path, rows: list[tuple[float, ...]]) -> Path:
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def two_walkers(numbers: list[tuple[int, int]]) -> list[tuple[float, ...]]:
    """Two boxes far apart in each frame, with these tracks."""
    return [
        (frame, track, 10 + 200 * place + 3 * frame, 20, 10, 20, 0.9, -1, -1, -1)
        for frame, pair in enumerate(numbers, start=1)
        for place, track in enumerate(pair)
    ]


def test_figures_known_by_hand(tmp_path: Path) -> None:
    pytest.importorskip("trackers")
    truth = read_tracks(write(tmp_path / "gt.txt", two_walkers([(1, 2)] * 10)), truth=True)
    perfect = read_tracks(write(tmp_path / "a.txt", two_walkers([(7, 9)] * 10)))
    scores = evaluate_tracks(truth, perfect)
    assert (scores.mota, scores.idf1, scores.hota) == pytest.approx((1, 1, 1))
    assert (scores.labelled, scores.found, scores.switches) == (20, 20, 0)
    # One track changes its number after five frames: one switch in twenty boxes, and for the
    # identities a quarter of the boxes are of another track.
    changed = two_walkers([(7, 9)] * 5 + [(7, 11)] * 5)
    scores = evaluate_tracks(truth, read_tracks(write(tmp_path / "b.txt", changed)))
    assert scores.switches == 1
    assert scores.mota == pytest.approx(1 - 1 / 20)
    assert scores.idf1 == pytest.approx(15 / 20)
    assert scores.recall == scores.precision == 1
    # Half of the boxes are missing.
    scores = evaluate_tracks(truth, read_tracks(write(tmp_path / "c.txt", changed[::2])))
    assert scores.mota == pytest.approx(0.5)
    assert scores.idf1 == pytest.approx(2 / 3)


def test_the_ball_and_ignored_labels_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    pytest.importorskip("trackers")
    rows = two_walkers([(1, 2)] * 4)
    marked = [(*row[:6], 0 if row[1] == 2 else 1) for row in rows]
    truth = read_tracks(write(tmp_path / "gt.txt", marked), truth=True)
    ball = [(frame, 0, 500, 500, 5, 5, 0.9) for frame in range(1, 5)]
    found = read_tracks(write(tmp_path / "a.txt", [*rows, *ball]))
    assert len(found) == 8
    scores = evaluate_tracks(truth, found)
    assert (scores.mota, scores.idf1, scores.labelled) == (1, 1, 4)


def test_no_tracks_found_is_no_error(tmp_path: Path) -> None:
    pytest.importorskip("trackers")
    truth = read_tracks(write(tmp_path / "gt.txt", two_walkers([(1, 2)])), truth=True)
    scores = evaluate_tracks(truth, read_tracks(write(tmp_path / "none.txt", [])))
    assert (scores.mota, scores.idf1, scores.found) == (0, 0, 0)


def test_labels_of_a_clip() -> None:
    def sample(number: int) -> Sample:
        boxes = np.array([[0, 0, 4, 6], [10, 10, 14, 16], [30, 30, 34, 36]], np.float32)
        known = Annotations(boxes, np.zeros(3, np.int64), np.array([False, True, False]))
        return Sample(Path(f"{number}.png"), number, 40, 40, known)

    tracks = (np.array([5, 6, -1]),) * 2
    clip = Clip("one", (sample(1), sample(2)), np.array([0, 3]), tracks, Fraction(25))
    rows = clip_tracks(clip)
    assert rows.frame.tolist() == [1, 1, 1, 4, 4, 4]
    assert rows.boxes[0].tolist() == [0, 0, 4, 6]
    assert rows.ignore.tolist() == [False, True, True] * 2
    none = Clip("none", clip.samples, clip.frame_index, (np.array([-1] * 3),) * 2)
    with pytest.raises(FoveateError, match="clip none: no object has a track_id"):
        clip_tracks(none)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,2,3", "line 1: expected frame"),
        ("0,1,0,0,5,5", "line 1: expected frame"),
        ("1,1,0,0,-5,5", "line 1: expected frame"),
        ("1,1.5,0,0,5,5", "line 1: expected frame"),
        ("1,1,nan,0,5,5", "line 1: expected frame"),
        ("one,1,0,0,5,5", "line 1: expected frame"),
        ("", "no tracks to compare with"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "gt.txt").write_text(line)
    with pytest.raises(FoveateError, match=said):
        read_tracks(tmp_path / "gt.txt", truth=True)


def test_a_track_is_in_one_place_at_a_time() -> None:
    pytest.importorskip("trackers")
    twice = TrackRows(np.ones(2, int), np.ones(2, int), np.ones((2, 4)), np.zeros(2, bool))
    with pytest.raises(FoveateError, match="the labels have two boxes of track 1 in frame 1"):
        evaluate_tracks(twice, twice)
