"""Run over many pictures, several in flight: one is decoded while others are worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Protocol, TypeAlias, TypeVar

from foveate.data.remote import Location
from foveate.errors import FoveateError
from foveate.inference.pipeline import ImageResult, OnTiles
from foveate.structures import Detector, ImageSource

T = TypeVar("T")
P = TypeVar("P", bound=Location)
Done: TypeAlias = tuple[ImageSource, ImageResult]


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be done.

    Attributes:
        path: The picture.
        message: Why, in one line that names it.
    """

    path: Location
    message: str


class Runner(Protocol):
    """Detects in one picture: `detect_image` with all but the picture settled."""

    def __call__(
        self, source: ImageSource, *, alone: bool = True, on_tiles: OnTiles | None = None
    ) -> ImageResult:
        """Detect; the arguments are those of `detect_image`."""
        ...


class _StoppedError(Exception):
    """The run was given up."""


def pictures_in_flight(detector: Detector) -> int:
    """How many pictures to work on at once; 1 for a callable that must stay in its thread.

    With two, the network has work while one of them is decoded, merged, or down to its last tile.
    """
    return 2 if hasattr(detector, "start") else 1


def detect_folder(
    paths: Iterable[P],
    open_source: Callable[[P], ImageSource],
    run: Runner,
    on_failure: Callable[[Failure], None],
    in_flight: int = 1,
    on_tiles: OnTiles | None = None,
) -> Generator[tuple[P, ImageSource, ImageResult]]:
    """Do pictures in turn; one that fails is reported, and the others are still done.

    At most `in_flight` + 1 pictures are in memory.

    Args:
        paths: Picture files.
        open_source: Decodes one; runs in a thread of its own.
        run: Detects in one; runs in the calling thread if `in_flight` is 1.
        on_failure: Told of each picture that could not be read or done, in turn.
        in_flight: Pictures worked on at once.
        on_tiles: Told of the tiles of a picture, if `in_flight` is 1.

    Yields:
        The path, its pixels and its result, for each picture done, in the order of `paths`.
    """
    stopped = Event()

    def unless_stopped(done: int, total: int) -> None:
        if stopped.is_set():
            raise _StoppedError

    def whole(path: P) -> Done:
        source = open_source(path)
        return source, run(source, alone=False, on_tiles=unless_stopped)

    with ThreadPoolExecutor(in_flight, "foveate-picture") as workers:

        def begin(path: P) -> Callable[[], Done]:
            if in_flight > 1:
                return workers.submit(whole, path).result
            opened = workers.submit(open_source, path)
            return lambda: (opened.result(), run(opened.result(), alone=True, on_tiles=on_tiles))

        try:
            for path, finish in _ahead(((path, begin(path)) for path in paths), in_flight):
                try:
                    done = finish()
                except (FoveateError, OSError, MemoryError) as error:
                    on_failure(Failure(path, _one_line(path, error)))
                else:
                    yield path, *done
        finally:
            stopped.set()


def _ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """Each item, when `count` more have been begun."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting


def _one_line(path: Location, error: Exception) -> str:
    text = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, MemoryError):
        text = "not enough memory for this picture"
    return text if str(path) in text else f"{path}: {text}"
