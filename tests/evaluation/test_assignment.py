from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from evaluation_data import coco_dicts, dataset_of, detections, labelled, random_case
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from foveate.evaluation import SIZE_BINS, SizeBins, evaluate_detections
from foveate.evaluation.accumulation import score_assignment
from foveate.evaluation.assignment import EVERY_AREA, IOUS, Assignment, Matcher
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.tables import Tables, flatten
from foveate.structures import Annotations, Dataset, Detections

Case = tuple[Dataset, dict[int, Detections]]


def matched(
    case: Case, area: tuple[float, float] = EVERY_AREA, most: int = 500
) -> tuple[Tables, Assignment]:
    tables = flatten(*case, most)
    pairs = find_pairs(tables, {"iou": 0.1})["iou"]
    return tables, Matcher(tables, pairs, IOUS).assign(area)


def pycocotools_records(case: Case, bins: SizeBins, most: int) -> list[dict[str, Any] | None]:
    truth, results = coco_dicts(*case)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluator.params.maxDets = [most]
        evaluator.params.areaRng = [list(EVERY_AREA), *(list(area) for area in bins.areas)]
        evaluator.evaluate()
    records: list[dict[str, Any] | None] = evaluator.evalImgs
    return records


def check_against_pycocotools(case: Case, bins: SizeBins, most: int) -> None:
    """The object that every detection takes, and what it counts for, at every IoU and size."""
    records = pycocotools_records(case, bins, most)
    dataset = case[0]
    rows = np.concatenate([[i] * len(s.annotations) for i, s in enumerate(dataset.samples)])
    # Annotation ids count in the data set's order; ours in the order of picture ids.
    order = np.argsort(np.argsort([s.image_id for s in dataset.samples]))
    place = np.argsort(np.argsort(order[rows.astype(int)], kind="stable"))
    images = sorted(s.image_id for s in dataset.samples)
    pairs_of_range = {}
    for area in (EVERY_AREA, *bins.areas):
        pairs_of_range[area] = matched(case, area, most)
    checked = 0
    for record in records:
        if record is None:
            continue
        tables, ours = pairs_of_range[tuple(record["aRng"])]
        image = images.index(record["image_id"])
        label = dataset.category_ids.index(record["category_id"])
        found = np.flatnonzero((tables.detected.image == image) & (tables.detected.label == label))
        np.testing.assert_array_equal(tables.detected.score[found], record["dtScores"])
        ids = np.array(record["dtMatches"], int).reshape(len(IOUS), len(found))
        expected = np.where(ids > 0, place[ids - 1], -1)
        np.testing.assert_array_equal(ours.matched[:, found], expected)
        ignored = np.array(record["dtIgnore"], bool).reshape(expected.shape)
        np.testing.assert_array_equal(ours.right[:, found], (expected >= 0) & ~ignored)
        np.testing.assert_array_equal(ours.wrong[:, found], (expected < 0) & ~ignored)
        mine = (tables.objects.image == image) & (tables.objects.label == label)
        assert ours.counted[mine].sum() == (np.array(record["gtIgnore"]) == 0).sum()
        checked += len(found)
    assert checked > 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [7, 500])
def test_every_match_is_pycocotools(seed: int, most: int) -> None:
    check_against_pycocotools(random_case(seed), list(SIZE_BINS.values())[seed % 3], most)


def crowded_case(seed: int) -> Case:
    """Objects that overlap each other much, on whole pixels: chains of rivals and equal fits."""
    rng = np.random.default_rng(seed)
    parts, predictions = [], {}
    for image_id in (3, 1, 2):
        count = int(rng.integers(1, 30))
        corner = rng.integers(0, 9, (count, 2))
        boxes = np.concatenate([corner, corner + rng.integers(6, 10, (count, 2))], axis=1)
        parts.append(
            Annotations(
                boxes.astype(np.float32), rng.integers(0, 2, count), rng.random(count) < 0.15
            )
        )
        corner = rng.integers(0, 9, (60, 2))
        found = np.concatenate([corner, corner + rng.integers(6, 10, (60, 2))], axis=1)
        predictions[image_id] = Detections(
            found.astype(np.float32),
            (rng.integers(0, 5, 60) / 5).astype(np.float32),
            rng.integers(0, 2, 60),
        )
    return dataset_of(*parts, ids=(3, 1, 2), categories=(5, 4)), predictions


