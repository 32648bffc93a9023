from __future__ import annotations

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foveate.evaluation import CRITERIA
from foveate.evaluation.pairs import NWD_CONSTANT, Pairs, find_pairs
from foveate.evaluation.tables import Tables, flatten
from foveate.structures.boxes import box_intersection, box_iou, box_nwd

LEAST = {"iou": 0.1, "nwd": 0.5, "centre": 0.5}


def by_hand(tables: Tables, criterion: str) -> NDArray[np.float64]:
    """Fit of every detection with every object, ``(D, M)``; 0 for different pictures."""
    found = tables.detected.boxes.astype(np.float64)
    labels = tables.objects.boxes.astype(np.float64)
    if criterion == "iou":
        fit = box_iou(found, labels)  # type: ignore[arg-type]
    elif criterion == "nwd":
        fit = box_nwd(found, labels, NWD_CONSTANT)  # type: ignore[arg-type]
    else:
        centres = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (found, labels)]
        apart = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
        fit = np.maximum(1 - apart / np.sqrt(tables.objects.area), 0)
    on = box_intersection(found, labels) / tables.detected.area[:, None]  # type: ignore[arg-type]
    fit = np.where(tables.objects.ignore, on, fit)
    same = tables.detected.image[:, None] == tables.objects.image[None]
    if criterion != "iou":
        same &= tables.detected.label[:, None] == tables.objects.label[None]
    return np.where(same, fit, 0.0)


def check(tables: Tables, pairs: Pairs, criterion: str) -> None:
    expected = by_hand(tables, criterion)
    found = np.zeros_like(expected)
    found[pairs.detection, pairs.object] = pairs.fit
    assert np.count_nonzero(found) == len(pairs.fit)  # no pair twice
    far = np.abs(expected - LEAST[criterion]) > 1e-9
    np.testing.assert_array_equal((found > 0)[far], (expected >= LEAST[criterion])[far])
    np.testing.assert_allclose(found[found > 0], expected[found > 0], atol=1e-12)
    same = tables.detected.label[pairs.detection] == tables.objects.label[pairs.object]
    np.testing.assert_array_equal(pairs.same_class, same)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_finds_every_pair_that_fits(seed: int) -> None:
    tables = flatten(*random_case(seed), 500)
    found = find_pairs(tables, LEAST)
    assert found.keys() == CRITERIA.keys()
    for criterion, pairs in found.items():
        check(tables, pairs, criterion)
        assert len(pairs.fit)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_one_criterion_alone_finds_the_same(criterion: str) -> None:
    tables = flatten(*random_case(4), 500)
    check(tables, find_pairs(tables, {criterion: LEAST[criterion]})[criterion], criterion)


def test_a_small_object_two_pixels_off_fits_by_place_but_not_by_iou() -> None:
    labels = labelled((10, 10, 16, 16))
    tables = flatten(dataset_of(labels), {1: detections((12, 12, 18, 18), scores=[0.9])}, None)
    fits = {name: pairs.fit for name, pairs in find_pairs(tables, LEAST).items()}
    assert fits["iou"][0] == pytest.approx(16 / 56)
    assert fits["nwd"][0] == pytest.approx(np.exp(-np.sqrt(8) / 12.8))
    assert fits["centre"][0] == pytest.approx(1 - np.sqrt(8) / 6)


def test_boxes_that_do_not_touch_may_fit_by_place() -> None:
    labels = labelled((10, 10, 13, 13))
    tables = flatten(dataset_of(labels), {1: detections((14, 10, 17, 13), scores=[0.9])}, None)
    fits = {name: pairs.fit for name, pairs in find_pairs(tables, LEAST).items()}
    assert len(fits["iou"]) == len(fits["centre"]) == 0
    assert fits["nwd"][0] == pytest.approx(np.exp(-4 / 12.8))


def test_a_box_without_area_fits_nothing() -> None:
    labels = labelled((10, 10, 13, 13), (0, 0, 50, 50), ignore=1)
    tables = flatten(dataset_of(labels), {1: detections((11, 10, 11, 13), scores=[0.9])}, None)
    assert all(not len(pairs.fit) for pairs in find_pairs(tables, LEAST).values())


def test_the_cap_keeps_the_best_of_each_class_and_picture() -> None:
    dataset, predictions = random_case(2)
    tables = flatten(dataset, predictions, 4)
    group = tables.detected.image * 4 + tables.detected.label
    assert np.bincount(group).max() == 4
    everything = flatten(dataset, predictions, None)
    for one in np.unique(group):
        mine = everything.detected.image * 4 + everything.detected.label == one
        np.testing.assert_array_equal(
            tables.detected.source[group == one], everything.detected.source[mine][:4]
        )
