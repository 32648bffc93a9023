"""What every label format shares: which boxes are refused, and which are ignored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError
from foveate.structures import Annotations, BoolArray, IntArray

Boxes: TypeAlias = NDArray[np.float64]
"""``(N, 4)`` xyxy pixels, in double precision until they are checked."""

SPLITS = ("val", "valid", "test", "train")
"""Usual names of the parts of a data set, in the order in which one is taken unasked."""

_NOT_A_NAME = {"annotations", "labels", "images", "data", "dataset"}


def require_boxes(boxes: Boxes, name: Callable[[int], str]) -> None:
    """Refuse boxes that cannot be meant.

    Args:
        boxes: ``(N, 4)`` xyxy pixels.
        name: What the error calls a row: file and annotation.

    Raises:
        FoveateError: For the first box with a value that is not finite, or inverted.
    """
    finite = np.abs(boxes) <= np.finfo(np.float32).max
    sound = finite & (boxes[:, [2, 3, 2, 3]] >= boxes[:, [0, 1, 0, 1]])
    wrong = np.flatnonzero(np.logical_not(sound.all(axis=1)))
    if not len(wrong):
        return
    row = int(wrong[0])
    what = "is inverted (negative width or height)" if finite[row].all() else "is not finite"
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
