from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_boxes import random_boxes

from foveate.structures import FloatArray
from foveate.structures import box_index as index_module
from foveate.structures.box_index import BoxIndex, Pairs
from foveate.structures.boxes import box_intersection

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True, params=["few", "many"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare each with each, and through the grids."""
    if request.param == "many":
        monkeypatch.setattr(index_module, "FEW", 0)


def listed(blocks: Iterable[Pairs]) -> list[tuple[int, int]]:
    return sorted((int(i), int(j)) for a, b in blocks for i, j in zip(a, b, strict=True))


def meeting(boxes_a: FloatArray, boxes_b: FloatArray) -> set[tuple[int, int]]:
    found = np.argwhere(box_intersection(boxes_a, boxes_b) > 0)
    return {(int(i), int(j)) for i, j in found}


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(0, 60), st.sampled_from([30.0, 300.0, 20_000.0]), st.integers(1, 3))
def test_every_pair_that_meets_and_no_other(
    seed: int, count: int, extent: float, groups: int
) -> None:
    rng = np.random.default_rng(seed)
    boxes, group = random_boxes(rng, count, extent), rng.integers(0, groups, count)
    found = listed(BoxIndex(boxes, group).pairs())
    assert len(found) == len(set(found))
    expected = {(i, j) for i, j in meeting(boxes, boxes) if i < j and group[i] == group[j]}
    assert set(found) == expected


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(0, 40), st.integers(0, 40))
def test_query_finds_what_meets_from_anywhere(seed: int, count: int, asked: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, asking = random_boxes(rng, count), random_boxes(rng, asked, 400)
    group, asking_group = rng.integers(0, 2, count), rng.integers(0, 3, asked)
    found = listed(BoxIndex(boxes, group).query(asking, asking_group))
    assert len(found) == len(set(found))
    expected = {(i, j) for i, j in meeting(asking, boxes) if asking_group[i] == group[j]}
    assert set(found) == expected


def test_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "BLOCK", 400)
    boxes = np.tile(np.array([[10, 10, 20, 20]], np.float32), (200, 1))
    blocks = list(BoxIndex(boxes).pairs())
    assert sum(len(i) for i, _ in blocks) == 200 * 199 // 2
    assert max(len(i) for i, _ in blocks) <= 400


def test_touching_and_empty_boxes_make_no_pair() -> None:
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [5, 5, 5, 8]], np.float32)
    assert listed(BoxIndex(boxes).pairs()) == []


def test_groups_and_extents_far_apart_do_not_overflow() -> None:
    far = 3e7
    boxes = np.array([[0, 0, 64, 64], [8, 8, 64, 64], [far, far, far + 64, far + 64]], np.float32)
    groups = np.array([2**40, 2**40, 7])
    assert listed(BoxIndex(boxes, groups).pairs()) == [(0, 1)]
    assert listed(BoxIndex(boxes, groups).query(boxes[2:], groups[2:])) == [(0, 2)]


def test_one_box_over_thousands() -> None:
    x, y = np.meshgrid(np.arange(0, 1000, 10.0), np.arange(0, 1000, 10.0))
    small = np.stack([x, y, x + 5, y + 5], axis=-1).reshape(-1, 4)
    boxes = np.concatenate([small, [[0, 0, 1000, 1000]]]).astype(np.float32)
    assert listed(BoxIndex(boxes).pairs()) == [(i, 10_000) for i in range(10_000)]
