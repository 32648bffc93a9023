"""Choose how many tiles to show a detector at once, by measuring it at work."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from foveate.structures import Detector

_FACTORS = (1, 2, 4, 8)
"""Batches tried: so many times what the detector works on side by side."""
_TRIALS = 2
"""Batches timed a candidate; the faster counts, so that the first call's set-up does not."""
_WORTHWHILE = 0.95
"""A larger batch must take less than this share of the smaller one's time a tile."""
_PIXEL_LIMIT = 2**22
"""Of a batch the sizer may choose, 10 tiles of 640 x 640; bounds the memory."""


class BatchSizer:
    """Tries growing batches on real work, then stays with the fastest a tile.

    The choice only touches speed: a detector's result for a tile does not depend on its batch.

    Args:
        sizes: Batches to try, rising; a single one is taken as it is.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._candidates = tuple(sizes)
        self._position = 0
        self._trials = 0
        self._best = float("inf")
        self._previous_best = float("inf")
        self.settled = len(self._candidates) == 1

    @property
    def size(self) -> int:
        """Tiles to put into the next batch."""
        return self._candidates[self._position]

    @property
    def largest(self) -> int:
        """The most tiles that `size` can become from here on."""
        return self.size if self.settled else self._candidates[-1]

    def record(self, size: int, seconds: float) -> None:
        """Learn from a batch of `size` tiles that took `seconds`; other sizes are no evidence."""
        if self.settled or size != self.size:
            return
        self._trials += 1
        self._best = min(self._best, seconds / size)
        if self._trials < _TRIALS:
            return
        if self._best > _WORTHWHILE * self._previous_best:
            self._position -= 1
            self.settled = True
        elif self._position == len(self._candidates) - 1:
            self.settled = True
        else:
            self._position += 1
            self._trials, self._previous_best, self._best = 0, self._best, float("inf")


_sizers: WeakKeyDictionary[Detector, dict[tuple[int, int], BatchSizer]] = WeakKeyDictionary()


def sizer_of(
    detector: Detector, waits: bool, canvas: tuple[int, int], batch_size: int | None
) -> BatchSizer:
    """How many tiles make a batch: enough to keep the detector busy.

    Args:
        detector: Any.
        waits: Whether it is handed work without waiting for it.
        canvas: Width and height, network pixels.
        batch_size: What was asked for.
    """
    if batch_size:
        return BatchSizer([batch_size])
    if waits:
        return BatchSizer([getattr(detector, "parallel", 1)])
    return sizer_for(detector, canvas)


def sizer_for(detector: Detector, canvas: tuple[int, int]) -> BatchSizer:
    """The sizer that measures `detector` on batches of this width and height.

    It is remembered for as long as the detector lives, so that a folder is measured once.
    """
    sizes = _sizes(canvas, getattr(detector, "parallel", 1))
    try:
        sizers = _sizers.setdefault(detector, {})
    except TypeError:  # a callable that cannot be hashed or weakly referenced
        return BatchSizer(sizes)
    return sizers.setdefault(canvas, BatchSizer(sizes))


def _sizes(canvas: tuple[int, int], parallel: int) -> list[int]:
    width, height = canvas
    limit = max(1, _PIXEL_LIMIT // (width * height))
    return sorted({min(limit, parallel * factor) for factor in _FACTORS})
