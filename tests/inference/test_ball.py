"""The one ball: its path among false candidates, and gaps bridged as it flies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from foveate.inference.ball import BallConfig, Trajectory, ball_trajectory
from foveate.inference.video import FrameResult
from foveate.structures import Detections

Seen = tuple[float, float, float]
"""Centre x, centre y, score."""


def results(frames: Sequence[Sequence[Seen]], stride: int = 1) -> list[FrameResult]:
    made = []
    for index, seen in enumerate(frames):
        boxes = np.array([[x - 3, y - 3, x + 3, y + 3] for x, y, _ in seen], np.float32)
        scores = np.array([score for *_, score in seen], np.float32)
        found = Detections(boxes, scores, np.ones(len(seen), np.int64))
        made.append(FrameResult(index * stride, index / 25, found, 1, 0, 0, 0.0))
    return made


def centres(ball: Trajectory) -> list[list[float]]:
    middle = (ball.boxes[:, :2] + ball.boxes[:, 2:]) / 2
    return [[round(value, 3) for value in row] for row in middle.tolist()]


def flight(count: int) -> list[tuple[float, float]]:
    return [(10.0 + 12 * t, 300 - 30 * t + 1.5 * t * t) for t in range(count)]


def test_of_a_steady_ball_and_louder_strays_the_ball_is_chosen() -> None:
    rng = np.random.default_rng(1)
    frames = []
    for x, y in flight(20):
        stray = (float(rng.uniform(0, 2000)), float(rng.uniform(0, 1200)), 0.7)
        frames.append([stray, (x, y, 0.5)])
    ball = ball_trajectory(results(frames), 1)
    assert centres(ball) == [[round(x, 3), round(y, 3)] for x, y in flight(20)]
    assert ball.seen.all()
    np.testing.assert_allclose(ball.confidence, 0.5)


def test_a_flight_is_bridged_by_its_parabola() -> None:
    whole = flight(20)
    frames = [[(x, y, 0.8)] if not 6 <= t < 13 else [] for t, (x, y) in enumerate(whole)]
    ball = ball_trajectory(results(frames), 1)
    assert ball.frames.tolist() == list(range(20))
    np.testing.assert_allclose(centres(ball), whole, atol=0.1)
    assert ball.seen.tolist() == [not 6 <= t < 13 for t in range(20)]
    gap = ball.confidence[6:13].tolist()
    assert gap == pytest.approx([0.8 * 0.93**n for n in (1, 2, 3, 4, 3, 2, 1)], abs=1e-5)


def test_with_one_position_on_a_side_a_line_bridges() -> None:
    ball = ball_trajectory(results([[(0, 0, 0.9)], [], [], [(30, 60, 0.5)]]), 1)
    assert centres(ball) == [[0, 0], [10, 20], [20, 40], [30, 60]]
    assert ball.confidence[1] == pytest.approx(0.5 * 0.93)


def test_a_bounce_is_bridged_by_a_line() -> None:
    down = [(10.0 * t, 40.0 * t) for t in range(5)]
    up = [(10.0 * t, 40.0 * (16 - t)) for t in range(8, 13)]
    frames = [[(*spot, 0.8)] for spot in down] + [[], [], []] + [[(*spot, 0.8)] for spot in up]
    ball = ball_trajectory(results(frames), 1)
    assert centres(ball)[5:8] == [[50, 200], [60, 240], [70, 280]]


def test_a_gap_too_long_or_too_wide_stays_open() -> None:
    config = BallConfig(gap=3, reach=50)
    long = [[(5, 5, 0.9)]] * 4 + [[]] * 4 + [[(5, 5, 0.9)]] * 4
    ball = ball_trajectory(results(long), 1, config)
    assert ball.frames.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    wide = [[(5, 5, 0.9)]] * 4 + [[]] + [[(500, 5, 0.9)]] * 4
    ball = ball_trajectory(results(wide), 1, config)
    assert ball.frames.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert ball.seen.all()


def test_a_stride_is_no_gap() -> None:
    ball = ball_trajectory(results([[(9 * t, 5, 0.9)] for t in range(5)], stride=4), 1)
    assert ball.frames.tolist() == [0, 4, 8, 12, 16]
    assert ball.seen.all()


def test_other_classes_are_no_ball_and_without_one_there_is_no_trajectory() -> None:
    assert len(ball_trajectory(results([[(5, 5, 0.9)]]), 0)) == 0
    assert len(ball_trajectory([], 1)) == 0
    assert ball_trajectory([], 1).to_dict() == {
        "frames": [],
        "boxes": [],
        "confidence": [],
        "seen": [],
    }
