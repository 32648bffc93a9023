from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foveate.structures import Annotations, Dataset, Sample


def test_disagreeing_lengths_are_named() -> None:
    with pytest.raises(ValueError, match=r"boxes: expected \(1, 4\), got \(2, 4\)"):
        Annotations(np.zeros((2, 4), np.float32), np.zeros(1, np.int64), np.zeros(1, bool))
    with pytest.raises(ValueError, match=r"ignore: expected \(1,\), got \(2,\)"):
        Annotations(np.zeros((1, 4), np.float32), np.zeros(1, np.int64), np.zeros(2, bool))


def test_lengths() -> None:
    empty = Annotations.empty()
    assert len(empty) == 0
    assert empty.boxes.shape == (0, 4)
    sample = Sample(Path("a.png"), 1, 10, 10, empty)
    assert len(Dataset("d", ("a",), (1,), (sample, sample))) == 2
