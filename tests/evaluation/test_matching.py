from __future__ import annotations

import math

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case

from foveate.evaluation import count_outcomes, evaluate_detections, match_detections
from foveate.structures import Annotations, Detections


def test_found_missed_false() -> None:
    labels = labelled((0, 0, 10, 10), (50, 50, 54, 54))
    found = detections((200, 200, 210, 210), (1, 0, 11, 10), scores=[0.9, 0.3])
    match = match_detections(found, labels)
    np.testing.assert_array_equal(match.found, [1])
    np.testing.assert_array_equal(match.false, [0])
    np.testing.assert_array_equal(match.missed, [1])
    np.testing.assert_array_equal(match.matched_to, [-1, 0])


def test_best_score_takes_the_object_and_the_second_is_false() -> None:
    labels = labelled((0, 0, 10, 10))
    found = detections((0, 0, 10, 10), (1, 0, 11, 10), scores=[0.4, 0.8])
    match = match_detections(found, labels)
    np.testing.assert_array_equal(match.matched_to, [-1, 0])
    np.testing.assert_array_equal(match.false, [0])


def test_an_object_taken_leaves_the_next_best_free() -> None:
    labels = labelled((0, 0, 10, 10), (3, 0, 13, 10))
    found = detections((0, 0, 10, 10), (1, 0, 11, 10), scores=[0.9, 0.8])
    np.testing.assert_array_equal(match_detections(found, labels).matched_to, [0, 1])


def test_iou_at_the_threshold_counts() -> None:
    labels = labelled((0, 0, 10, 10))
    found = detections((0, 0, 10, 5), scores=[0.9])
    assert len(match_detections(found, labels, iou=0.5).found) == 1
    assert len(match_detections(found, labels, iou=0.501).found) == 0


def test_classes_do_not_match_each_other() -> None:
    labels = labelled((0, 0, 10, 10))
    other = Detections(labels.boxes, np.ones(1, np.float32), np.ones(1, np.int64))
    match = match_detections(other, labels)
    assert (len(match.found), len(match.missed), len(match.false)) == (0, 1, 1)


def test_ignore_regions_are_neutral() -> None:
    labels = labelled((0, 0, 10, 10), (100, 100, 200, 200), ignore=1)
    found = detections(
        (110, 110, 120, 120), (150, 150, 160, 160), (198, 198, 208, 208), scores=[0.9, 0.8, 0.7]
    )
    match = match_detections(found, labels)
    np.testing.assert_array_equal(match.false, [2])  # only a corner of it lies on the region
    np.testing.assert_array_equal(match.missed, [0])
    assert len(match.found) == 0


def test_empty_inputs() -> None:
    some = detections((0, 0, 10, 10), scores=[0.9])
    assert len(match_detections(some, Annotations.empty()).false) == 1
    assert len(match_detections(Detections.empty(), labelled((0, 0, 1, 1))).missed) == 1
    nothing = match_detections(Detections.empty(), Annotations.empty())
    assert nothing.matched_to.shape == (0,)


@pytest.mark.parametrize("seed", range(4))
def test_every_box_has_one_fate_and_recall_is_cocos(seed: int) -> None:
    dataset, predictions = random_case(seed)
    found_by_class = np.zeros(4)
    objects_by_class = np.zeros(4)
    for sample in dataset.samples:
        found = predictions.get(sample.image_id, Detections.empty())
        match = match_detections(found, sample.annotations, iou=0.5)
        assert not set(match.found) & set(match.false)
        hits = match.matched_to[match.found]
        assert len(set(hits)) == len(hits)
        kept = np.flatnonzero(~sample.annotations.ignore)
        np.testing.assert_array_equal(np.sort(np.concatenate([hits, match.missed])), kept)
        found_by_class += np.bincount(sample.annotations.labels[hits], minlength=4)
        objects_by_class += np.bincount(sample.annotations.labels[kept], minlength=4)
    from_coco = evaluate_detections(dataset, predictions)
    recalls = [
        metrics["AP50"]
        for metrics in from_coco.by_class.values()
        if not math.isnan(metrics["AP50"])
    ]
    present = objects_by_class > 0
    # AP50 cannot exceed the recall at IoU .5, up to the width of a recall step.
    reached = (found_by_class / np.maximum(objects_by_class, 1))[present]
    assert np.all(np.array(recalls) <= reached + 0.01)


def test_outcomes_by_size_and_threshold() -> None:
    dataset = dataset_of(labelled((0, 0, 10, 10), (50, 50, 100, 100)), labelled())
    predictions = {
        1: detections((0, 0, 10, 10), (300, 300, 305, 305), scores=[0.9, 0.2]),
        2: detections((0, 0, 200, 200), scores=[0.7]),
    }
    counts = count_outcomes(dataset, predictions)
    assert (counts.found, counts.missed, counts.false) == (1, 1, 2)
    assert counts.by_size == {
        "small": {"found": 1, "missed": 0, "false": 1},
        "medium": {"found": 0, "missed": 1, "false": 0},
        "large": {"found": 0, "missed": 0, "false": 1},
    }
    assert counts.recall == 0.5
    assert counts.precision == pytest.approx(1 / 3)
    strict = count_outcomes(dataset, predictions, score_threshold=0.8)
    assert (strict.found, strict.missed, strict.false) == (1, 1, 0)
    nothing = count_outcomes(dataset_of(labelled()), {})
    assert nothing.to_dict()["recall"] is None
    assert nothing.to_dict()["precision"] is None
