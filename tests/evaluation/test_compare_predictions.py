from __future__ import annotations

import json
import math

import pytest
from evaluation_data import dataset_of, detections, labelled, random_case

from foveate.evaluation import (
    Difference,
    Interval,
    compare_predictions,
    evaluate_detections,
    paired_bootstrap,
)


def test_values_differences_and_verdicts() -> None:
    dataset, good = random_case(2, images=20)
    worse = {i: found[::2] for i, found in good.items()}
    comparison = compare_predictions(dataset, worse, good, repeats=200)
    rows = {row.metric: row for row in comparison.differences}
    scores = evaluate_detections(dataset, worse), evaluate_detections(dataset, good)
    for name in ("AP", "AP50", "AP75", "AR", "AP_small", "AR_large"):
        a, b = (one.flat()[name] for one in scores)
        assert rows[name].a == pytest.approx(a, abs=1e-12)
        assert rows[name].b == pytest.approx(b, abs=1e-12)
        assert rows[name].delta.value == pytest.approx(b - a, abs=1e-12)
    assert rows["AP@class 7"].b == pytest.approx(scores[1].by_class["class 7"]["AP"], abs=1e-12)
    assert "AP@class 11" not in rows  # no objects
    assert rows["AR"].verdict == "better"
    paired = paired_bootstrap(dataset, worse, good, ("AP",), repeats=200)["AP"]
    assert rows["AP"].delta == paired
    backwards = compare_predictions(dataset, good, worse, repeats=200)
    assert {row.metric: row.verdict for row in backwards.differences}["AR"] == "worse"
    assert comparison.outcomes is None
    assert comparison.pictures == 20


def test_the_same_run_twice_shows_no_difference() -> None:
    dataset, predictions = random_case(0)
    comparison = compare_predictions(
        dataset, predictions, predictions, repeats=20, thresholds=(0.3, 0.6)
    )
    assert {row.verdict for row in comparison.differences} == {"no difference shown"}
    assert comparison.outcomes is not None
    assert comparison.outcomes[0].found > comparison.outcomes[1].found
    plain = comparison.to_dict()
    assert plain["outcomes"]["b"]["found"] == comparison.outcomes[1].found
    json.dumps(plain, allow_nan=False)


def test_text_is_in_points() -> None:
    row = Difference("AP_small", 0.2, 0.231, Interval(0.031, 0.0119, 0.05, 0.95, 200))
    assert row.text == "AP_small +3.1 [+1.2, +5.0]"
    assert row.verdict == "better"
    unknown = Difference("AP", 0.2, 0.1, Interval(-0.1, math.nan, math.nan, 0.95, 0))
    assert unknown.text == "AP -10.0"
    assert unknown.verdict == "cannot be told"


def test_one_picture_tells_nothing_of_others() -> None:
    box = (0.0, 0.0, 10.0, 10.0)
    dataset = dataset_of(labelled(box))
    comparison = compare_predictions(dataset, {}, {1: detections(box, scores=[0.5])}, repeats=10)
    assert comparison.differences[0].delta.value == pytest.approx(1)
    assert {row.verdict for row in comparison.differences} == {"cannot be told"}
    json.dumps(comparison.to_dict(), allow_nan=False)


def test_no_objects_no_figures() -> None:
    comparison = compare_predictions(dataset_of(labelled(), labelled()), {}, {}, repeats=5)
    assert comparison.differences == ()
