from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case

from foveate.evaluation import ERROR_KINDS, SIZE_BINS, ErrorTypes
from foveate.evaluation.assignment import Matcher
from foveate.evaluation.average_precision import match_all
from foveate.evaluation.errors import error_types
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.tables import flatten
from foveate.structures import Annotations, Dataset, Detections

BINS = SIZE_BINS["coco"]
HOTCOCO = dict(zip(ERROR_KINDS, ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"), strict=True))


def errors_of(dataset: Dataset, predictions: dict[int, Detections]) -> ErrorTypes:
    tables = flatten(dataset, predictions, 500)
    return error_types(tables, find_pairs(tables, {"iou": 0.1})["iou"], BINS)


def confused_case(seed: int, ignore: bool) -> tuple[Dataset, dict[int, Detections]]:
    """Some detections have the wrong class; with ignore regions or without."""
    dataset, predictions = random_case(seed, tie_scores=False)
    rng = np.random.default_rng(seed)
    for image_id, found in predictions.items():
        changed = np.where(rng.random(len(found)) < 0.3, rng.integers(0, 4), found.labels)
        predictions[image_id] = Detections(found.boxes, found.scores, changed)
    if ignore:
        return dataset, predictions
    samples = tuple(
        dataclasses.replace(
            sample,
            annotations=Annotations(
                sample.annotations.boxes,
                sample.annotations.labels,
                np.zeros(len(sample.annotations), bool),
            ),
        )
        for sample in dataset.samples
    )
    return dataclasses.replace(dataset, samples=samples), predictions


@pytest.mark.parametrize("seed", range(6))
def test_counts_and_gains_are_hotcocos(seed: int) -> None:
    case = confused_case(seed, ignore=False)
    expected = match_all(*case, BINS, 500).tide_errors()
    errors = errors_of(*case).overall
    assert errors.ap50 == pytest.approx(expected["ap_base"], abs=1e-12)
    for kind, theirs in HOTCOCO.items():
        assert errors.counts[kind] == expected["counts"][theirs], kind
        assert errors.gains[kind] == pytest.approx(expected["delta_ap"][theirs], abs=1e-12), kind
    assert errors.counts["classification"] > 10


@pytest.mark.parametrize("seed", range(6))
def test_hotcoco_differs_only_at_ignore_regions(seed: int) -> None:
    # To hotcoco a wrong detection is badly placed also if .1 to .5 of it lies on an ignore region
    # of its class; here, as in TIDE, an ignore region is no object.
    case = confused_case(seed, ignore=True)
    expected = match_all(*case, BINS, 500).tide_errors()["counts"]
    tables = flatten(*case, 500)
    pairs = find_pairs(tables, {"iou": 0.1})["iou"]
    wrong = Matcher(tables, pairs, [0.5]).assign().wrong[0]
    on_region = pairs.same_class & tables.objects.ignore[pairs.object]
    best = np.zeros(len(tables.detected))
    np.maximum.at(best, pairs.detection, np.where(pairs.same_class, pairs.fit, 0))
    badly_placed = wrong & (best >= 0.1) & (best < 0.5)
    counts = error_types(tables, pairs, BINS).overall.counts
    assert expected["Loc"] == badly_placed.sum()
    assert (
        0 <= expected["Loc"] - counts["localisation"] <= len(np.unique(pairs.detection[on_region]))
    )
    assert sum(counts.values()) - counts["missed"] == sum(expected.values()) - expected["Miss"]


def test_every_kind_by_hand() -> None:
    labels = Annotations(
        np.array(
            [(0, 0, 10, 10), (100, 0, 150, 50), (200, 0, 210, 10), (300, 0, 310, 10)], np.float32
        ),
        np.array([0, 1, 0, 0]),
        np.zeros(4, bool),
    )
    boxes = [
        (0, 0, 10, 10),  # right
        (0, 0, 10, 9),  # again
        (100, 0, 150, 50),  # of the wrong class
        (200, 0, 210, 4),  # badly placed
        (310, 310, 320, 320),  # nothing
        (100, 0, 150, 20),  # wrong class, badly placed
    ]
    found = Detections(
        np.array(boxes, np.float32),
        np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32),
        np.zeros(6, np.int64),
    )
    dataset = dataset_of(labels, categories=(1, 2))
    errors = errors_of(dataset, {1: found})
    assert errors.overall.counts == dict.fromkeys(ERROR_KINDS, 1)
    assert errors.by_size["small"].counts == {
        "classification": 0, "localisation": 1, "both": 0,
        "duplicate": 1, "background": 1, "missed": 1,
    }  # fmt: skip
    assert errors.by_size["medium"].counts == {
        "classification": 1, "localisation": 0, "both": 1,
        "duplicate": 0, "background": 0, "missed": 0,
    }  # fmt: skip
    # One of three found in class 0, none of one in class 1.
    assert errors.overall.ap50 == pytest.approx(34 / 101 / 2)
    # Mended, the second class is perfect, and one false detection of the first is gone.
    assert errors.overall.gains["classification"] == pytest.approx(1 / 2)
    assert errors.by_size["medium"].gains["classification"] == pytest.approx(1)
    assert errors.by_size["medium"].gains["duplicate"] == 0
    json.dumps(errors.to_dict(), allow_nan=False)


def test_sizes_divide_the_errors() -> None:
    dataset, predictions = confused_case(1, ignore=True)
    errors = errors_of(dataset, predictions)
    for kind, count in errors.overall.counts.items():
        # Edges belong to both bins.
        assert sum(part.counts[kind] for part in errors.by_size.values()) >= count
    for part in errors.by_size.values():
        assert all(gain >= -1e-12 for gain in part.gains.values())
        assert any(gain > 0.01 for gain in part.gains.values())


def test_on_an_ignore_region_there_is_no_error() -> None:
    labels = labelled((0, 0, 10, 10), (100, 100, 200, 200), ignore=1)
    found = detections((0, 0, 10, 10), (110, 110, 120, 120), scores=[0.5, 0.9])
    errors = errors_of(dataset_of(labels), {1: found}).overall
    assert not any(errors.counts.values())
    assert errors.ap50 == pytest.approx(1)


def test_without_objects_gains_are_undefined_and_counts_are_not() -> None:
    case = dataset_of(labelled()), {1: detections((0, 0, 5, 5), scores=[0.5])}
    plain = errors_of(*case).to_dict()
    assert plain["overall"]["AP50"] is None
    assert plain["overall"]["counts"]["background"] == 1
    assert set(plain["overall"]["gains"].values()) == {None}
    json.dumps(plain, allow_nan=False)
