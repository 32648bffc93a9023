from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_data import random_detections, tiled

from foveate.merge import MergeConfig
from foveate.merge.ranked import best_first, groups_of, rank
from foveate.structures import canonical_order


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_best_first_is_the_canonical_order(seed: int, count: int) -> None:
    found = random_detections(np.random.default_rng(seed), count)
    doubled = found[np.tile(np.arange(count), 2)]
    order, canonical = best_first(doubled), canonical_order(doubled)
    np.testing.assert_array_equal(doubled[order].boxes, doubled[canonical].boxes)
    np.testing.assert_array_equal(doubled[order].labels, doubled[canonical].labels)


def test_tiles_with_one_region_become_one() -> None:
    regions = [(50.0, 0.0, 90.0, 50.0), (0.0, 0.0, 60.0, 50.0), (50.0, 0.0, 90.0, 50.0)]
    found = [(0, (60.0, 1.0, 70.0, 9.0), 0.5), (1, (1.0, 1.0, 9.0, 9.0), 0.4)]
    found += [(2, (60.0, 1.0, 70.0, 9.0), 0.3)]
    ranked = rank(tiled(regions, found, (90, 50)), MergeConfig())
    assert ranked.regions.tolist() == [[0, 0, 60, 50], [50, 0, 90, 50]]
    assert ranked.tile_index.tolist() == [1, 0, 1]


def test_groups_are_small_and_not_negative() -> None:
    labels = np.array([-5, 2**40, 3, -5])
    groups = groups_of(labels, MergeConfig())
    assert groups.tolist() == [0, 2, 1, 0]
    assert groups_of(labels, MergeConfig(class_aware=False)).tolist() == [0] * 4
