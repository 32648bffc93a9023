"""What each format that can be written looks like: its files, and what it cannot carry.

Written here and not by `hotcoco.COCO.to_yolo` and its like (1.3): they round VOC to whole pixels,
lose which objects CVAT is to ignore, write only turned boxes as DOTA, and know no splits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np

from foveate.data.formats.coco import to_coco
from foveate.data.formats.cvat import is_ignore_label
from foveate.data.formats.documents import (
    CvatDocument,
    dota_labels,
    voc_document,
    yolo_labels,
    yolo_settings,
)
from foveate.errors import FoveateError
from foveate.structures import BoolArray, Dataset, FloatArray, Sample

Parts: TypeAlias = Mapping[str, Dataset]
"""Data set of each split, all with the same classes; the name is empty where there is one only.

`Sample.path` is the file name that the picture has among the written ones.
"""

Files: TypeAlias = Iterator[tuple[PurePosixPath, bytes]]
"""Relative paths and contents."""

_VISIBLE = 0.01
"""Pixels: less is rounding, and not worth a word."""


@dataclass(frozen=True, slots=True)
class Writer:
    """One format.

    Attributes:
        pictures: Folder of a split's pictures.
        files: The label files.
        lost: What of the data set the format cannot carry, a phrase each.
    """

    pictures: Callable[[str], PurePosixPath]
    files: Callable[[Parts], Files]
    lost: Callable[[Parts], list[str]]


def _in_images(split: str) -> PurePosixPath:
    return PurePosixPath("images", split)


def _coco(parts: Parts) -> Files:
    for split, dataset in parts.items():
        content = json.dumps(to_coco(dataset)).encode()
        yield PurePosixPath(f"{split or 'labels'}.json"), content


def _yolo(parts: Parts) -> Files:
    folders = {split or "train": str(_in_images(split)) for split in parts}
    yield PurePosixPath("data.yaml"), yolo_settings(folders, _class_names(parts))
    for split, dataset in parts.items():
        for sample in dataset.samples:
            kept = ~sample.annotations.ignore
            boxes, labels = _inside(sample)[kept], sample.annotations.labels[kept]
            path = PurePosixPath("labels", split, f"{sample.path.stem}.txt")
            yield path, yolo_labels(boxes, labels, sample.width, sample.height)


def _yolo_lost(parts: Parts) -> list[str]:
    ignored = _count(parts, lambda sample: sample.annotations.ignore)
    cut = _count(parts, _sticks_out)
    return _phrases(
        (ignored, f"{_boxes(ignored, 'ignored ')} left out"),
        (cut, f"{_boxes(cut)} cut to the edge of the picture"),
        *_licences(parts),
    )


def _voc(parts: Parts) -> Files:
    _require_plain_names(parts)
    _require_no_outer_spaces(parts)
    yield PurePosixPath("labels.txt"), _lines(_class_names(parts))
    for split, dataset in parts.items():
        stems = [sample.path.stem for sample in dataset.samples]
        yield PurePosixPath("ImageSets", "Main", f"{split or 'default'}.txt"), _lines(stems)
        for sample in dataset.samples:
            content = voc_document(
                sample.path.name,
                sample.width,
                sample.height,
                ((name, box, {"difficult": int(i)}) for name, box, i in _objects(dataset, sample)),
            )
            yield PurePosixPath("Annotations", f"{sample.path.stem}.xml"), content


def _voc_lost(parts: Parts) -> list[str]:
    fractions = _count(parts, lambda sample: _has_fractions(sample.annotations.boxes))
    return _phrases(
        (fractions, f"{_boxes(fractions)} with fractions of a pixel, which some VOC tools refuse"),
        *_licences(parts),
    )


def _cvat(parts: Parts) -> Files:
    _require_plain_names(parts)
    written = CvatDocument(ignore=True)
    for split, dataset in parts.items():
        for sample in dataset.samples:
            written.picture(
                sample.path.name,
                sample.width,
                sample.height,
                _objects(dataset, sample),
                subset=split,
            )
    yield PurePosixPath("annotations.xml"), written.content(_class_names(parts))


def _cvat_lost(parts: Parts) -> list[str]:
    regions = [name for name in _class_names(parts) if is_ignore_label(name)]
    return _phrases(
        (len(regions), f"class {', '.join(regions)} will be read as regions to be ignored"),
        *_licences(parts),
    )


def _dota(parts: Parts) -> Files:
    _require_plain_names(parts)
    names = _names_without_spaces(_class_names(parts))
    for split, dataset in parts.items():
        for sample in dataset.samples:
            objects = ((names[name], box, i) for name, box, i in _objects(dataset, sample))
            yield PurePosixPath(split, "labelTxt", f"{sample.path.stem}.txt"), dota_labels(objects)


def _dota_lost(parts: Parts) -> list[str]:
    used = {
        label
        for dataset in parts.values()
        for sample in dataset.samples
        for label in np.unique(sample.annotations.labels).tolist()
    }
    names = _class_names(parts)
    unused = [name for label, name in enumerate(names) if label not in used]
    spaced = [name for name in names if len(name.split()) > 1]
    return _phrases(
        (len(spaced), f"spaces in names became hyphens ({_some(spaced)})"),
        (len(unused), f"classes without objects left out ({_some(unused)})"),
        *_licences(parts),
    )


WRITERS: dict[str, Writer] = {
    "coco": Writer(_in_images, _coco, lambda _: []),
    "cvat": Writer(_in_images, _cvat, _cvat_lost),
    "dota": Writer(lambda split: PurePosixPath(split, "images"), _dota, _dota_lost),
    "voc": Writer(lambda _: PurePosixPath("JPEGImages"), _voc, _voc_lost),
    "yolo": Writer(_in_images, _yolo, _yolo_lost),
}
"""Every format that can be written, by its name in `FORMATS`."""


def _class_names(parts: Parts) -> tuple[str, ...]:
    return next(iter(parts.values())).class_names


def _objects(dataset: Dataset, sample: Sample) -> Iterator[tuple[str, list[float], bool]]:
    """Class name, corners, and whether it is ignored."""
    objects = sample.annotations
    rows = zip(
        objects.labels.tolist(), objects.boxes.tolist(), objects.ignore.tolist(), strict=True
    )
    for label, box, ignored in rows:
        yield dataset.class_names[label], box, ignored


def _inside(sample: Sample) -> FloatArray:
    """``(N, 4)``: the boxes cut to the picture."""
    sides = np.array([sample.width, sample.height] * 2, np.float32)
    return np.clip(sample.annotations.boxes, 0, sides)


def _sticks_out(sample: Sample) -> BoolArray:
    objects = sample.annotations
    beyond = (np.abs(_inside(sample) - objects.boxes) > _VISIBLE).any(axis=1)
    return np.asarray(beyond & ~objects.ignore)


def _has_fractions(boxes: FloatArray) -> BoolArray:
    return np.asarray((np.abs(boxes - np.round(boxes)) > _VISIBLE).any(axis=1))


def _count(parts: Parts, of: Callable[[Sample], BoolArray]) -> int:
    samples = (sample for dataset in parts.values() for sample in dataset.samples)
    return sum(int(of(sample).sum()) for sample in samples)


def _phrases(*found: tuple[int, str]) -> list[str]:
    """The phrases whose count is not 0."""
    return [phrase for count, phrase in found if count]


def _boxes(count: int, kind: str = "") -> str:
    return f"{count} {kind}{'box' if count == 1 else 'boxes'}"


def _licences(parts: Parts) -> list[tuple[int, str]]:
    stated = dict.fromkeys(part.licence for part in parts.values() if part.licence)
    return [(1, f"the licence left out ({licence})") for licence in stated]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _lines(words: list[str] | tuple[str, ...]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()


def _names_without_spaces(names: tuple[str, ...]) -> dict[str, str]:
    """Each class name as one word.

    Raises:
        FoveateError: If two become the same.
    """
    words = {name: "-".join(name.split()) for name in names}
    by_word: dict[str, str] = {}
    for name, word in words.items():
        if by_word.setdefault(word, name) != name:
            raise FoveateError(
                f"DOTA has no spaces in names: {name!r} and {by_word[word]!r} would both be {word}"
            )
    return words


def _require_plain_names(parts: Parts) -> None:
    """Refuse what would break a line, or what XML cannot hold."""
    for dataset in parts.values():
        files = (sample.path.name for sample in dataset.samples)
        for name in (*dataset.class_names, *files):
            if _UNWRITABLE.search(name):
                raise FoveateError(
                    f"{dataset.name}: the name {name!r} has a character that the format cannot "
                    "hold; rename it"
                )


def _require_no_outer_spaces(parts: Parts) -> None:
    """Refuse stems that a list of pictures, one a line, would give back without their spaces."""
    for dataset in parts.values():
        for sample in dataset.samples:
            if sample.path.stem != sample.path.stem.strip():
                raise FoveateError(
                    f"{dataset.name}: the name {sample.path.name!r} has spaces around it, which "
                    "VOC's lists lose; rename it"
                )


_UNWRITABLE = re.compile("[\\x00-\\x1f\\x7f\\u0085\\u2028\\u2029\\ud800-\\udfff\\ufffe\\uffff]")
