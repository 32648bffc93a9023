from __future__ import annotations

import math

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case

from foveate.evaluation import count_outcomes, match_detections
from foveate.evaluation.assignment import Matcher
from foveate.evaluation.images import ImageOutcomes, count_errors, image_outcomes
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.tables import flatten
from foveate.structures import Dataset, Detections


def outcomes_of(
    dataset: Dataset, predictions: dict[int, Detections], threshold: float
) -> ImageOutcomes:
    tables = flatten(dataset, predictions, None)
    pairs = find_pairs(tables, {"iou": 0.5})["iou"]
    return image_outcomes(tables, Matcher(tables, pairs, [0.5]).assign(), threshold)


@pytest.mark.parametrize("threshold", [0.0, 0.45])
def test_each_picture_as_if_it_were_alone(threshold: float) -> None:
    dataset, predictions = random_case(2)
    outcomes = outcomes_of(dataset, predictions, threshold)
    samples = {sample.image_id: sample for sample in dataset.samples}
    assert outcomes.image_ids.tolist() == sorted(samples)
    for row, image_id in enumerate(outcomes.image_ids.tolist()):
        found = predictions.get(image_id, Detections.empty())
        match = match_detections(found[found.scores >= threshold], samples[image_id].annotations)
        assert outcomes.found[row] == len(match.found)
        assert outcomes.missed[row] == len(match.missed)
        assert outcomes.false[row] == len(match.false)
    whole = count_outcomes(dataset, predictions, score_threshold=threshold)
    sums = [int(part.sum()) for part in (outcomes.found, outcomes.missed, outcomes.false)]
    assert sums == [whole.found, whole.missed, whole.false]


def test_worst_pictures_first_and_good_ones_not_at_all() -> None:
    box, other = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    dataset = dataset_of(labelled(box), labelled(box, other), labelled(box), ids=(4, 2, 9))
    predictions = {
        4: detections(box, scores=[0.9]),
        9: detections(box, other, other, scores=[0.9, 0.8, 0.2]),
    }
    assert outcomes_of(dataset, predictions, 0.5).worst() == [
        {"image_id": 2, "found": 0, "missed": 2, "false": 0},
        {"image_id": 9, "found": 1, "missed": 0, "false": 1},
    ]


def test_count_errors() -> None:
    ids = np.arange(3)
    outcomes = ImageOutcomes(ids, np.array([3, 5, 0]), np.array([1, 0, 2]), np.array([0, 3, 1]))
    errors = count_errors(outcomes)
    np.testing.assert_array_equal(errors.true, [4, 5, 2])
    np.testing.assert_array_equal(errors.counted, [3, 8, 1])
    assert errors.mean_absolute == pytest.approx(5 / 3)
    assert errors.bias == pytest.approx(1 / 3)
    assert errors.r_squared == pytest.approx(1 - 11 / (14 / 3))


def test_without_spread_there_is_nothing_to_explain() -> None:
    alike = ImageOutcomes(np.arange(2), np.array([2, 1]), np.array([0, 1]), np.array([0, 0]))
    errors = count_errors(alike)
    assert math.isnan(errors.r_squared)
    assert errors.to_dict()["r_squared"] is None
    assert errors.bias == -0.5
