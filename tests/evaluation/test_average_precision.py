from __future__ import annotations

import json
import math

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case, reference

from foveate.errors import UsageError
from foveate.evaluation import SIZE_BINS, evaluate_detections, parse_size_bins
from foveate.structures import Annotations, Detections


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("max_detections", [7, 500])
def test_equals_pycocotools(seed: int, max_detections: int) -> None:
    dataset, predictions = random_case(seed)
    bins = list(SIZE_BINS.values())[seed % 3] if seed < 6 else parse_size_bins("5,10,20,inf")
    scores = evaluate_detections(dataset, predictions, bins, max_detections)
    expected = reference(dataset, predictions, bins, max_detections)
    by_class = {f"AP {name}": m["AP"] for name, m in scores.by_class.items()}
    values = scores.flat() | {k: v for k, v in by_class.items() if not math.isnan(v)}
    assert values.keys() == {name for name, value in expected.items() if value > -1}
    for name, value in values.items():
        assert abs(value - expected[name]) <= 1e-12, name
    assert 0.05 < values["AP"] < 0.95  # the case is neither hopeless nor trivial


def test_perfect_predictions_score_one() -> None:
    dataset = dataset_of(labelled((0, 0, 5, 5), (50, 50, 150, 150)), labelled())
    predictions = {1: detections((0, 0, 5, 5), (50, 50, 150, 150), scores=[0.5, 0.9])}
    scores = evaluate_detections(dataset, predictions)
    assert scores.overall == pytest.approx({"AP": 1, "AP50": 1, "AP75": 1, "AR": 1}, abs=1e-12)
    assert scores.by_size["small"]["AP"] == pytest.approx(1)
    assert math.isnan(scores.by_size["medium"]["AP"])
    assert scores.objects_by_size == {"small": 1, "medium": 0, "large": 1}
    assert (scores.images, scores.objects, scores.ignored, scores.detections) == (2, 2, 0, 2)


def test_undefined_is_none_in_json_and_never_minus_one() -> None:
    dataset = dataset_of(labelled((0, 0, 5, 5)), categories=(1, 2))
    scores = evaluate_detections(dataset, {1: detections((0, 0, 5, 5), scores=[1.0])})
    plain = scores.to_dict()
    assert plain["by_size"]["large"] == {
        "objects": 0, "AP": None, "AP50": None, "AP75": None, "AR": None,
    }  # fmt: skip
    assert plain["by_class"]["class 2"]["AP"] is None
    assert plain["by_class"]["class 1"] == pytest.approx(
        {"objects": 1, "AP": 1, "AP50": 1, "AP75": 1, "AR": 1}
    )
    text = json.dumps(plain, allow_nan=False)
    assert "-1" not in text
    assert "AP_large" not in scores.flat()


def test_no_objects_at_all() -> None:
    scores = evaluate_detections(dataset_of(labelled()), {})
    assert all(math.isnan(value) for value in scores.overall.values())
    assert scores.flat() == {}


def test_no_predictions_score_zero() -> None:
    scores = evaluate_detections(dataset_of(labelled((0, 0, 5, 5))), {1: Detections.empty()})
    assert scores.overall["AP"] == 0
    assert scores.overall["AR"] == 0


def test_ignore_regions_neither_help_nor_harm() -> None:
    labels = labelled((0, 0, 10, 10), (100, 100, 200, 200), ignore=1)
    right = detections((0, 0, 10, 10), scores=[0.5])
    on_crowd = detections((0, 0, 10, 10), (110, 110, 120, 120), scores=[0.5, 0.9])
    scores = evaluate_detections(dataset_of(labels), {1: right})
    assert scores.overall == evaluate_detections(dataset_of(labels), {1: on_crowd}).overall
    assert scores.overall["AP"] == pytest.approx(1)
    assert (scores.objects, scores.ignored) == (1, 1)


def test_says_how_many_pictures_the_cap_cut() -> None:
    boxes = [(float(i), 0.0, i + 5.0, 5.0) for i in range(6)]
    dataset = dataset_of(labelled(*boxes), labelled(*boxes[:2]))
    predictions = {
        1: detections(*boxes, scores=[0.9] * 6),
        2: detections(*boxes[:2], scores=[0.9] * 2),
    }
    assert evaluate_detections(dataset, predictions, max_detections=6).capped_images == 0
    capped = evaluate_detections(dataset, predictions, max_detections=3)
    assert capped.capped_images == 1
    assert capped.overall["AR"] < 1
    assert capped.to_dict()["capped_images"] == 1


def test_hundreds_of_detections_are_not_cut_to_a_hundred() -> None:
    boxes = np.array(
        [(x, y, x + 4, y + 4) for x in range(0, 200, 8) for y in range(0, 96, 8)], np.float32
    )
    labels = np.zeros(len(boxes), np.int64)
    assert len(boxes) == 300
    dataset = dataset_of(Annotations(boxes, labels, np.zeros(300, bool)))
    predictions = {1: Detections(boxes, np.ones(300, np.float32), labels)}
    assert evaluate_detections(dataset, predictions).overall["AR"] == 1


def test_predictions_must_belong_to_the_data_set() -> None:
    dataset = dataset_of(labelled((0, 0, 5, 5)))
    found = detections((0, 0, 5, 5), scores=[0.5])
    with pytest.raises(UsageError, match="image id 9"):
        evaluate_detections(dataset, {9: found})
    wrong = Detections(found.boxes, found.scores, np.array([1]))
    with pytest.raises(UsageError, match="image id 1: a label lies outside the 1 classes"):
        evaluate_detections(dataset, {1: wrong})
    with pytest.raises(UsageError, match="no pictures"):
        evaluate_detections(dataset_of(), {})
    with pytest.raises(UsageError, match="max_detections"):
        evaluate_detections(dataset, {1: found}, max_detections=0)
