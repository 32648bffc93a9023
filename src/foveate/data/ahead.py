"""Make items in a thread of their own while the caller works on the ones before."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOKS_UP = 0.1
"""Seconds after which a thread that waits sees whether it is still wanted."""
_PATIENCE = 10.0
"""Seconds that the end of a thread is waited for: it may hang in a read from a camera."""


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


@dataclass(slots=True)
class Dropped:
    """How many items were made and not taken in time.

    Attributes:
        count: So far.
    """

    count: int = 0


class _Line(Generic[T]):
    """The queue between the two threads."""

    def __init__(self, size: int, dropped: Dropped | None) -> None:
        self._queue: Queue[T | _End] = Queue(size)
        self._dropped = dropped
        self.stopped = Event()

    def put(self, item: T | _End) -> None:
        while not self.stopped.is_set():
            try:
                if self._dropped is not None and not isinstance(item, _End) and self._queue.full():
                    self._queue.get_nowait()
                    self._dropped.count += 1
                self._queue.put(item, timeout=_LOOKS_UP)
                return
            except (Full, Empty):
                continue

    def get(self) -> T | _End:
        return self._queue.get()


def ahead(
    items: Iterable[T], size: int, name: str = "foveate-ahead", dropped: Dropped | None = None
) -> Generator[T]:
    """Each item, made by a thread of its own, at most `size` of them waiting.

    What `items` raises is raised here, in its turn. When the caller is done, or gives up and
    closes the generator, the thread ends and `items` is closed.

    Args:
        items: Is iterated over in the thread only.
        size: Most items that wait.
        name: Of the thread.
        dropped: If given, the oldest item that waits makes room for a new one and is counted,
            as a camera needs that does not wait; otherwise the thread waits.
    """
    line: _Line[T] = _Line(size, dropped)

    def make() -> None:
        error: BaseException | None = None
        iterator: Iterator[T] | None = None
        try:
            iterator = iter(items)
            for item in iterator:
                line.put(item)
                if line.stopped.is_set():
                    break
        except BaseException as raised:
            error = raised
        finally:
            try:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
            except BaseException as raised:
                error = error or raised
            finally:
                line.put(_End(error))  # whatever happens: the caller waits for it

    thread = Thread(target=make, name=name, daemon=True)
    thread.start()
    try:
        while not isinstance(item := line.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        line.stopped.set()
        thread.join(_PATIENCE)
