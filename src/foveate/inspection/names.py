"""What the names of pictures suggest: frames of one clip, tiles of one picture, one original.

Suspicion only: pictures numbered through a whole data set look the same by name. `leaks` asks the
pixels before it says so.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

T = TypeVar("T")

Pairs: TypeAlias = dict[int, tuple[int, ...]]
"""Row of a picture asked to rows of pictures known."""

_NEIGHBOURS = 3
_ROBOFLOW = re.compile(r"^(?P<original>.+?)(_(jpe?g|png|bmp|webp|tiff?))?\.rf\.[0-9a-zA-Z]{6,}$")
_NUMBERED = re.compile(r"^(?P<clip>.*?)(?P<number>\d{1,18})$")
_TILES = (
    # DOTA's and other split tools: P0001__1__1024___512, of which 1 is the scale.
    re.compile(r"^(?P<scene>.+?__\d+(\.\d+)?)__(?P<x>\d+)___(?P<y>\d+)$"),
    re.compile(r"^(?P<scene>.+?)[_-]?(r|row|y)[_-]?(?P<y>\d+)[_-]?(c|col|x)[_-]?(?P<x>\d+)$", re.I),
    re.compile(r"^(?P<scene>.+?)[_-](c|col|x)[_-]?(?P<x>\d+)[_-]?(r|row|y)[_-]?(?P<y>\d+)$", re.I),
    # x1, y1, x2, y2: the corners that TinyPerson's tiles have, and SAHI's.
    re.compile(r"^(?P<scene>.+?)[_-](?P<x>\d+)[_-](?P<y>\d+)[_-]\d+[_-]\d+$"),
    re.compile(r"^(?P<scene>.+?)[_-](?P<x>\d+)[_-](?P<y>\d+)$"),
)
_NO_CLIP = {"", "annotations", "data", "images", "img", "imgs", "labels", "jpegimages", "pictures"}
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


@dataclass(frozen=True, slots=True)
class PictureName:
    """What one name says.

    Attributes:
        original: The picture that Roboflow made this one from, or "".
        clip: The name without its last number, with the folder if that may be a clip's.
        number: The last number, -1 if there is none.
        scene: The picture that this one may be a tile of, or "".
        place: Column and row, or left and top, of the tile.
    """

    original: str
    clip: str
    number: int
    scene: str = ""
    place: tuple[int, int] = (0, 0)


def parse_name(path: Path) -> PictureName:
    """Take a file's name apart."""
    folder = path.parent.name
    within = "" if folder.lower() in _NO_CLIP | _SPLITS else f"{folder}/"
    export = _ROBOFLOW.match(path.stem)
    original = export["original"] if export else ""
    stem = original or path.stem
    numbered = _NUMBERED.match(stem)
    clip, number = (numbered["clip"], int(numbered["number"])) if numbered else (stem, -1)
    for pattern in _TILES:
        tile = pattern.match(stem)
        if tile:
            place = int(tile["x"]), int(tile["y"])
            return PictureName(original, within + clip, number, within + tile["scene"], place)
    return PictureName(original, within + clip, number)


def same_originals(asked: Sequence[PictureName], known: Sequence[PictureName]) -> Pairs:
    """Pictures made from an original of one name."""
    rows = _grouped((name.original, row) for row, name in enumerate(known) if name.original)
    return {
        row: tuple(rows[name.original][:_NEIGHBOURS])
        for row, name in enumerate(asked)
        if name.original in rows
    }


def clip_neighbours(asked: Sequence[PictureName], known: Sequence[PictureName]) -> Pairs:
    """For each numbered picture the one with the nearest number under the same name."""
    clips = {
        clip: sorted(rows)
        for clip, rows in _grouped(
            (name.clip, (name.number, row)) for row, name in enumerate(known) if name.number >= 0
        ).items()
    }
    pairs: Pairs = {}
    for row, name in enumerate(asked):
        if name.number >= 0 and name.clip in clips:
            frames = clips[name.clip]
            place = bisect(frames, (name.number, -1))
            around = frames[max(0, place - 1) : place + 1]
            pairs[row] = (min(around, key=lambda frame: abs(frame[0] - name.number))[1],)
    return pairs


def tile_neighbours(asked: Sequence[PictureName], known: Sequence[PictureName]) -> Pairs:
    """For each tile the nearest of the same scene, those of its own row or column first."""
    scenes = {
        scene: np.array(rows)
        for scene, rows in _grouped(
            (name.scene, row) for row, name in enumerate(known) if name.scene
        ).items()
    }
    places = np.array([name.place for name in known], np.float64).reshape(-1, 2)
    pairs: Pairs = {}
    for row, name in enumerate(asked):
        if name.scene in scenes:
            others = scenes[name.scene]
            away = np.abs(places[others] - name.place)  # (others, 2)
            others, away = others[away.any(axis=1)], away[away.any(axis=1)]
            order = np.lexsort((away.sum(axis=1), away.all(axis=1)))
            pairs[row] = tuple(others[order[:_NEIGHBOURS]].tolist())
    return pairs


def _grouped(items: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for key, value in items:
        groups[key].append(value)
    return dict(groups)
