from __future__ import annotations

import pytest
from merge_data import as_rows, tiled

from foveate.merge import MergeConfig
from foveate.merge.greedy_nmm import merge_greedy_nmm

CONFIG = MergeConfig(method="greedy-nmm")
WHOLE = [(0.0, 0.0, 100.0, 100.0)]


def test_the_best_box_grows_over_those_it_absorbs() -> None:
    found = [(0, (0, 0, 10, 10), 0.9), (0, (2, 1, 12, 10), 0.8), (0, (0, -2, 10, 9), 0.7)]
    merged = merge_greedy_nmm(tiled(WHOLE, found, (100, 100)), CONFIG)
    assert as_rows(merged) == [(0, -2, 12, 10, 0)]
    assert merged.scores[0] == pytest.approx(0.9)


def test_boxes_are_compared_with_the_best_one_before_it_grew() -> None:
    found = [(0, (0, 0, 10, 10), 0.9), (0, (3, 0, 13, 10), 0.8), (0, (6, 0, 16, 10), 0.7)]
    merged = merge_greedy_nmm(tiled(WHOLE, found, (100, 100)), CONFIG)
    assert as_rows(merged) == [(0, 0, 13, 10, 0), (6, 0, 16, 10, 0)]
