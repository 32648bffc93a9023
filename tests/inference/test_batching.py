import gc
import weakref
from collections.abc import Sequence

import pytest

from foveate.inference.batching import BatchSizer, sizer_for
from foveate.structures import Detections, UInt8Image


class Detector:
    def __init__(self, parallel: int = 1) -> None:
        self.parallel = parallel

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        return [Detections.empty() for _ in images]


def settle(sizer: BatchSizer, seconds_a_tile: dict[int, float]) -> int:
    for _ in range(100):
        sizer.record(sizer.size, sizer.size * seconds_a_tile[sizer.size])
        if sizer.settled:
            return sizer.size
    raise AssertionError("the sizer never settles")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({1: 1.0, 2: 1.1, 4: 0.1, 8: 0.1}, 1),  # the first step up must pay
        ({1: 1.0, 2: 0.98, 4: 0.1, 8: 0.1}, 1),  # by more than noise
        ({1: 1.0, 2: 0.6, 4: 0.5, 8: 0.7}, 4),
        ({1: 1.0, 2: 0.6, 4: 0.5, 8: 0.3}, 8),
    ],
)
def test_settles_on_the_fastest(times: dict[int, float], expected: int) -> None:
    sizer = BatchSizer([1, 2, 4, 8])
    assert settle(sizer, times) == expected
    assert sizer.largest == expected


def test_the_first_slow_call_does_not_count() -> None:
    sizer = BatchSizer([1, 2])
    for size, seconds in [(1, 9.0), (1, 1.0), (2, 9.0), (2, 2.0)]:
        assert sizer.size == size
        sizer.record(size, seconds)
    assert sizer.settled
    assert sizer.size == 1


def test_other_sizes_are_no_evidence() -> None:
    sizer = BatchSizer([1, 2, 4, 8])
    for _ in range(5):
        sizer.record(3, 0.0)
    assert sizer.size == 1
    assert not sizer.settled


def test_a_single_size_is_taken_as_it_is() -> None:
    sizer = BatchSizer([5])
    assert (sizer.size, sizer.largest, sizer.settled) == (5, 5, True)


def test_remembered_by_detector_and_canvas() -> None:
    detector = Detector()
    sizer = sizer_for(detector, (64, 64))
    assert sizer_for(detector, (64, 64)) is sizer
    assert sizer_for(detector, (64, 96)) is not sizer
    assert sizer_for(Detector(), (64, 64)) is not sizer


def test_a_detector_is_not_kept_alive() -> None:
    detector = Detector()
    sizer_for(detector, (64, 64))
    alive = weakref.ref(detector)
    del detector
    gc.collect()
    assert alive() is None


def test_a_detector_that_cannot_be_remembered() -> None:
    class Unhashable(Detector):
        __hash__ = None  # type: ignore[assignment]

    detector = Unhashable()
    assert sizer_for(detector, (64, 64)) is not sizer_for(detector, (64, 64))


@pytest.mark.parametrize(
    ("parallel", "side", "first", "last"),
    [(1, 640, 1, 8), (2, 640, 2, 10), (16, 640, 10, 10), (4, 1280, 2, 2), (4, 8192, 1, 1)],
)
def test_batches_suit_the_threads_and_the_memory(
    parallel: int, side: int, first: int, last: int
) -> None:
    sizer = sizer_for(Detector(parallel), (side, side))
    assert (sizer.size, sizer.largest) == (first, last)
