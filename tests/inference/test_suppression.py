from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foveate.inference.suppression import suppressed
from foveate.structures import Detections
from foveate.structures.boxes import box_iou


def drawn(seed: int, count: int = 40) -> Detections:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 20, (count, 2))], axis=1)
    scores = rng.uniform(0, 1, count).astype(np.float32)
    return Detections(boxes.astype(np.float32), scores, rng.integers(0, 2, count))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.9]))
def test_each_object_once(seed: int, iou: float) -> None:
    found = drawn(seed)
    kept = suppressed(found, iou)
    rest: list[int] = []
    for row in np.argsort(-found.scores, kind="stable").tolist():  # the textbook loop
        rivals = [k for k in rest if found.labels[k] == found.labels[row]]
        overlap = box_iou(found.boxes[[row]], found.boxes[rivals])
        if (overlap < iou).all():
            rest.append(row)
    assert kept.scores.tolist() == found.scores[rest].tolist()
    assert kept.boxes.tolist() == found.boxes[rest].tolist()
    shuffled = found[np.random.default_rng(seed).permutation(len(found))]
    assert suppressed(shuffled, iou).boxes.tolist() == kept.boxes.tolist()


def test_nothing_to_suppress() -> None:
    found = drawn(0)
    assert suppressed(found, None) is found
    assert len(suppressed(Detections.empty(), 0.5)) == 0
