"""Final boxes on disk, a line a box: readable during a run, and read back to the last bit."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foveate.data.files import reason_of
from foveate.errors import FoveateError
from foveate.structures import Detections

FOUND = "found.jsonl"
BATCH = 1 << 15
"""Boxes in memory at once while the file is read."""
_READ = 1 << 20


class Extent(NamedTuple):
    """How far a file goes.

    Attributes:
        size: Bytes.
        checksum: CRC-32 of them.
        boxes: Lines.
    """

    size: int = 0
    checksum: int = 0
    boxes: int = 0


class FoundFile:
    """``found.jsonl``, to which boxes are appended: `box` (xyxy pixels), `score`, `label`.

    Args:
        path: The file.
        extent: What is kept of it, which `holds` must have confirmed.

    Attributes:
        path: The file.
        extent: How far it goes.

    Raises:
        FoveateError: If it cannot be written.
    """

    def __init__(self, path: Path, extent: Extent) -> None:
        self.path, self.extent = path, extent
        try:
            self._file = path.open("ab")
            self._file.truncate(extent.size)
        except OSError as error:
            raise self._failed(error) from None

    def append(self, found: Detections) -> None:
        """Write boxes, in their order."""
        content = "".join(
            f'{{"box":{json.dumps(box)},"score":{score!r},"label":{label}}}\n'
            for box, score, label in zip(
                found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
            )
        ).encode()
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None
        size, checksum, boxes = self.extent
        self.extent = Extent(size + len(content), zlib.crc32(content, checksum), boxes + len(found))

    def sync(self) -> None:
        """See that all is on disk, also if the power goes."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """See that all is on disk, and close; may be called twice."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def _failed(self, error: OSError) -> FoveateError:
        return FoveateError(f"{self.path}: cannot be written ({reason_of(error)})")


def held_by(path: Path, extents: Sequence[Extent]) -> list[bool]:
    """Which of `extents`, of rising size, are those of the file as it is."""
    checksum = size = 0
    held = []
    if not path.exists():
        return [extent.size == 0 for extent in extents]
    with path.open("rb") as file:
        for extent in extents:
            while size < extent.size and (part := file.read(min(_READ, extent.size - size))):
                checksum, size = zlib.crc32(part, checksum), size + len(part)
            held.append((size, checksum) == extent[:2])
    return held


def read_found(path: str | Path, most: int = BATCH) -> Iterator[Detections]:
    """The boxes of a ``found.jsonl``, up to its last whole line.

    Args:
        path: The file.
        most: Boxes given at once.

    Raises:
        FoveateError: If it cannot be read, or holds something else.
    """
    try:
        with Path(path).open("rb") as file:
            lines = (line for line in file if line.endswith(b"\n"))
            while block := list(islice(lines, most)):
                yield _parsed(block)
    except (ValueError, KeyError, TypeError):
        raise FoveateError(f"{path} holds no boxes; begin in another folder") from None
    except OSError as error:
        raise FoveateError(f"{path} cannot be read: {reason_of(error)}") from None


def _parsed(lines: Sequence[bytes]) -> Detections:
    values = json.loads(b"[" + b",".join(lines) + b"]")
    return Detections(
        np.array([one["box"] for one in values], np.float32),
        np.array([one["score"] for one in values], np.float32),
        np.array([one["label"] for one in values], np.int64),
    )
