import threading
import time
from pathlib import Path

import numpy as np
import pytest

from foveate.data.images import ArraySource
from foveate.errors import FoveateError
from foveate.inference.folder import Failure, detect_folder
from foveate.inference.pipeline import ImageResult, OnTiles
from foveate.structures import Detections, ImageSource


def open_source(path: Path) -> ArraySource:
    if "cut" in path.name:
        raise FoveateError(f"{path} was cut short")
    if "gone" in path.name:
        raise OSError(5, "input/output error")
    return ArraySource(path.name, np.zeros((8, 8, 3), np.uint8))


def run(source: ImageSource, *, alone: bool = True, on_tiles: OnTiles | None = None) -> ImageResult:
    if "unsuited" in source.name:
        raise FoveateError("the model takes 1 channel")
    if "huge" in source.name:
        raise MemoryError
    return ImageResult(source.name, 8, 8, Detections.empty(), [], 0.0, 0)


def paths(*names: str) -> list[Path]:
    return [Path("folder") / name for name in names]


def test_all_in_turn() -> None:
    failures: list[Failure] = []
    done = list(detect_folder(paths("a", "b", "c"), open_source, run, failures.append))
    assert [path.name for path, _, _ in done] == ["a", "b", "c"]
    assert [source.name for _, source, _ in done] == ["a", "b", "c"]
    assert failures == []


def test_nothing_to_do() -> None:
    assert list(detect_folder([], open_source, run, lambda failure: None)) == []


def test_one_that_fails_does_not_stop_the_others() -> None:
    failures: list[Failure] = []
    names = ("a", "cut", "unsuited", "gone", "huge", "z")
    done = list(detect_folder(paths(*names), open_source, run, failures.append))
    assert [path.name for path, _, _ in done] == ["a", "z"]
    assert [failure.path.name for failure in failures] == ["cut", "unsuited", "gone", "huge"]
    assert [failure.message for failure in failures] == [
        "folder/cut was cut short",
        "folder/unsuited: the model takes 1 channel",
        "folder/gone: [Errno 5] input/output error",
        "folder/huge: not enough memory for this picture",
    ]


def test_a_bug_is_not_taken_for_a_bad_picture() -> None:
    def broken(source: ImageSource, **_: object) -> ImageResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(detect_folder(paths("a", "b"), open_source, broken, lambda failure: None))


def test_the_next_picture_is_decoded_meanwhile_and_no_more() -> None:
    opened: list[str] = []

    def opening(path: Path) -> ArraySource:
        opened.append(path.name)
        return open_source(path)

    started = detect_folder(paths("a", "b", "c", "d"), opening, run, lambda failure: None)
    next(started)
    deadline = time.monotonic() + 5
    while len(opened) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert opened == ["a", "b"]
    started.close()


def test_stopping_early_leaves_no_thread_behind() -> None:
    threads = threading.active_count()
    started = detect_folder(paths("a", "b", "c"), open_source, run, lambda failure: None)
    next(started)
    started.close()
    assert threading.active_count() == threads


def test_several_in_flight_still_come_in_turn() -> None:
    both = threading.Barrier(2, timeout=5)
    failures: list[Failure] = []

    def together(source: ImageSource, **_: object) -> ImageResult:
        both.wait()  # passes only if another picture is worked on at the same time
        return run(source)

    names = ("a", "b", "c", "d")
    done = list(detect_folder(paths(*names), open_source, together, failures.append, in_flight=2))
    assert tuple(path.name for path, _, _ in done) == names
    assert failures == []


def test_stopping_early_ends_what_is_in_flight() -> None:
    """A picture of many tiles, worked on in a thread, is given up at its next tile."""
    finished = threading.Event()

    def endless(
        source: ImageSource, *, alone: bool = True, on_tiles: OnTiles | None = None
    ) -> ImageResult:
        assert not alone
        assert on_tiles is not None
        if source.name == "a":
            return run(source)
        try:
            while True:
                on_tiles(1, 2)
                time.sleep(0.001)
        finally:
            finished.set()

    started = detect_folder(paths("a", "b"), open_source, endless, lambda failure: None, 2)
    next(started)
    started.close()
    assert finished.is_set()
