from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.structures import Detections, canonical_order

# Few distinct values, so that ties are common.
ROWS = st.lists(
    st.tuples(*[st.integers(0, 2)] * 4, st.sampled_from([0.25, 0.5]), st.integers(0, 1)), max_size=9
)


def build(rows: list[Any]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def rows_of(detections: Detections) -> list[tuple[float, ...]]:
    columns = zip(detections.boxes, detections.scores, detections.labels, strict=True)
    return [(*box.tolist(), float(score), int(label)) for box, score, label in columns]


def test_arrays_get_their_types_without_a_copy() -> None:
    boxes, scores = np.zeros((2, 4), np.float32), np.zeros(2, np.float32)
    detections = Detections(boxes, scores, [0, 1])  # type: ignore[arg-type]
    assert detections.boxes is boxes
    assert detections.scores is scores
    assert detections.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("boxes", "scores", "labels", "says"),
    [
        (np.zeros((2, 3)), np.zeros(2), np.zeros(2), r"boxes: expected shape \(N, 4\), got"),
        (np.zeros(4), np.zeros(1), np.zeros(1), r"boxes: expected shape \(N, 4\), got \(4,\)"),
        (np.zeros((2, 4)), np.zeros(3), np.zeros(2), r"scores: expected shape \(2,\), got \(3,\)"),
        (np.zeros((2, 4)), np.zeros(2), np.zeros((2, 1)), r"labels: expected shape \(2,\)"),
        ([], [0.5], [], r"scores: expected shape \(0,\), got \(1,\)"),
    ],
)
def test_disagreeing_shapes_are_named(boxes: Any, scores: Any, labels: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Detections(boxes, scores, labels)


def test_empty_in_every_spelling() -> None:
    for empty in (
        Detections.empty(),
        Detections.concatenate([]),
        Detections([], [], []),  # type: ignore[arg-type]
        Detections.empty().in_order(),
        build([(0, 0, 1, 1, 0.5, 0)])[np.zeros(1, bool)],
    ):
        assert len(empty) == 0
        assert empty.boxes.shape == (0, 4)
        assert empty.boxes.dtype == np.float32


def test_selection_by_mask_indices_slice_and_number() -> None:
    detections = build([(i, 0, 9, 9, i / 10, i) for i in range(4)])
    for index, expected in (
        (np.array([True, False, True, False]), [0, 2]),
        (np.array([3, 0]), [3, 0]),
        (slice(1, 3), [1, 2]),
        (2, [2]),
        (-1, [3]),
        (np.int64(1), [1]),
    ):
        np.testing.assert_array_equal(detections[index].labels, expected)
        np.testing.assert_array_equal(detections[index].boxes[:, 0], expected)
    with pytest.raises(IndexError):
        detections[9]


@settings(deadline=None)
@given(ROWS, st.randoms())
def test_order_does_not_depend_on_the_input_order(rows: list[Any], random: Any) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    ordered = rows_of(build(rows).in_order())
    assert ordered == rows_of(build(shuffled).in_order())
    assert ordered == sorted(ordered, key=lambda row: (-row[4], *row[:4], row[5]))
    assert sorted(canonical_order(build(rows)).tolist()) == list(range(len(rows)))


@settings(deadline=None)
@given(st.lists(ROWS, max_size=4))
def test_concatenation_keeps_order_and_everything(parts: list[list[Any]]) -> None:
    joined = Detections.concatenate([build(rows) for rows in parts])
    assert rows_of(joined) == [row for rows in parts for row in rows_of(build(rows))]
