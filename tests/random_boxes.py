"""Boxes for tests of several rooms."""

from __future__ import annotations

import numpy as np

from foveate.structures import FloatArray


def random_boxes(rng: np.random.Generator, count: int, extent: float = 100) -> FloatArray:
    """Boxes of very different sizes, many of them overlapping."""
    corner = rng.uniform(-extent / 2, extent, (count, 2))
    size = np.exp(rng.uniform(np.log(0.5), np.log(extent), (count, 2)))
    return np.concatenate([corner, corner + size], axis=1).astype(np.float32)
