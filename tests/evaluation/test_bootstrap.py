from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case

from foveate.errors import UsageError
from foveate.evaluation import bootstrap as module
from foveate.evaluation import bootstrap_interval, evaluate_detections, paired_bootstrap
from foveate.structures import Dataset, Detections, IntArray, Sample

METRICS = ("AP", "AP50", "AP75", "AR", "AP_small", "AR_medium", "AP50_large")


def repeat(
    dataset: Dataset, predictions: dict[int, Detections], times: IntArray
) -> tuple[Dataset, dict[int, Detections]]:
    """The data set in which each picture, in the order of ids, stands as often as drawn."""
    samples: list[Sample] = []
    repeated: dict[int, Detections] = {}
    for index, sample in enumerate(sorted(dataset.samples, key=lambda s: s.image_id)):
        for _ in range(times[index]):
            samples.append(dataclasses.replace(sample, image_id=len(samples) + 1))
            if sample.image_id in predictions:
                repeated[len(samples)] = predictions[sample.image_id]
    return dataclasses.replace(dataset, samples=tuple(samples)), repeated


@pytest.mark.parametrize("seed", range(3))
def test_equals_evaluating_the_repeated_pictures(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, predictions = random_case(seed, images=8, tie_scores=False)
    draws = module.draw_pictures(len(dataset), 12, seed=5)
    assert draws.max() >= 3
    for times in draws:
        monkeypatch.setattr(module, "draw_pictures", lambda *_, drawn=times: drawn[None])
        quick = bootstrap_interval(dataset, predictions, METRICS, repeats=1)
        slow = evaluate_detections(*repeat(dataset, predictions, times)).flat()
        for name in METRICS:
            if name in slow:
                assert quick[name].low == pytest.approx(slow[name], abs=1e-12), name
                assert quick[name].low == quick[name].high
            else:
                assert math.isnan(quick[name].low)


def test_value_is_the_figure_itself_even_with_ties() -> None:
    dataset, predictions = random_case(3)
    intervals = bootstrap_interval(dataset, predictions, METRICS, repeats=40)
    figures = evaluate_detections(dataset, predictions).flat()
    for name, interval in intervals.items():
        assert interval.value == pytest.approx(figures[name], abs=1e-12)
        assert interval.low < interval.value < interval.high
        assert interval.level == 0.95
    assert intervals["AP"].repeats == 40


def test_same_seed_same_interval() -> None:
    dataset, predictions = random_case(1)
    one, two, other = (
        bootstrap_interval(dataset, predictions, ("AP",), repeats=20, seed=seed)["AP"]
        for seed in (4, 4, 5)
    )
    assert one == two
    assert one != other


def test_recall_interval_has_the_width_that_theory_gives() -> None:
    # One object a picture, found in half of 100: the share's standard error is .05.
    box = (10.0, 10.0, 20.0, 20.0)
    dataset = dataset_of(*[labelled(box)] * 100)
    predictions = {i: detections(box, scores=[0.5]) for i in range(1, 51)}
    interval = bootstrap_interval(dataset, predictions, ("AR",), repeats=400)["AR"]
    assert interval.value == 0.5
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.05, abs=0.03)


def test_paired_difference_is_tighter_than_the_runs_apart() -> None:
    dataset, good = random_case(2, images=20)
    worse = {i: found[::2] for i, found in good.items()}
    paired = paired_bootstrap(dataset, worse, good, ("AP",), repeats=100)["AP"]
    a = bootstrap_interval(dataset, worse, ("AP",), repeats=100)["AP"]
    b = bootstrap_interval(dataset, good, ("AP",), repeats=100)["AP"]
    assert paired.value == pytest.approx(b.value - a.value, abs=1e-12)
    assert 0 < paired.low < paired.value < paired.high
    assert paired.high - paired.low < (a.high - a.low) + (b.high - b.low)


def test_a_run_against_itself_differs_by_nothing() -> None:
    dataset, predictions = random_case(0)
    paired = paired_bootstrap(dataset, predictions, predictions, METRICS, repeats=10)
    assert all(i.value == i.low == i.high == 0 for i in paired.values())


def test_what_cannot_be_told_is_nan() -> None:
    dataset = dataset_of(labelled((0, 0, 5, 5)), labelled((0, 0, 5, 5)))
    predictions = {1: detections((0, 0, 5, 5), scores=[0.5])}
    intervals = bootstrap_interval(dataset, predictions, ("AP", "AP_large"), repeats=10)
    assert math.isnan(intervals["AP_large"].value)
    assert math.isnan(intervals["AP_large"].low)
    assert intervals["AP_large"].repeats == 0
    single = bootstrap_interval(dataset_of(labelled((0, 0, 5, 5))), {}, ("AP",), repeats=10)
    assert single["AP"].value == 0
    assert math.isnan(single["AP"].low)  # one picture says nothing of others


@pytest.mark.parametrize("name", ["ap", "AP90", "AP_tiny", "AP_", "mAP"])
def test_unknown_metric(name: str) -> None:
    dataset, predictions = random_case(0, images=3)
    with pytest.raises(UsageError, match=r"AP50.*small, medium, large"):
        bootstrap_interval(dataset, predictions, (name,))


def test_bad_settings() -> None:
    dataset, predictions = random_case(0, images=3)
    with pytest.raises(UsageError, match="repeats"):
        bootstrap_interval(dataset, predictions, repeats=0)
    with pytest.raises(UsageError, match="level"):
        bootstrap_interval(dataset, predictions, level=95)


def test_draws_are_with_replacement() -> None:
    draws = module.draw_pictures(30, 50, seed=1)
    assert draws.shape == (50, 30)
    assert (draws.sum(axis=1) == 30).all()
    assert (draws.max(axis=1) > 1).all()


def test_groups_are_drawn_whole() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2])
    draws = module.draw_pictures(6, 50, seed=1, groups=groups)
    assert (draws[:, 0] == draws[:, 1]).all()
    assert (draws[:, 3] == draws[:, 5]).all()
    assert (draws[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert len(module.draw_pictures(6, 50, seed=1, groups=np.zeros(6, np.int64))) == 0


def test_the_interval_of_copies_is_that_of_one_each_if_they_are_a_group() -> None:
    # Half of 20 objects are found; each picture stands five times.
    box = (10.0, 10.0, 20.0, 20.0)
    once = dataset_of(*[labelled(box)] * 20)
    copied = dataset_of(*[labelled(box)] * 100)
    found = {i: detections(box, scores=[0.5]) for i in range(1, 11)}
    found_copied = {i: detections(box, scores=[0.5]) for i in range(1, 101) if (i - 1) % 20 < 10}
    original = {i: (i - 1) % 20 for i in range(1, 101)}
    one = bootstrap_interval(once, found, ("AR",))["AR"]
    grouped = bootstrap_interval(copied, found_copied, ("AR",), groups=original)["AR"]
    alone = bootstrap_interval(copied, found_copied, ("AR",))["AR"]
    assert (grouped.low, grouped.high) == pytest.approx((one.low, one.high))
    assert alone.high - alone.low < 0.6 * (one.high - one.low)
