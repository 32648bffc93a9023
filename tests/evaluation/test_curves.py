from __future__ import annotations

import json
import math

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case

from foveate.evaluation import evaluate_detections
from foveate.evaluation.assignment import IOUS, Assignment, Matcher
from foveate.evaluation.bootstrap import draw_pictures
from foveate.evaluation.curves import (
    best_thresholds,
    calibration_of,
    curves_of,
    size_windows,
)
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.tables import Tables, flatten
from foveate.structures import Dataset, Detections


def matched(
    dataset: Dataset, predictions: dict[int, Detections]
) -> tuple[Tables, Matcher, Assignment]:
    tables = flatten(dataset, predictions, 500)
    matcher = Matcher(tables, find_pairs(tables, {"iou": 0.5})["iou"], IOUS)
    return tables, matcher, matcher.assign()


@pytest.mark.parametrize(("row", "name"), [(0, "AP50"), (5, "AP75")])
def test_the_mean_of_a_curve_is_its_ap(row: int, name: str) -> None:
    dataset, predictions = random_case(1)
    scores = evaluate_detections(dataset, predictions)
    tables, _, match = matched(dataset, predictions)
    curves = curves_of(tables, match, row, float(IOUS[row]), dataset.class_names)
    assert curves.mean.mean() == pytest.approx(scores.overall[name], abs=1e-12)
    assert len(curves.by_class) == 3  # the fourth class has no objects
    for class_name, curve in curves.by_class.items():
        assert curve.mean() == pytest.approx(scores.by_class[class_name][name], abs=1e-12)
        assert (np.diff(curve) <= 0).all()
    json.dumps(curves.to_dict(), allow_nan=False)


def test_best_threshold_is_the_best_of_all() -> None:
    dataset, predictions = random_case(3)  # scores with ties
    tables, _, match = matched(dataset, predictions)
    best, by_class = best_thresholds(tables, match, dataset.class_names)
    assert best is not None
    assert by_class.keys() == {"class 7", "class 2", "class 30"}
    tried = {}
    for threshold in np.unique(tables.detected.score):
        shown = tables.detected.score >= threshold
        right = (match.right[0] & shown).sum()
        counts = right + (match.wrong[0] & shown).sum()
        tried[float(threshold)] = 2 * right / (counts + match.counted.sum())
    assert best.f1 == pytest.approx(max(tried.values()))
    assert tried[best.score] == pytest.approx(best.f1)
    harmonic = 2 * best.precision * best.recall / (best.precision + best.recall)
    assert harmonic == pytest.approx(best.f1)
    assert np.mean([one.f1 for one in by_class.values()]) >= best.f1 - 0.1


def test_of_equal_thresholds_the_highest_and_none_where_nothing_is_found() -> None:
    box, stray = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    perfect = matched(dataset_of(labelled(box)), {1: detections(box, scores=[0.75])})
    best, _ = best_thresholds(perfect[0], perfect[2], ("class 1",))
    assert best is not None
    assert best.to_dict() == {"score": 0.75, "f1": 1.0, "precision": 1.0, "recall": 1.0}
    nothing = matched(dataset_of(labelled(box)), {1: detections(stray, scores=[0.75])})
    assert best_thresholds(nothing[0], nothing[2], ("class 1",)) == (None, {})


def test_windows_are_an_octave_wide_and_hold_the_figures_of_their_objects() -> None:
    dataset, predictions = random_case(0, images=30)
    tables, matcher, _ = matched(dataset, predictions)
    windows = size_windows(tables, matcher, draw_pictures(30, 20, seed=0))
    assert len(windows) > 8
    for window in windows:
        assert window.high == pytest.approx(2 * window.low)
        assert window.objects >= 5
        ap = window.figures["AP"]
        assert ap.low <= ap.value <= ap.high
        assert window.figures["AP50"].value >= ap.value
    lows = np.array([window.low for window in windows])
    assert (np.diff(np.log2(lows)) >= 0.5 - 1e-9).all()
    # Boxes are jittered by the same pixels whatever their size: the small are hit less well.
    assert windows[0].figures["AP"].value < windows[-3].figures["AP"].value - 0.1
    json.dumps([window.to_dict() for window in windows], allow_nan=False)


def test_calibration_counts_what_is_right_in_each_bin() -> None:
    box = (10.0, 10.0, 20.0, 20.0)
    stray = (50.0, 50.0, 60.0, 60.0)
    dataset = dataset_of(*[labelled(box)] * 4)
    predictions = {i: detections(box, stray, scores=[0.85, 0.85]) for i in range(1, 4)}
    tables, _, match = matched(dataset, predictions)
    calibration = calibration_of(tables, match)
    assert calibration.error == pytest.approx(0.35, abs=1e-6)
    assert calibration.worst == pytest.approx(0.35, abs=1e-6)
    filled = [one for one in calibration.bins if one["count"]]
    assert [(one["count"], one["right"]) for one in filled] == [(6, 0.5)]
    assert len(calibration.bins) == 10
    json.dumps(calibration.to_dict(), allow_nan=False)


def test_nothing_at_all() -> None:
    tables, matcher, match = matched(dataset_of(labelled(), labelled()), {})
    assert math.isnan(calibration_of(tables, match).error)
    assert calibration_of(tables, match).to_dict()["error"] is None
    assert size_windows(tables, matcher, draw_pictures(2, 5, seed=0)) == []
    assert curves_of(tables, match, 0, 0.5, ("class 1",)).to_dict()["mean"] == [None] * 101
