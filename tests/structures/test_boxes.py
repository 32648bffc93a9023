from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foveate.structures import FloatArray, boxes

LEAST, MOST = -50, 500


def box_arrays(low: int = 0, high: int = 6, least_side: int = 0) -> st.SearchStrategy[FloatArray]:
    """``(N, 4)`` float32 xyxy, in quarters of a pixel so that sums are exact."""

    def build(raw: Any) -> FloatArray:
        built: FloatArray = raw.astype(np.float32) / 4
        built[:, 2:] = built[:, :2] + np.floor((raw[:, 2:] - LEAST) / 8) / 4 + least_side
        return built

    shapes = st.integers(low, high).map(lambda count: (count, 4))
    return shapes.flatmap(
        lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(LEAST, MOST))
    ).map(build)


def pixels(box: Any) -> set[tuple[int, int]]:
    x1, y1, x2, y2 = (int(v) for v in box)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


SMALL = st.lists(st.integers(0, 6), min_size=4, max_size=4).map(
    lambda v: [min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])]
)


@settings(deadline=None)
@given(st.lists(SMALL, min_size=1, max_size=4), st.lists(SMALL, min_size=1, max_size=4))
def test_overlaps_equal_counted_pixels(first: list[list[int]], second: list[list[int]]) -> None:
    a, b = np.array(first, np.float32), np.array(second, np.float32)
    intersection, iou, ios = boxes.box_intersection(a, b), boxes.box_iou(a, b), boxes.box_ios(a, b)
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            p, q = pixels(one), pixels(other)
            assert intersection[i, j] == len(p & q)
            assert iou[i, j] == pytest.approx(len(p & q) / max(1, len(p | q)))
            assert ios[i, j] == pytest.approx(len(p & q) / max(1, min(len(p), len(q))))


@settings(deadline=None)
@given(box_arrays(), box_arrays())
def test_pairwise_overlaps_are_symmetric_and_bounded(a: FloatArray, b: FloatArray) -> None:
    for function in (boxes.box_iou, boxes.box_ios):
        overlap = function(a, b)
        assert overlap.shape == (len(a), len(b))
        assert overlap.dtype == np.float32
        np.testing.assert_array_equal(overlap, function(b, a).T)
        assert (overlap >= 0).all()
        assert (overlap <= 1).all()
    assert (boxes.box_ios(a, b) >= boxes.box_iou(a, b)).all()
    np.testing.assert_array_equal(boxes.box_nwd(a, b), boxes.box_nwd(b, a).T)


@settings(deadline=None)
@given(box_arrays(low=1, least_side=1))
def test_a_box_is_like_itself(a: FloatArray) -> None:
    for function in (boxes.box_iou, boxes.box_ios, boxes.box_nwd):
        np.testing.assert_array_equal(np.diagonal(function(a, a)), np.ones(len(a)))


@settings(deadline=None)
@given(box_arrays(low=1))
def test_paired_functions_are_the_diagonal(a: FloatArray) -> None:
    b = a[::-1]
    for paired, pairwise in (
        (boxes.paired_intersection, boxes.box_intersection),
        (boxes.paired_iou, boxes.box_iou),
        (boxes.paired_ios, boxes.box_ios),
    ):
        np.testing.assert_array_equal(paired(a, b), np.diagonal(pairwise(a, b)))


@pytest.mark.parametrize("convert", ["xywh", "cxcywh"])
@settings(deadline=None)
@given(data=st.data())
def test_conversions_round_trip(convert: str, data: st.DataObject) -> None:
    a = data.draw(box_arrays())
    there: Callable[[FloatArray], FloatArray] = getattr(boxes, f"xyxy_to_{convert}")
    back: Callable[[FloatArray], FloatArray] = getattr(boxes, f"{convert}_to_xyxy")
    before = a.copy()
    np.testing.assert_array_equal(back(there(a)), a)
    np.testing.assert_array_equal(a, before)
    sizes = there(a)[:, 2:]
    np.testing.assert_array_equal(sizes[:, 0] * sizes[:, 1], boxes.box_area(a))


@settings(deadline=None)
@given(box_arrays(), st.integers(1, 60), st.integers(1, 60))
def test_clipping_stays_inside_and_loses_nothing_inside(
    a: FloatArray, width: int, height: int
) -> None:
    before = a.copy()
    cut = boxes.clip_boxes(a, width, height)
    np.testing.assert_array_equal(a, before)
    assert (cut >= 0).all()
    assert (cut[:, ::2] <= width).all()
    assert (cut[:, 1::2] <= height).all()
    picture = np.array([[0, 0, width, height]], np.float32)
    np.testing.assert_array_equal(boxes.box_area(cut), boxes.box_intersection(a, picture)[:, 0])


def test_inverted_boxes_have_no_area() -> None:
    inverted = np.array([[5, 5, 1, 1], [5, 5, 1, 9]], np.float32)
    np.testing.assert_array_equal(boxes.box_area(inverted), [0, 0])
    assert boxes.box_iou(inverted, inverted).max() == 0


def test_nested_box_has_full_ios_and_small_iou() -> None:
    outer, inner = np.array([[0, 0, 10, 10]], np.float32), np.array([[2, 2, 4, 4]], np.float32)
    assert boxes.box_ios(outer, inner)[0, 0] == 1
    assert boxes.box_iou(outer, inner)[0, 0] == pytest.approx(0.04)


def test_nwd_is_the_formula_of_its_paper() -> None:
    a = np.array([[0, 0, 4, 8]], np.float32)
    b = np.array([[3, 4, 9, 8]], np.float32)  # centres (2, 4), (6, 6); sizes 4 x 8, 6 x 4
    distance = np.sqrt(4**2 + 2**2 + ((4 - 6) / 2) ** 2 + ((8 - 4) / 2) ** 2)
    assert boxes.box_nwd(a, b)[0, 0] == pytest.approx(np.exp(-distance / 12.8), rel=1e-6)
    assert boxes.box_nwd(a, b, constant=5)[0, 0] == pytest.approx(np.exp(-distance / 5), rel=1e-6)


@settings(deadline=None)
@given(st.integers(1, 100), st.integers(1, 100))
def test_nwd_falls_with_distance(near: int, further: int) -> None:
    a = np.array([[0, 0, 6, 6]], np.float32)
    likeness = boxes.box_nwd(a, np.stack([a[0] + near, a[0] + near + further]))
    assert likeness[0, 0] > likeness[0, 1] > 0


def test_valid_boxes() -> None:
    rows = [[0, 0, 1, 1], [0, 0, 0, 1], [1, 0, 0, 1], [0, np.nan, 1, 1], [0, 0, np.inf, 1]]
    valid = boxes.valid_boxes(np.array(rows, np.float32))
    np.testing.assert_array_equal(valid, [True, False, False, False, False])


def test_empty_arrays_keep_their_shape() -> None:
    none, one = np.zeros((0, 4), np.float32), np.array([[0, 0, 1, 1]], np.float32)
    assert boxes.box_iou(none, one).shape == (0, 1)
    assert boxes.box_ios(one, none).shape == (1, 0)
    assert boxes.paired_iou(none, none).shape == (0,)
    assert boxes.xyxy_to_cxcywh(none).shape == (0, 4)
    assert boxes.clip_boxes(none, 5, 5).shape == (0, 4)
    assert boxes.valid_boxes(none).shape == (0,)
