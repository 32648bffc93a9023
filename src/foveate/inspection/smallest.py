"""The smallest objects of each class, cut out of their pictures to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.errors import FoveateError
from foveate.inspection.objects import Objects
from foveate.structures import Dataset, FloatArray, ImageSource, UInt8Image
from foveate.tiling import look

_SURROUNDINGS = 1.0  # of the object's longer side, on each side
_LEAST_CROP = 24  # pixels
_MOST_CROP = 128  # pixels: larger objects are not small


@dataclass(frozen=True, slots=True, eq=False)
class SmallObject:
    """An object and its surroundings.

    Attributes:
        class_name: What it is.
        side: √area, picture pixels.
        path: Of its picture.
        crop: ``(H, W, C)``, as the picture has it.
        box: ``(4,)`` xyxy, pixels of the crop.
    """

    class_name: str
    side: float
    path: Path
    crop: UInt8Image
    box: FloatArray


def smallest_objects(
    dataset: Dataset,
    open_source: Callable[[Path], ImageSource],
    each: int = 10,
    most_classes: int = 20,
) -> list[SmallObject]:
    """The smallest objects of each class, at most one a picture while there are enough pictures.

    Args:
        dataset: Labels and pictures. Pictures that cannot be read are passed over.
        open_source: Opens one.
        each: Objects of a class.
        most_classes: Classes shown, those with the most objects.

    Returns:
        By class in the order of the labels, smallest first.
    """
    objects = Objects.of(dataset)
    counts = np.bincount(objects.labels, minlength=len(objects.class_names))
    shown = np.sort(np.argsort(-counts, kind="stable")[:most_classes])
    found: list[SmallObject] = []
    for label in shown[counts[shown] > 0].tolist():
        rows = np.flatnonzero(objects.labels == label)
        rows = rows[np.argsort(objects.sides[rows], kind="stable")]
        _, first = np.unique(objects.picture[rows], return_index=True)
        rest = np.setdiff1d(np.arange(len(rows)), first)
        chosen = rows[np.concatenate([np.sort(first), rest])[: 2 * each]]
        cut = (_cut_out(dataset, objects, row, open_source) for row in chosen.tolist())
        there = [one for one in cut if one is not None][:each]
        found += sorted(there, key=lambda one: one.side)
    return found


def _cut_out(
    dataset: Dataset, objects: Objects, row: int, open_source: Callable[[Path], ImageSource]
) -> SmallObject | None:
    sample = dataset.samples[int(objects.picture[row])]
    box = objects.boxes[row].astype(np.float64)
    side = max(box[2:] - box[:2])
    half = min(max(side * (0.5 + _SURROUNDINGS), _LEAST_CROP / 2), _MOST_CROP / 2)
    middle = (box[:2] + box[2:]) / 2
    try:
        source = open_source(sample.path)
        limit = np.array([source.width, source.height])
        low = np.floor(np.clip(middle - half, 0, np.maximum(limit - 1, 0))).astype(int)
        high = np.ceil(np.clip(middle + half, low + 1, limit)).astype(int)
        crop = look(source, (*low.tolist(), *high.tolist()))
    except (FoveateError, OSError):
        return None
    corner = np.tile(low, 2)
    name = objects.class_names[int(objects.labels[row])]
    return SmallObject(
        name, float(objects.sides[row]), sample.path, crop, (box - corner).astype(np.float32)
    )
