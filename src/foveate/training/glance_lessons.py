"""What teaches a glance where objects are: labels, or what the detector itself finds."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from foveate.config import write_atomically
from foveate.errors import FoveateError
from foveate.inference.folder import Runner
from foveate.structures import Dataset, FloatArray, ImageSource, IntArray

_LOADED_WRONGLY = (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError)
_NONE = np.zeros((0, 4), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A picture and where its objects are.

    Attributes:
        path: The picture.
        boxes: ``(G, 4)`` xyxy pixels.
        ignore: ``(M, 4)`` xyxy pixels: places that teach nothing.
    """

    path: Path
    boxes: FloatArray
    ignore: FloatArray


class _Open(Protocol):
    def __call__(self, path: Path) -> ImageSource: ...


def labelled_lessons(dataset: Dataset, labels: IntArray) -> list[Lesson]:
    """The labels of a data set as lessons.

    Args:
        dataset: The pictures.
        labels: ``(classes of the data,)``: below 0 for a class that the detector does not find.
    """
    lessons = []
    for sample in dataset.samples:
        known = sample.annotations
        wanted = ~known.ignore & (labels[known.labels] >= 0)
        lessons.append(Lesson(sample.path, known.boxes[wanted], known.boxes[known.ignore]))
    return lessons


def own_lessons(
    paths: Sequence[Path],
    open_source: _Open,
    run: Runner,
    identity: str,
    cache: Path,
    on_picture: Callable[[], None] = lambda: None,
    on_failure: Callable[[str], None] = lambda message: None,
) -> list[Lesson]:
    """What a detector finds in pictures, all of their tiles looked at, as lessons.

    Each picture's boxes are kept in `cache` as soon as they are there, so that a stopped run goes
    on, and more pictures can be added later.

    Args:
        paths: Pictures.
        open_source: Opens one.
        run: The detector at its usual settings.
        identity: Of detector and settings: what others found is not taken.
        cache: A folder of its own, which may be deleted.
        on_picture: Told of each picture that is done.
        on_failure: Told of each that cannot be read, and left out.

    Raises:
        FoveateError: If the cache cannot be written.
    """
    lessons = []
    for path in paths:
        try:
            part = cache / f"{_key(path, identity)}.npz"
            boxes = _load(part)
            if boxes is None:
                boxes = run(open_source(path)).detections.boxes
                _save(part, boxes)
            lessons.append(Lesson(path, boxes, _NONE))
        except _CacheError as error:
            raise FoveateError(str(error)) from None
        except (FoveateError, OSError) as error:
            on_failure(str(error))
        on_picture()
    return lessons


class _CacheError(FoveateError):
    """Not the picture is to blame."""


def _key(path: Path, identity: str) -> str:
    """Of a picture, size and time stand for the pixels."""
    state = path.stat()
    text = f"{identity}|{path.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _save(path: Path, boxes: FloatArray) -> None:
    memory = io.BytesIO()
    np.savez(memory, allow_pickle=False, boxes=boxes)
    try:
        write_atomically(path, memory.getvalue())
    except OSError as error:
        raise _CacheError(f"{path}: cannot be written ({error.strerror})") from None


def _load(path: Path) -> FloatArray | None:
    """A picture's boxes; None where they are not there or cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["boxes"], np.float32).reshape(-1, 4)
    except _LOADED_WRONGLY:
        return None
