"""Memory for decoded pictures, used again when a picture is forgotten.

Fresh memory is given out by the system page by page, cleared, at the moment it is written to: of a
large picture that takes longer than decoding it does, on a virtual machine twice as long.
"""

from __future__ import annotations

import mmap
import weakref
from threading import Lock

import numpy as np

from foveate.structures import UInt8Image

_LEAST = 1 << 20
"""Bytes; smaller pictures are left to numpy."""
_MOST_KEPT = 1 << 28
"""Bytes that wait to be used again."""

_lock = Lock()
_waiting: list[mmap.mmap] = []


def picture_memory(height: int, width: int) -> UInt8Image:
    """An array for a picture, ``(height, width, 3)`` uint8, its values left over from another.

    Its memory is used again when neither it nor a view of it is left.
    """
    size = height * width * 3
    if size < _LEAST:
        return np.empty((height, width, 3), np.uint8)
    memory = _take(size)
    array = np.frombuffer(memory, np.uint8, size).reshape(height, width, 3)
    # Views keep the array alive that was made from the buffer.
    owner = array if array.base is None or not isinstance(array.base, np.ndarray) else array.base
    weakref.finalize(owner, _give_back, memory)
    return array


def _take(size: int) -> mmap.mmap:
    """The smallest that waits and is not more than twice as large; or a new one."""
    with _lock:
        fitting = [memory for memory in _waiting if size <= len(memory) <= 2 * size]
        if fitting:
            chosen = min(fitting, key=len)
            _waiting.remove(chosen)
            return chosen
    memory = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _give_back(memory: mmap.mmap) -> None:
    """Keep it for the next picture; the one that has waited longest makes room."""
    with _lock:
        _waiting.append(memory)
        while sum(map(len, _waiting)) > _MOST_KEPT:
            _waiting.pop(0)
