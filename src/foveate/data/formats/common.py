"""What every label format shares: which boxes are refused, and which are ignored.

An *ignore region* belongs to no class: whatever is detected there is neither right nor wrong.
Labels and COCO's crowds have one class each, so a region becomes one ignored box of every class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foveate.data.files import read_text
from foveate.data.images import PICTURE_ENDINGS
from foveate.errors import FoveateError
from foveate.structures import Annotations, BoolArray, IntArray

Boxes: TypeAlias = NDArray[np.float64]
"""``(N, 4)`` xyxy pixels, in double precision until they are checked."""

SPLITS = ("val", "valid", "test", "train")
"""Usual names of the parts of a data set, in the order in which one is taken unasked."""

REGION = -1
"""Label of an ignore region, until `annotations_with_regions` gives it to the classes."""

_FARTHEST = 1e9
"""Pixels; no picture reaches it."""

_CLASSES_OF_A_REGION = 100
"""In data sets of more classes a region is given to those that its picture has objects of."""
_NOT_A_NAME = {"annotations", "labels", "images", "data", "dataset"}


def require_boxes(boxes: Boxes, name: Callable[[int], str]) -> None:
    """Refuse boxes that cannot be meant.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        name: What the error calls a row: file and annotation.

    Raises:
        FoveateError: For the first box with a value that is not finite, or farther out than any
            picture, or inverted.
    """
    near = np.abs(boxes) <= _FARTHEST
    sound = near & (boxes[:, [2, 3, 2, 3]] >= boxes[:, [0, 1, 0, 1]])
    wrong = np.flatnonzero(np.logical_not(sound.all(axis=1)))
    if not len(wrong):
        return
    row = int(wrong[0])
    if near[row].all():
        what = "is inverted (negative width or height)"
    else:
        finite = np.isfinite(boxes[row]).all()
        what = "is farther out than any picture reaches" if finite else "is not finite"
    corners = ", ".join(f"{value:g}" for value in boxes[row])
    more = f"; {len(wrong) - 1} more are wrong" if len(wrong) > 1 else ""
    raise FoveateError(f"{name(row)}: its box ({corners}: x1, y1, x2, y2) {what}{more}")


def annotations_of(
    boxes: Boxes, labels: IntArray, marked: BoolArray, sizes: NDArray[np.float64]
) -> Annotations:
    """Build `Annotations`; boxes that nothing can find become ignored.

    Those are boxes without width or height and boxes wholly outside their picture: public data
    sets hold a few of either. Boxes that stick out are kept as labelled, so that scores agree
    with other tools'.

    Args:
        boxes: ``(N, 4)`` xyxy pixels, checked.
        labels: ``(N,)``.
        marked: ``(N,)``: what the file itself marks as crowd, difficult or ignored.
        sizes: ``(N, 2)`` or ``(1, 2)``: width and height of the picture of each box, pixels.
    """
    seen = np.minimum(boxes[:, 2:], sizes) - np.maximum(boxes[:, :2], 0)
    unseen = (seen <= 0).any(axis=1)
    return Annotations(boxes.astype(np.float32), labels, marked | unseen)


def annotations_with_regions(
    boxes: Boxes, labels: IntArray, marked: BoolArray, size: tuple[int, int], classes: int
) -> Annotations:
    """`annotations_of` one picture whose labels may be `REGION`: those come last, for every class.

    Args:
        boxes: ``(N, 4)`` xyxy pixels, checked.
        labels: ``(N,)``.
        marked: ``(N,)``.
        size: Width and height of the picture, pixels.
        classes: How many the data set has. Where there are more than a hundred, a region is
            given only to the classes that the picture has objects of.
    """
    region = labels == REGION
    few = classes <= _CLASSES_OF_A_REGION
    given = np.arange(classes) if few else np.unique(labels[~region])
    copies = int(region.sum())
    spread = np.repeat(boxes[region], len(given), axis=0)
    return annotations_of(
        np.concatenate([boxes[~region], spread]),
        np.concatenate([labels[~region], np.tile(given, copies)]),
        np.concatenate([marked[~region], np.ones(len(spread), np.bool_)]),
        np.array([size], np.float64),
    )


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1."""
    lines = enumerate(read_text(path).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def numbers_of(where: str, words: Sequence[str]) -> list[float]:
    """The words of a line as numbers.

    Raises:
        FoveateError: If one is none; it begins with `where`.
    """
    try:
        return [float(word) for word in words]
    except ValueError:
        raise FoveateError(f"{where}: expected numbers, got {' '.join(words)[:60]!r}") from None


def split_folder(path: Path, split: str | None, holds: Callable[[Path], bool], labels: str) -> Path:
    """The folder of one split: `path` itself, or a folder in it such as ``val`` or ``DET-val``.

    Args:
        path: A folder.
        split: Its name; without it `path`, or else the first there is of val, test and train.
        holds: Whether a folder has labels.
        labels: What they are, for the message.

    Raises:
        FoveateError: If there is none, or `split` is not among them.
    """
    if not path.is_dir():
        raise FoveateError(f"{path} is no folder; give the one that holds {labels}")
    if holds(path) and (split is None or is_split(path.resolve(), split)):
        return path
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and holds(folder)]
    for name in SPLITS if split is None else (split,):
        named = [folder for folder in folders if is_split(folder, name)]
        if named:
            return named[0]
    if split is None and len(folders) == 1:
        return folders[0]
    if not folders and not holds(path):
        raise FoveateError(f"{path} holds no {labels}")
    there = ", ".join(folder.name for folder in folders[:8]) or "no splits, only one set of labels"
    wanted = f"no split {split!r}" if split else "several sets of labels and no usual split"
    raise FoveateError(f"{path} holds {wanted}; it has {there}")


def is_split(folder: Path, split: str) -> bool:
    """``VisDrone2019-DET-test-dev`` is the split "test", and "test-dev"."""
    return re.search(rf"(^|-){re.escape(split)}(-dev)?$", folder.name) is not None


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """Every picture below a folder by its file name without ending: one look for all labels."""
    files = sorted(folder.rglob("*")) if folder.is_dir() else []
    return {file.stem: file for file in files if file.suffix.lower() in PICTURE_ENDINGS}


def dataset_name(folder: Path, part: str = "") -> str:
    """A short name for tables: the folder that says most, and the part of it.

    ``nuclei/val.json``, ``nuclei/annotations/val.json`` and ``nuclei/images/val/`` are all
    "nuclei/val".
    """
    words = [word for word in folder.resolve().parts[1:] if word.lower() not in _NOT_A_NAME]
    if not part and words and words[-1].lower() in SPLITS:
        part = words.pop()
    return "/".join([*words[-1:], *([part] if part else [])])


def one_line(text: Any) -> str:
    """A description from a file on one line; empty if it is no text."""
    return " ".join(text.split()) if isinstance(text, str) else ""
