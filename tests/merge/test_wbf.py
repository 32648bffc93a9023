from __future__ import annotations

import pytest
from merge_data import tiled

from foveate.merge import MergeConfig
from foveate.merge.wbf import merge_wbf

CONFIG = MergeConfig(method="wbf")
LEFT, RIGHT, FAR = (0.0, 0.0, 60.0, 50.0), (40.0, 0.0, 100.0, 50.0), (200.0, 0.0, 300.0, 50.0)
SIZE = (300, 50)


def test_boxes_are_averaged_by_score() -> None:
    found = [(0, (44.0, 10.0, 56.0, 20.0), 0.9), (1, (46.0, 12.0, 58.0, 22.0), 0.3)]
    merged = merge_wbf(tiled([LEFT, RIGHT, FAR], found, SIZE), CONFIG)
    assert merged.boxes.tolist() == [pytest.approx([44.5, 10.5, 56.5, 20.5])]
    assert merged.scores.tolist() == pytest.approx([0.6])  # both tiles that show it found it


def test_a_tile_that_shows_an_object_and_did_not_find_it_halves_the_score() -> None:
    found = [(0, (44.0, 10.0, 56.0, 20.0), 0.8)]
    merged = merge_wbf(tiled([LEFT, RIGHT, FAR], found, SIZE), CONFIG)
    assert merged.scores.tolist() == pytest.approx([0.4])
    twice = [*found, (0, (44.0, 10.0, 56.0, 21.0), 0.8)]
    merged = merge_wbf(tiled([LEFT, RIGHT, FAR], twice, SIZE), CONFIG)
    assert merged.scores.tolist() == pytest.approx([0.4])  # one tile, however often


def test_only_tiles_that_show_enough_of_it_count() -> None:
    found = [(0, (30.0, 10.0, 44.0, 20.0), 0.8)]  # the right tile shows 4 of 14 pixels
    merged = merge_wbf(tiled([LEFT, RIGHT], found, SIZE), CONFIG)
    assert merged.scores.tolist() == pytest.approx([0.8])


def test_a_box_joins_the_cluster_it_overlaps_most() -> None:
    found = [
        (0, (0.0, 0.0, 10.0, 10.0), 0.9),
        (0, (5.5, 0.0, 15.5, 10.0), 0.8),
        (0, (3.0, 0.0, 13.0, 10.0), 0.1),
    ]
    merged = merge_wbf(tiled([LEFT], found, SIZE), CONFIG)
    assert merged.boxes[0].tolist() == [0, 0, 10, 10]
    assert merged.boxes[1, 0] == pytest.approx((0.8 * 5.5 + 0.1 * 3) / 0.9)