@pytest.mark.parametrize("seed", range(8))
def test_rivals_and_equal_fits_are_settled_as_pycocotools_does(seed: int) -> None:
    bins = SizeBins("three", ("a", "b", "c"), ((0, 7), (7, 8), (7.5, 1e5)))
    check_against_pycocotools(crowded_case(seed), bins, [100, 9][seed % 2])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_crowd_is_settled_as_pycocotools_does(seed: int) -> None:
    check_against_pycocotools(crowded_case(seed), SizeBins("two", ("a", "b"), ((0, 8), (8, 9))), 50)


@pytest.mark.parametrize("seed", range(4))
def test_figures_equal_hotcocos(seed: int) -> None:
    for case in (random_case(seed), crowded_case(seed)):
        bins = list(SIZE_BINS.values())[seed % 3]
        scores = evaluate_detections(*case, bins, 100)
        areas = [("", EVERY_AREA), *zip([f"_{x}" for x in bins.labels], bins.areas, strict=True)]
        for suffix, area in areas:
            precision, recall = score_assignment(*matched(case, area, 100))
            ours = {"AP": precision, "AP50": precision[:1], "AP75": precision[5:6], "AR": recall}
            for name, values in ours.items():
                expected = scores.flat().get(name + suffix)
                if expected is None:
                    assert np.isnan(values).all()
                else:
                    assert abs(np.nanmean(values) - expected) <= 1e-12


def test_the_order_of_pictures_does_not_matter() -> None:
    dataset, predictions = random_case(3)
    turned = dataclasses.replace(dataset, samples=dataset.samples[::-1])
    _, one = matched((dataset, predictions))
    _, other = matched((turned, dict(reversed(predictions.items()))))
    np.testing.assert_array_equal(one.matched, other.matched)
    np.testing.assert_array_equal(one.wrong, other.wrong)


def test_an_ignore_region_takes_many_and_an_object_one() -> None:
    labels = labelled((0, 0, 10, 10), (50, 50, 90, 90), ignore=1)
    found = detections(
        (0, 0, 10, 10), (0, 0, 10, 9), (55, 55, 60, 60), (70, 70, 75, 75),
        scores=[0.9, 0.8, 0.7, 0.6],
    )  # fmt: skip
    _, result = matched((dataset_of(labels), {1: found}))
    np.testing.assert_array_equal(result.matched[0], [0, -1, 1, 1])
    np.testing.assert_array_equal(result.right[0], [True, False, False, False])
    np.testing.assert_array_equal(result.wrong[0], [False, True, False, False])


def test_outside_the_range_of_sizes_nothing_counts() -> None:
    labels = labelled((0, 0, 10, 10), (100, 100, 150, 150))
    found = detections((0, 0, 10, 10), (100, 100, 150, 150), (200, 200, 260, 260), scores=[0.5] * 3)
    _, small = matched((dataset_of(labels), {1: found}), (0, 32**2))
    np.testing.assert_array_equal(small.right[0], [True, False, False])
    assert not small.wrong.any()
    np.testing.assert_array_equal(small.counted, [True, False])


def test_nothing_to_match() -> None:
    for case in [
        (dataset_of(labelled()), {}),
        (dataset_of(labelled((0, 0, 5, 5))), {}),
        (dataset_of(labelled()), {1: detections((0, 0, 5, 5), scores=[0.5])}),
    ]:
        tables, result = matched(case)
        assert not result.right.any()
        assert result.wrong.sum() == len(IOUS) * len(tables.detected)
        precision, recall = score_assignment(tables, result)
        assert precision.shape == recall.shape == (len(IOUS), 1)
        assert not len(tables.objects) or not precision.any()
