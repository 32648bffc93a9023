from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_boxes import random_boxes

from foveate.merge import greedy
from foveate.merge.greedy import Metric, greedy_kept, greedy_owners
from foveate.structures import FloatArray, IntArray
from foveate.structures.boxes import box_ios, box_iou


def textbook(boxes: FloatArray, groups: IntArray, threshold: float, metric: Metric) -> list[int]:
    overlap = (box_iou if metric == "iou" else box_ios)(boxes, boxes)
    owners: list[int] = []
    for row in range(len(boxes)):
        better = [
            kept
            for kept in range(row)
            if owners[kept] == kept
            and groups[kept] == groups[row]
            and overlap[kept, row] >= threshold
        ]
        owners.append(better[0] if better else row)
    return owners


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 60),
    st.sampled_from([0.1, 0.3, 0.5]),
    st.sampled_from(["iou", "ios"]),
    st.sampled_from([(1 << 18, 24), (4, 24), (1 << 18, 0), (4, 1)]),
)
def test_same_as_the_textbook_loop(
    seed: int, count: int, threshold: float, metric: Metric, limits: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    boxes, groups = random_boxes(rng, count, 40), rng.integers(0, 2, count)
    with pytest.MonkeyPatch.context() as patch:
        # Few pairs held and few rounds: every way to the result is taken.
        patch.setattr(greedy, "PAIRS_HELD", limits[0])
        patch.setattr(greedy, "ROUNDS", limits[1])
        owners = greedy_owners(boxes, groups, threshold, metric)
    assert owners.tolist() == textbook(boxes, groups, threshold, metric)


def test_few_pairs_held_in_a_pile() -> None:
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, 300, 1) + 50  # all within two pixels
    groups = np.zeros(300, np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(greedy, "PAIRS_HELD", 100)
        owners = greedy_owners(boxes, groups, 0.05, "iou")
    assert owners.tolist() == textbook(boxes, groups, 0.05, "iou")


def test_a_chain_keeps_every_other_box() -> None:
    x = np.arange(0, 3000, 3, dtype=np.float32)
    boxes = np.stack([x, 0 * x, x + 10, 0 * x + 10], axis=1)  # neighbours overlap by 7/13
    kept = greedy_kept(boxes, np.zeros(len(x), np.int64), 0.5, "iou")
    assert kept.tolist() == [True, False] * 500


def test_no_boxes() -> None:
    none = np.zeros((0, 4), np.float32)
    assert len(greedy_owners(none, np.zeros(0, np.int64), 0.5, "iou")) == 0
