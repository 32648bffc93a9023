"""Run over many pictures: the next one is decoded while the current one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from foveate.errors import FoveateError
from foveate.inference.pipeline import ImageResult
from foveate.structures import ImageSource


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be done.

    Attributes:
        path: The picture.
        message: Why, in one line that names it.
    """

    path: Path
    message: str


def detect_folder(
    paths: Iterable[Path],
    open_source: Callable[[Path], ImageSource],
    run: Callable[[ImageSource], ImageResult],
    on_failure: Callable[[Failure], None],
) -> Generator[tuple[Path, ImageSource, ImageResult]]:
    """Do pictures in turn; one that fails is reported, and the others are still done.

    At most two pictures are in memory: the current one and the next.

    Args:
        paths: Picture files.
        open_source: Decodes one; runs in a thread of its own.
        run: Detects in one; runs in the calling thread.
        on_failure: Told of each picture that could not be read or done, in turn.

    Yields:
        The path, its pixels and its result, for each picture done, in the order of `paths`.
    """
    with ThreadPoolExecutor(1, "foveate-decode") as decoder:
        for path, pending in _ahead(paths, open_source, decoder):
            try:
                source = pending.result()
                result = run(source)
            except (FoveateError, OSError, MemoryError) as error:
                on_failure(Failure(path, _one_line(path, error)))
            else:
                yield path, source, result


def _ahead(
    paths: Iterable[Path],
    open_source: Callable[[Path], ImageSource],
    decoder: ThreadPoolExecutor,
) -> Iterator[tuple[Path, Future[ImageSource]]]:
    """Each path with its decoding, the next one's already begun."""
    previous: tuple[Path, Future[ImageSource]] | None = None
    for path in paths:
        current = path, decoder.submit(open_source, path)
        if previous is not None:
            yield previous
        previous = current
    if previous is not None:
        yield previous


def _one_line(path: Path, error: Exception) -> str:
    text = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, MemoryError):
        text = "not enough memory for this picture"
    return text if str(path) in text else f"{path}: {text}"
