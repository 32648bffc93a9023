from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from foveate.inspection.trade_off import (
    Tried,
    deciding_metric,
    knee,
    pareto_front,
    plans_to_try,
    with_knee,
)
from foveate.tiling import TilePlan

VALUES = st.lists(st.tuples(st.floats(0.01, 100), st.floats(0, 1)), min_size=1, max_size=20)


@given(VALUES)
def test_nothing_beats_the_front_and_something_beats_the_rest(
    values: list[tuple[float, float]],
) -> None:
    seconds, scores = [v[0] for v in values], [v[1] for v in values]
    front = pareto_front(seconds, scores)
    for row in range(len(values)):
        beaten = any(
            (seconds[o] <= seconds[row] and scores[o] >= scores[row])
            and (seconds[o] < seconds[row] or scores[o] > scores[row] or o in front)
            for o in range(len(values))
            if o != row
        )
        assert (row in front) or beaten


@given(VALUES)
def test_the_knee_is_on_the_front(values: list[tuple[float, float]]) -> None:
    seconds, scores = [v[0] for v in values], [v[1] for v in values]
    assert knee(seconds, scores) in pareto_front(seconds, scores)


def test_what_is_not_measured_is_on_no_front() -> None:
    assert pareto_front([1, math.nan, 2, 3], [0.1, 0.9, math.nan, 0.2]) == [0, 3]
    assert pareto_front([], []) == []


def test_a_clear_knee() -> None:
    assert knee([1, 2, 4, 8, 16], [0.1, 0.2, 0.6, 0.62, 0.63]) == 2


def test_no_score_no_knee() -> None:
    assert knee([1, 2], [math.nan, math.nan]) is None


def test_of_two_the_better_one_and_of_equals_the_cheaper() -> None:
    assert knee([1, 2], [0.1, 0.2]) == 1
    assert knee([1, 2], [0.2, 0.2]) == 0


def test_a_front_without_a_bend() -> None:
    assert knee([1, 2, 4], [0.1, 0.2, 0.3]) == 2


def test_plans_hold_the_models_own_the_plain_and_the_advised() -> None:
    own, advised = TilePlan(size=320, scale=1.5), TilePlan(size=512, scale=2)
    plans = plans_to_try(own, advised)
    assert plans["own"] == own
    assert plans["advised"] == advised
    assert plans["plain"].plain
    assert not plans["plain"].full_image
    assert plans["x1"].scale == 1
    assert "x1.5" not in plans


def test_the_smallest_size_with_objects_decides() -> None:
    tried = [Tried("a", TilePlan(), {"AP": 0.5, "AP_medium": 0.2}, 1.0)]
    assert deciding_metric(tried, ("small", "medium")) == "AP_medium"
    assert deciding_metric([], ("small",)) == "AP"
    more = [*tried, Tried("b", TilePlan(), {"AP": 0.6, "AP_medium": 0.4}, 2.0)]
    assert [one.knee for one in with_knee(more, "AP_medium")] == [False, True]
    assert [one.knee for one in with_knee(more, "AP_tiny")] == [False, False]
