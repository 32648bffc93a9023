"""A journal: records appended to a file, of which a kill spoils the last one at most.

A record is its length, a checksum of that and one of what follows (CRC-32; 4 bytes each, little-
endian), then a line of JSON, and bytes. The first record says what the journal is of. Since the
length has a checksum of its own, what a kill cut short is told from what was damaged.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from foveate.config import replacing
from foveate.data.files import reason_of
from foveate.errors import FoveateError

_HEAD = struct.Struct("<III")


class Record(NamedTuple):
    """One record.

    Attributes:
        values: Plain data.
        data: What goes with it.
    """

    values: dict[str, Any]
    data: bytes = b""

    def encoded(self) -> bytes:
        """As it is written."""
        body = json.dumps(self.values, separators=(",", ":")).encode() + b"\n" + self.data
        return _HEAD.pack(len(body), _checksum(len(body)), zlib.crc32(body)) + body


class Journal:
    """A journal on disk, open for appending.

    What follows the first record that is not whole is cut off when it is opened.

    Args:
        path: Made if it is missing.
        run: Plain data that decides what is recorded.

    Attributes:
        path: The file.
        records: Of a run before; empty if there was none.
        damage: What was lost of a run before in other ways than by a kill, in one line, or None.
        size: Bytes.

    Raises:
        FoveateError: If it is of something else, naming what differs, or cannot be written.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        self._run = Record(json.loads(json.dumps({"run": run})))
        self.damage: str | None = None
        self.records: list[Record] = []
        self.size = 0
        self._file: BinaryIO | None = None
        with self._told():
            if path.exists():
                self._read()
            if not self.size:
                self._replace([])
            self._open()

    def append(self, record: Record) -> None:
        """Write a record: a kill of the process does not undo it, a power cut may until `sync`."""
        assert self._file is not None
        content = record.encoded()
        with self._told():
            self._file.write(content)
            self._file.flush()
        self.size += len(content)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Put these in the place of all; the file holds the old ones or the new."""
        with self._told():
            self.close()
            self._replace(records)
            self._open()

    def sync(self) -> None:
        """See that all is on disk, also if the power goes."""
        assert self._file is not None
        with self._told():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """See that all is on disk, and close; may be called twice."""
        if self._file is not None and not self._file.closed:
            self.sync()
            self._file.close()

    def _open(self) -> None:
        self._file = self.path.open("ab")
        self._file.truncate(self.size)

    def _replace(self, records: Iterable[Record]) -> None:
        self.size = 0
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            for record in (self._run, *records):
                self.size += file.write(record.encoded())
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> None:
        """Records of a run before, up to the first that is not whole."""
        length = self.path.stat().st_size
        with self.path.open("rb") as file:
            for number, record in enumerate(_records(file)):
                if number == 0:
                    self._require_same(record.values.get("run"))
                else:
                    self.records.append(record)
                self.size = file.tell()
            torn = _is_torn(file, self.size, length)
        if self.size < length and not torn:
            kept = "what comes before it is kept, the rest is" if self.size else "everything is"
            self.damage = f"{self.path} is damaged at byte {self.size:,}: {kept} looked at again"

    def _require_same(self, found: Any) -> None:
        known, wanted = _flat(found), _flat(self._run.values["run"])
        differ = [key for key in {**known, **wanted} if known.get(key) != wanted.get(key)]
        if differ:
            key, more = differ[0], f" and {len(differ) - 1} more" if len(differ) > 1 else ""
            raise FoveateError(
                f"{self.path} is of another run: {key} was {known.get(key, 'not set')} and is "
                f"{wanted.get(key, 'not set')}{more}; choose another folder with --out"
            )

    def _told(self) -> _Told:
        return _Told(self.path)


class _Told:
    """Errors of the system as one line that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: object, __: object) -> None:
        if isinstance(error, OSError):
            raise FoveateError(f"{self._path}: cannot be written ({reason_of(error)})") from None


def _checksum(size: int) -> int:
    return zlib.crc32(struct.pack("<I", size))


def _records(file: BinaryIO) -> Iterator[Record]:
    """Records up to the first that is not whole."""
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        size, of_size, of_body = _HEAD.unpack(head)
        if of_size != _checksum(size):
            return
        body = file.read(size)
        if len(body) < size or zlib.crc32(body) != of_body:
            return
        line, _, data = body.partition(b"\n")
        yield Record(json.loads(line), data)


def _is_torn(file: BinaryIO, start: int, length: int) -> bool:
    """Whether what is left is the beginning of one record, as a kill leaves it."""
    file.seek(start)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return True
    size, of_size, _ = _HEAD.unpack(head)
    goes_on: bool = of_size == _checksum(size) and start + _HEAD.size + size > length
    return goes_on


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, its keys joined with dots."""
    if not isinstance(values, dict):
        return {prefix or "run": values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
