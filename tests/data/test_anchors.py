from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.data.anchors import (
    ANCHOR_FITS,
    YOLOV3_ANCHORS,
    centred_iou,
    fit_anchors,
    judge_anchors,
)
from foveate.errors import UsageError
from foveate.structures.boxes import box_iou

EACH = pytest.mark.parametrize("method", ANCHOR_FITS)


def groups(rng: np.random.Generator, each: int = 200) -> np.ndarray:
    """Boxes around three sizes."""
    middles = np.array([[8, 8], [40, 20], [20, 60]])
    return np.concatenate([m * np.exp(rng.normal(0, 0.03, (each, 2))) for m in middles])


@given(st.integers(0, 2**32 - 1))
def test_centred_iou_is_the_iou_of_boxes_on_one_centre(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(1, 99, (5, 2)), rng.uniform(1, 99, (4, 2))
    as_boxes = [np.concatenate([-s / 2, s / 2], axis=1) for s in (a, b)]
    np.testing.assert_allclose(centred_iou(a, b), box_iou(*as_boxes), atol=1e-12)


@EACH
def test_three_sizes_are_found(method: str) -> None:
    fit = fit_anchors(groups(np.random.default_rng(0)), 3, method)
    np.testing.assert_allclose(fit.anchors, [[8, 8], [40, 20], [20, 60]], rtol=0.03)
    assert fit.mean_iou > 0.9
    assert fit.recall == 1


@EACH
def test_fitted_anchors_are_better_than_someone_elses(method: str) -> None:
    sizes = groups(np.random.default_rng(1))
    assert fit_anchors(sizes, 9, method).mean_iou > judge_anchors(sizes, YOLOV3_ANCHORS).mean_iou


@EACH
def test_the_same_seed_gives_the_same_anchors(method: str) -> None:
    sizes = groups(np.random.default_rng(2))
    one, two = (fit_anchors(sizes, 5, method, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.anchors, two.anchors)


def test_medoids_are_boxes_of_the_data() -> None:
    sizes = groups(np.random.default_rng(3))
    for anchor in fit_anchors(sizes, 4, "kmedoids").anchors:
        assert (sizes == anchor).all(axis=1).any()


@EACH
def test_fewer_different_boxes_than_anchors(method: str) -> None:
    fit = fit_anchors(np.array([[4.0, 4], [4, 4], [9, 3]]), 9, method)
    np.testing.assert_array_equal(fit.anchors, [[4, 4], [9, 3]])
    assert fit.mean_iou == 1


def test_a_judgement_by_hand() -> None:
    fit = judge_anchors(np.array([[10.0, 10], [10, 100]]), np.array([[20.0, 10], [10, 10]]))
    np.testing.assert_array_equal(fit.anchors, [[10, 10], [20, 10]])
    assert fit.mean_iou == pytest.approx((1 + 0.1) / 2)
    assert fit.recall == 0.5  # 100 is ten times 10


@EACH
def test_boxes_that_are_none_do_not_count(method: str) -> None:
    sizes = np.array([[0.0, 5], [np.nan, 5], [6, 6]])
    np.testing.assert_array_equal(fit_anchors(sizes, 2, method).anchors, [[6, 6]])


@pytest.mark.parametrize(
    ("sizes", "count", "method", "said"),
    [
        (np.zeros((0, 2)), 9, "kmeans", "got 0 boxes"),
        (np.ones((3, 2)), 0, "kmeans", "0 anchors"),
        (np.ones((3, 2)), 9, "genetic", "expected one of kmeans, kmedoids"),
    ],
)
def test_what_cannot_be_fitted(sizes: np.ndarray, count: int, method: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fit_anchors(sizes, count, method)
