from __future__ import annotations

from merge_data import as_rows, tiled

from foveate.merge import MergeConfig
from foveate.merge.nms import merge_nms

WHOLE = [(0.0, 0.0, 100.0, 100.0)]


def test_the_best_stays_and_frees_what_its_victims_would_have_struck() -> None:
    found = [(0, (0, 0, 10, 10), 0.9), (0, (3, 0, 13, 10), 0.8), (0, (6, 0, 16, 10), 0.7)]
    merged = merge_nms(tiled(WHOLE, found, (100, 100)), MergeConfig(method="nms"))
    assert as_rows(merged) == [(0, 0, 10, 10, 0), (6, 0, 16, 10, 0)]


def test_threshold_and_metric() -> None:
    found = [(0, (0, 0, 10, 10), 0.9), (0, (0, 0, 10, 4), 0.8)]  # IoU .4, IoS 1
    scene = tiled(WHOLE, found, (100, 100))
    assert len(merge_nms(scene, MergeConfig(method="nms"))) == 2
    assert len(merge_nms(scene, MergeConfig(method="nms", threshold=0.4))) == 1
    assert len(merge_nms(scene, MergeConfig(method="nms", metric="ios"))) == 1
