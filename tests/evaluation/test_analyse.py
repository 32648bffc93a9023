from __future__ import annotations

import json
import math

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case

from foveate.errors import UsageError
from foveate.evaluation import (
    SIZE_BINS,
    analyse,
    bootstrap_interval,
    count_outcomes,
    evaluate_detections,
)
from foveate.structures import Annotations, Dataset, Detections, Tile


def test_gathers_what_the_parts_say() -> None:
    dataset, predictions = random_case(1)
    tiles = {s.image_id: [Tile(0, 0, 400, 400, 400, 400)] for s in dataset.samples}
    analysis = analyse(
        dataset, predictions, SIZE_BINS["ai-tod"], score_threshold=0.4, tiles=tiles, repeats=30
    )
    scores = evaluate_detections(dataset, predictions, SIZE_BINS["ai-tod"])
    assert analysis.scores == scores
    assert analysis.outcomes == count_outcomes(
        dataset, predictions, SIZE_BINS["ai-tod"], score_threshold=0.4
    )
    for name, value in scores.flat().items():
        if name.startswith(("AP_", "AR_")):
            assert analysis.intervals[name].value == pytest.approx(value, abs=1e-12)
    apart = bootstrap_interval(dataset, predictions, ("AP", "AP@class 7"), repeats=30)
    assert apart.items() <= analysis.intervals.items()
    assert analysis.criteria["iou"]["all"] == pytest.approx(scores.overall["AP50"], abs=1e-12)
    assert analysis.criteria["iou"]["tiny"] == pytest.approx(
        scores.by_size["tiny"]["AP50"], abs=1e-12
    )
    assert analysis.errors.overall.ap50 == pytest.approx(scores.overall["AP50"], abs=1e-12)
    assert analysis.seams is not None
    assert analysis.seams["far"].missed == analysis.outcomes.missed
    assert int(analysis.images.missed.sum()) == analysis.outcomes.missed
    plain = analysis.to_dict()
    assert plain["worst_images"][0]["missed"] + plain["worst_images"][0]["false"] > 0
    json.dumps(plain, allow_nan=False)


def test_small_objects_lose_by_iou_what_they_keep_by_place() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 380, (40, 2)).round()
    boxes = np.concatenate([corner, corner + 6], axis=1).astype(np.float32)
    truth = Annotations(boxes, np.zeros(40, np.int64), np.zeros(40, bool))
    off = Detections(boxes + np.float32(2), np.ones(40, np.float32), np.zeros(40, np.int64))
    criteria = analyse(dataset_of(truth, truth), {1: off, 2: off}, repeats=2).criteria
    assert criteria["iou"]["small"] < 0.1
    assert criteria["nwd"]["small"] > 0.9
    assert criteria["centre"]["small"] > 0.9
    assert math.isnan(criteria["centre"]["large"])


BOX = (0.0, 0.0, 5.0, 5.0)
FOUND = {1: detections(BOX, scores=[0.5])}


@pytest.mark.parametrize(
    ("dataset", "predictions"),
    [
        (dataset_of(labelled()), {}),
        (dataset_of(labelled(), labelled()), FOUND),
        (dataset_of(labelled(BOX)), {}),
        (dataset_of(labelled(BOX)), FOUND),
        (dataset_of(labelled(BOX, ignore=1), labelled()), FOUND),
        (dataset_of(labelled(BOX), labelled(BOX), categories=(3, 1, 2)), FOUND),
    ],
    ids=["nothing", "no objects", "no predictions", "one picture", "only ignored", "one class"],
)
def test_little_or_nothing_is_plain_json_too(
    dataset: Dataset, predictions: dict[int, Detections]
) -> None:
    plain = analyse(dataset, predictions, repeats=5).to_dict()
    json.dumps(plain, allow_nan=False)
    assert plain["seams"] is None
    assert (plain["best_threshold"] is None) == (plain["scores"]["overall"]["AP"] in (None, 0))


def test_many_classes_cost_little() -> None:
    categories = tuple(range(1, 10_001))
    dataset = dataset_of(labelled(BOX), labelled(BOX), categories=categories)
    plain = analyse(dataset, FOUND, repeats=20).to_dict()
    assert plain["intervals"]["AP"]["value"] == pytest.approx(51 / 101)
    assert [name for name in plain["intervals"] if "@" in name] == ["AP@class 1"]


def test_bad_settings() -> None:
    with pytest.raises(UsageError, match="repeats"):
        analyse(dataset_of(labelled(BOX)), FOUND, repeats=0)
    with pytest.raises(UsageError, match="max_detections"):
        analyse(dataset_of(labelled(BOX)), FOUND, max_detections=0)
    with pytest.raises(UsageError, match="no pictures"):
        analyse(dataset_of(), {})
    with pytest.raises(UsageError, match="image id 9"):
        analyse(dataset_of(labelled(BOX)), {9: FOUND[1]})
