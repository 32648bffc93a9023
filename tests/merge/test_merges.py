"""What every row of `MERGES` must do."""

from __future__ import annotations

import time
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_data import (
    one_tile,
    perfect_views,
    plain,
    random_detections,
    same,
    shuffled,
    tiled,
)
from random_boxes import random_boxes

from foveate.merge import MERGES, MergeConfig, MergeMethod, merge_tiles
from foveate.structures import Detections, TiledDetections
from foveate.tiling import TilePlan, plan_tiles

EACH = pytest.mark.parametrize("method", MERGES)
METHODS = st.sampled_from(list(MERGES))


def config(method: str, **values: object) -> MergeConfig:
    return MergeConfig.from_dict({"method": method, **values})


def test_every_method_has_a_row() -> None:
    assert set(get_args(MergeMethod)) == set(MERGES)


@settings(deadline=None, max_examples=60)
@given(METHODS, st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["iou", "ios"]))
def test_order_of_tiles_and_boxes_does_not_matter(
    method: str, seed: int, class_aware: bool, metric: str
) -> None:
    rng = np.random.default_rng(seed)
    found = random_detections(rng, int(rng.integers(0, 60)))
    regions = np.clip(random_boxes(rng, 5), 0, 100)
    scene = TiledDetections(found, rng.integers(0, 5, len(found)), regions, (100, 100))
    how = config(method, class_aware=class_aware, metric=metric)
    merged = merge_tiles(scene, how)
    assert same(merged, merge_tiles(shuffled(scene, rng), how))
    assert same(merged, merged.in_order())


@EACH
def test_no_boxes_and_no_tiles(method: str) -> None:
    assert len(merge_tiles(tiled([], [], (10, 10)), config(method))) == 0
    assert len(merge_tiles(tiled([(0, 0, 10, 10)], [], (10, 10)), config(method))) == 0


@EACH
def test_one_box_stays_as_it_is(method: str) -> None:
    found = plain([[1, 2, 30, 40]], [0.7], [3])
    assert same(merge_tiles(one_tile(found), config(method)), found)


@EACH
def test_boxes_that_show_nothing_are_left_out(method: str) -> None:
    boxes: list[list[float]] = [
        [5, 5, 5, 9],
        [9, 9, 5, 5],
        [np.nan, 0, 5, 5],
        [0, 0, np.inf, 5],
        [1, 1, 8, 8],
    ]
    found = plain(boxes * 2, [0.5] * 10)
    found.scores[-1] = np.nan
    assert same(merge_tiles(one_tile(found), config(method)), found[4])


@EACH
def test_identical_boxes_become_one_or_lose_their_score(method: str) -> None:
    found = plain([[10, 10, 30, 30]] * 5, [0.9] * 5)
    merged = merge_tiles(one_tile(found), config(method))
    assert same(merged[0], found[0])
    assert (merged.scores[1:] < 0.2).all()
    assert len(merged) == (4 if method == "soft-nms" else 1)  # the fifth sinks below the floor


@EACH
def test_classes_are_kept_apart_unless_told_otherwise(method: str) -> None:
    found = plain([[10, 10, 30, 30], [10, 10, 30, 29]], [0.9, 0.8], [0, -7])
    apart = merge_tiles(one_tile(found), config(method))
    assert same(apart, found)
    together = merge_tiles(one_tile(found), config(method, class_aware=False))
    assert together.labels[0] == 0
    assert len(together) == 1 or together.scores[1] < 0.2


@EACH
def test_the_input_is_not_written_to(method: str) -> None:
    rng = np.random.default_rng(1)
    scene = one_tile(random_detections(rng, 50), (200, 200))
    found = scene.detections
    copies = Detections(found.boxes.copy(), found.scores.copy(), found.labels.copy())
    merge_tiles(scene, config(method))
    assert same(found, copies)


@pytest.mark.parametrize("method", ["seam", "nms"])
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_merged_stays_merged(method: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    regions = np.array([[0, 0, 60, 100], [40, 0, 100, 100]], np.float32)
    found = random_detections(rng, 60)
    scene = TiledDetections(found, rng.integers(0, 2, 60), regions, (100, 100))
    merged = merge_tiles(scene, config(method))
    assert same(merged, merge_tiles(one_tile(merged), config(method)))


@EACH
def test_a_pile_of_boxes_in_one_spot(method: str) -> None:
    rng = np.random.default_rng(2)
    corners = rng.uniform(100, 101, (2000, 2))
    boxes = np.concatenate([corners, corners + 30], axis=1)
    found = plain(boxes, rng.uniform(0.1, 1, 2000))
    merged = merge_tiles(one_tile(found), config(method))
    assert 1 <= len(merged) < 20


@EACH
def test_twenty_thousand_boxes_in_under_a_second(method: str) -> None:
    rng = np.random.default_rng(3)
    centres, size = rng.uniform(0, 5000, (12_000, 2)), rng.uniform(4, 15, (12_000, 2))
    boxes = np.concatenate([centres - size, centres + size], axis=1).clip(0, 5000)
    tiles = plan_tiles(5000, 5000, TilePlan(size=640, overlap=0.2))
    labels = rng.integers(0, 3, len(boxes))
    scene = perfect_views(boxes.astype(np.float32), labels, tiles, (5000, 5000), rng)
    assert len(scene.tile_index) > 19_000
    start = time.process_time()  # of this process alone: the machine may be busy
    merged = merge_tiles(scene, config(method))
    assert time.process_time() - start < 1
    assert len(merged) > 8_000
