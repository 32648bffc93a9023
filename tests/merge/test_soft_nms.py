from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_data import one_tile, random_detections, tiled

from foveate.merge import MergeConfig, soft_nms
from foveate.merge.soft_nms import FLOOR, NEGLIGIBLE, SIGMA, merge_soft_nms
from foveate.structures import Detections
from foveate.structures.boxes import box_iou

CONFIG = MergeConfig(method="soft-nms")


def textbook(found: Detections) -> dict[tuple[float, ...], float]:
    """Final score of every box, by box and label."""
    found = found.in_order()
    overlap = np.where(found.labels[:, None] == found.labels, box_iou(found.boxes, found.boxes), 0)
    overlap = overlap.astype(np.float64)
    overlap[overlap < NEGLIGIBLE] = 0
    scores = found.scores.astype(np.float64)
    waiting, final = list(range(len(found))), {}
    while waiting:
        best = max(waiting, key=lambda row: (scores[row], -row))
        waiting.remove(best)
        if scores[best] >= FLOOR:
            final[(*found.boxes[best].tolist(), int(found.labels[best]))] = float(scores[best])
            scores[waiting] *= np.exp(-(overlap[best, waiting] ** 2) / SIGMA)
    return final


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.sampled_from([64, 1, 0]))
def test_same_as_the_textbook_loop(seed: int, count: int, rounds: int) -> None:
    found = random_detections(np.random.default_rng(seed), count, 40)
    found.boxes[:] = np.abs(found.boxes)
    found = found[(found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soft_nms, "ROUNDS", rounds)
        merged = merge_soft_nms(one_tile(found), CONFIG)
    rows = np.column_stack([merged.boxes, merged.labels]).tolist()
    scores = dict(zip(map(tuple, rows), merged.scores.tolist(), strict=True))
    assert scores == pytest.approx(textbook(found), rel=1e-5)


def test_half_an_overlap_costs_a_known_share() -> None:
    found = [(0, (0.0, 0.0, 10.0, 10.0), 0.9), (0, (0.0, 0.0, 10.0, 5.0), 0.8)]
    merged = merge_soft_nms(tiled([(0, 0, 99, 99)], found, (99, 99)), CONFIG)
    assert merged.scores.tolist() == pytest.approx([0.9, 0.8 * math.exp(-0.25 / 0.5)])
