"""What a raster's journal records: what tiles gave, in arrays, beside plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foveate.inference.journal import Record
from foveate.structures import BoolArray, Detections, TiledDetections

Window: TypeAlias = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels."""


class Counts(NamedTuple):
    """Tiles that are done.

    Attributes:
        looked: That the network was shown.
        empty: Without anything to look at.
        unreadable: Not shown, since a block in them cannot be read.
        capped: That gave as many boxes as the model can give one.
        uniform: Of the empty ones, those whose pixels are all alike.
    """

    looked: int = 0
    empty: int = 0
    unreadable: int = 0
    capped: int = 0
    uniform: int = 0

    @property
    def done(self) -> int:
        """All of them."""
        return self.looked + self.empty + self.unreadable

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


class Chunk(NamedTuple):
    """What some tiles gave.

    Attributes:
        tiled: Their boxes.
        counts: Of the tiles.
        shown: ``(n,)`` which of them the network was shown.
        unread: Blocks that were found to be unreadable.
    """

    tiled: TiledDetections
    counts: Counts
    shown: BoolArray
    unread: list[Window]


def record_of(kind: str, values: Mapping[str, Any], tiled: TiledDetections) -> Record:
    """Plain data and boxes as one record."""
    found = tiled.detections
    arrays: tuple[NDArray[Any], ...] = (
        found.boxes, found.scores, found.labels, tiled.tile_index, tiled.regions,
    )  # fmt: skip
    kinds = ("<f4", "<f4", "<i8", "<i8", "<f4")
    data = b"".join(a.astype(kind).tobytes() for a, kind in zip(arrays, kinds, strict=True))
    return Record(
        {"kind": kind, **values, "boxes": len(found), "regions": len(tiled.regions)}, data
    )


def tiled_of(record: Record, size: tuple[int, int]) -> TiledDetections:
    """The boxes of a record."""
    n, regions = record.values["boxes"], record.values["regions"]
    counts = (("<f4", 4 * n), ("<f4", n), ("<i8", n), ("<i8", n), ("<f4", 4 * regions))
    arrays, at = [], 0
    for kind, count in counts:
        arrays.append(np.frombuffer(record.data, kind, count, at))
        at += arrays[-1].nbytes
    boxes, scores, labels, tile_index, edges = arrays
    return TiledDetections(
        Detections(boxes.reshape(-1, 4), scores, labels), tile_index, edges.reshape(-1, 4), size
    )


def chunk_record(first: int, chunk: Chunk) -> Record:
    """What some tiles gave, as a record; `first` is the number of the first of them."""
    values = {
        "first": first,
        "counts": chunk.counts,
        "shown": text_of(chunk.shown),
        "unread": chunk.unread,
    }
    return record_of("tiles", values, chunk.tiled)


def chunk_of(record: Record, size: tuple[int, int]) -> Chunk:
    """What `chunk_record` put into a record; `size` is that of the picture."""
    values, counts = record.values, Counts(*record.values["counts"])
    shown, unread = bits_of(values["shown"], counts.done), windows_of(values["unread"])
    return Chunk(tiled_of(record, size), counts, shown, unread)


def text_of(bits: BoolArray) -> str:
    """A mask, four of it a letter."""
    return np.packbits(bits).tobytes().hex()


def bits_of(text: str, count: int) -> BoolArray:
    """The mask that `text_of` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)


def windows_of(values: list[list[int]]) -> list[Window]:
    """Windows that went through JSON."""
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in values]
