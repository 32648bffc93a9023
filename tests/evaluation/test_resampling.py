from __future__ import annotations

import numpy as np
import pytest
from evaluation_data import dataset_of, detections, labelled, random_case
from numpy.typing import NDArray

from foveate.errors import UsageError
from foveate.evaluation import SIZE_BINS, bootstrap_interval, evaluate_detections
from foveate.evaluation import resampling as module
from foveate.evaluation.accumulation import RECALLS
from foveate.evaluation.assignment import IOUS, Assignment, Matcher
from foveate.evaluation.bootstrap import draw_pictures
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.tables import Tables, flatten
from foveate.structures import Dataset, Detections, IntArray

Case = tuple[Dataset, dict[int, Detections]]
Floats = NDArray[np.float64]


def assigned(case: Case, area: tuple[float, float]) -> tuple[Tables, Assignment]:
    tables = flatten(*case, 500)
    return tables, Matcher(tables, find_pairs(tables, {"iou": 0.5})["iou"], IOUS).assign(area)


def slow(tables: Tables, match: Assignment, label: int, times: IntArray) -> tuple[Floats, Floats]:
    """pycocotools' accumulation of one class with every picture counted `times`."""
    mine = tables.detected.label == label
    counted = match.counted & (tables.objects.label == label)
    objects = times[tables.objects.image[counted]].sum()
    if not objects:
        return np.full(len(IOUS), np.nan), np.full(len(IOUS), np.nan)
    weight = times[tables.detected.image[mine]]
    precision, reached = np.zeros(len(IOUS)), np.zeros(len(IOUS))
    for row in range(len(IOUS)):
        right = np.cumsum(match.right[row, mine] * weight)
        wrong = np.cumsum(match.wrong[row, mine] * weight)
        share = right / (right + wrong + np.spacing(1))
        share = np.maximum.accumulate(share[::-1])[::-1]
        at = np.searchsorted(right / objects, RECALLS)
        precision[row] = share[at[at < len(share)]].sum() / len(RECALLS)
        reached[row] = right[-1] / objects if len(right) else 0
    return precision, reached


def check(case: Case, area: tuple[float, float], repeats: int = 12) -> None:
    tables, match = assigned(case, area)
    draws = draw_pictures(len(case[0]), repeats, seed=3)
    blocks = list(module.resample(tables, match, draws))
    present = np.unique(tables.objects.label[match.counted])
    np.testing.assert_array_equal(np.concatenate([b.classes for b in blocks]), present)
    everyone = np.concatenate([np.ones((1, draws.shape[1]), np.int64), draws])
    for block in blocks:
        for place, label in enumerate(block.classes):
            for number, times in enumerate(everyone):
                precision, recall = slow(tables, match, int(label), times)
                np.testing.assert_allclose(
                    block.precision[number, place], precision, rtol=0, atol=1e-12
                )
                np.testing.assert_allclose(block.recall[number, place], recall, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_slow_bootstrap(seed: int) -> None:
    check(random_case(seed), (0, 1e10))
    check(random_case(seed), SIZE_BINS["coco"].areas[0])


@pytest.mark.parametrize("name", ["_SUMS", "_COUNTS", "_SPARSE"])
def test_blocks_and_ways_give_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, name, 64 if name != "_SPARSE" else 0)
    check(random_case(5), (0, 1e10))
    if name == "_SPARSE":
        monkeypatch.setattr(module, name, 1 << 40)
        check(random_case(5), (0, 1e10))


def test_few_cuts_change_little_and_the_figure_nothing() -> None:
    case = random_case(0, images=60, tie_scores=False)
    tables, match = assigned(case, (0, 1e10))
    draws = draw_pictures(60, 40, seed=1)
    (exact,) = module.resample(tables, match, draws)
    (cut,) = module.resample(tables, match, draws, levels=32)
    assert match.right[0].sum() > 10 * 32
    np.testing.assert_array_equal(cut.precision[0], exact.precision[0])
    off = (cut.precision - exact.precision).mean(axis=2)
    assert 0 < np.sqrt(np.square(off[1:]).mean()) < 0.2 * exact.precision.mean(axis=2).std()
    np.testing.assert_allclose(cut.recall, exact.recall, atol=1e-12)


def test_figures_of_a_class() -> None:
    dataset, predictions = random_case(2)
    scores = evaluate_detections(dataset, predictions)
    names = ["AP@class 7", "AP50@class 2", "AR@class 30", "AP@class 11", "AP_small@class 7"]
    found = bootstrap_interval(dataset, predictions, names, repeats=10)
    for name in names[:3]:
        metric, _, class_name = name.partition("@")
        assert found[name].value == pytest.approx(scores.by_class[class_name][metric], abs=1e-12)
        assert found[name].low < found[name].value < found[name].high
    assert np.isnan(found["AP@class 11"].value)  # has no objects
    assert found["AP_small@class 7"].value != found["AP@class 7"].value


def test_a_class_missing_from_a_resample_is_left_out() -> None:
    # The one object of class 2 lies in picture 2: half the resamples lack it.
    box = (0.0, 0.0, 10.0, 10.0)
    dataset = dataset_of(labelled(box), labelled(box), categories=(1, 2))
    object.__setattr__(dataset.samples[1].annotations, "labels", np.array([1]))
    interval = bootstrap_interval(
        dataset, {1: detections(box, scores=[0.5])}, ("AP", "AP@class 2"), repeats=50
    )
    assert interval["AP"].value == pytest.approx(0.5)
    assert (interval["AP"].low, interval["AP"].high) == pytest.approx((0, 1))
    assert interval["AP"].repeats == 50
    assert 0 < interval["AP@class 2"].repeats < 50


def test_unknown_class_names_those_there_are() -> None:
    dataset, predictions = random_case(0, images=3)
    with pytest.raises(UsageError, match=r"no class 'car'; expected one of class 7, class 2"):
        bootstrap_interval(dataset, predictions, ("AP@car",))
