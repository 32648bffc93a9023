"""Size bins: which objects count as tiny, small, large; the side of an object is √area pixels.

An object's area is the area of its *box*. COCO's own figures use the area of the segment, which
is smaller, so an object near an edge of a bin may fall into the bin above. Both edges belong to
a bin, as in pycocotools: an object exactly on an edge counts in both neighbours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from foveate.errors import UsageError
from foveate.structures import BoolArray, FloatArray

WHOLE = "all"
"""Label of the range that holds every size."""

MAX_SIDE = 1e5
"""Side that stands for "no upper limit", as in pycocotools; pixels."""


@dataclass(frozen=True, slots=True)
class SizeBins:
    """Named ranges of object side; ranges may overlap or leave gaps.

    Attributes:
        name: Of the whole set.
        labels: Of each bin.
        sides: Least and greatest side (√area) of each bin, pixels; both edges belong to it.
    """

    name: str
    labels: tuple[str, ...]
    sides: tuple[tuple[float, float], ...]

    @property
    def areas(self) -> tuple[tuple[float, float], ...]:
        """Least and greatest area of each bin, square pixels."""
        return tuple((low**2, high**2) for low, high in self.sides)

    def holds(self, boxes: FloatArray) -> BoolArray:
        """Which bin holds which box, ``(bins, N)``, for ``(N, 4)`` xyxy boxes."""
        size = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
        area = size[:, 0] * size[:, 1]
        inside = [(area >= low) & (area <= high) for low, high in self.areas]
        return np.array(inside, bool).reshape(len(self.labels), len(boxes))


SIZE_BINS: Mapping[str, SizeBins] = MappingProxyType(
    {
        # COCO: 32 and 96 px (pycocotools).
        "coco": SizeBins("coco", ("small", "medium", "large"), ((0, 32), (32, 96), (96, MAX_SIDE))),
        # The evaluator of AI-TOD leaves `medium` open above; the paper gives < 64 px, which is
        # where that data set ends.
        "ai-tod": SizeBins(
            "ai-tod",
            ("very-tiny", "tiny", "small", "medium"),
            ((0, 8), (8, 16), (16, 32), (32, MAX_SIDE)),
        ),
        # TinyPerson: the AP evaluator starts at 1 px, the paper's text at 2. `tiny` is the union
        # of tiny1-3. Only the bins are TinyPerson's: its IoU thresholds and its cap of 200
        # detections are not used here.
        "tinyperson": SizeBins(
            "tinyperson",
            ("tiny", "tiny1", "tiny2", "tiny3", "small", "reasonable"),
            ((1, 20), (1, 8), (8, 12), (12, 20), (20, 32), (32, MAX_SIDE)),
        ),
    }
)


def parse_size_bins(text: str) -> SizeBins:
    """Bins from a preset's name, or from rising side lengths such as ``0,8,16,32,64``.

    Args:
        text: A key of `SIZE_BINS`, or at least two side lengths in pixels with commas between
            them; the last may be ``inf``.

    Raises:
        UsageError: If it is neither.
    """
    preset = SIZE_BINS.get(text.strip().lower())
    if preset is not None:
        return preset
    edges = _edges(text)
    pairs = tuple(itertools.pairwise(edges))
    labels = tuple(f"{a:g}-{b:g}" if math.isfinite(b) else f"{a:g}+" for a, b in pairs)
    return SizeBins(text, labels, tuple((a, min(b, MAX_SIDE)) for a, b in pairs))


def _edges(text: str) -> list[float]:
    hint = (
        f"give one of {', '.join(SIZE_BINS)}, or rising side lengths in pixels such as "
        "0,8,16,32,64 (the last may be inf)"
    )
    try:
        edges = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"size bins {text!r}: {hint}") from None
    rising = all(a < b for a, b in itertools.pairwise(edges))
    if len(edges) < 2 or not rising or not 0 <= edges[0] < MAX_SIDE:
        raise UsageError(f"size bins {text!r}: {hint}")
    return edges
