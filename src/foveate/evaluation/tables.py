"""Labels and predictions of a whole data set as flat arrays, for work on all pictures at once.

Detections lie class by class, best score first; of equal scores, those of the picture with the
lower id first, and within a picture as they were given: the order in which pycocotools counts
them. So a class is one slice, and a lower row has the right of way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foveate.errors import UsageError
from foveate.evaluation.average_precision import check_predictions
from foveate.structures import Annotations, BoolArray, Dataset, Detections, FloatArray, IntArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """Detections, class by class, best score first. D = their number.

    Attributes:
        image: ``(D,)`` row of the picture.
        label: ``(D,)`` rising.
        score: ``(D,)`` float32.
        boxes: ``(D, 4)`` float32, xyxy pixels.
        area: ``(D,)`` float64, square pixels.
        source: ``(D,)`` row among the detections as given, all pictures one after the other.
    """

    image: IntArray
    label: IntArray
    score: FloatArray
    boxes: FloatArray
    area: Floats
    source: IntArray

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.label)


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Labelled objects, picture by picture. M = their number.

    Attributes:
        image: ``(M,)`` row of the picture, rising.
        label: ``(M,)``.
        boxes: ``(M, 4)`` float32, xyxy pixels.
        area: ``(M,)`` float64, square pixels, of the box.
        ignore: ``(M,)`` ignore regions.
    """

    image: IntArray
    label: IntArray
    boxes: FloatArray
    area: Floats
    ignore: BoolArray

    def __len__(self) -> int:
        """Number of objects, ignore regions included."""
        return len(self.label)


@dataclass(frozen=True, eq=False)
class Tables:
    """What is compared: I pictures, C classes.

    Attributes:
        detected: The detections that count: of each class and picture at most so many.
        objects: The labels.
        image_ids: ``(I,)`` rising; a picture's row is its place here.
        classes: C.
    """

    detected: Detected
    objects: Objects
    image_ids: IntArray
    classes: int

    @cached_property
    def class_starts(self) -> IntArray:
        """``(C + 1,)``: the detections of class c are rows ``[c]`` to ``[c + 1]``."""
        return np.searchsorted(self.detected.label, np.arange(self.classes + 1))

    def counted(self, area: tuple[float, float]) -> BoolArray:
        """Which objects are neither ignored nor outside a range of areas, ``(M,)``."""
        return within(self.objects.area, area) & ~self.objects.ignore


def within(areas: Floats, limits: tuple[float, float]) -> BoolArray:
    """Which areas lie in a range, both ends included."""
    return np.logical_and(areas >= limits[0], areas <= limits[1])


def flatten(
    dataset: Dataset, predictions: Mapping[int, Detections], max_detections: int | None
) -> Tables:
    """Labels and predictions of a data set as tables.

    Args:
        dataset: The labels.
        predictions: Image id to detections; a picture without an entry has none.
        max_detections: Most detections kept of one class in one picture, best first; None: all.

    Raises:
        UsageError: If the predictions do not belong to the data set, or `max_detections` is
            below 1.
    """
    if max_detections is not None and max_detections < 1:
        raise UsageError(f"max_detections: expected at least 1, got {max_detections}")
    check_predictions(dataset, predictions)
    samples = sorted(dataset.samples, key=lambda sample: sample.image_id)
    none = Detections.empty()
    return tables_of(
        [sample.annotations for sample in samples],
        [predictions.get(sample.image_id, none) for sample in samples],
        [sample.image_id for sample in samples],
        len(dataset.class_names),
        max_detections,
    )


def tables_of(
    annotations: Sequence[Annotations],
    detections: Sequence[Detections],
    image_ids: Sequence[int],
    classes: int,
    max_detections: int | None = None,
) -> Tables:
    """Tables of pictures in the order of their ids; all sequences have one entry a picture."""
    found = Detections.concatenate(detections)
    image = np.repeat(np.arange(len(detections)), [len(part) for part in detections])
    kept = _kept(found, image, classes, max_detections)
    order = kept[np.lexsort((-found.scores[kept], found.labels[kept]))]
    boxes = found.boxes[order]
    detected = Detected(
        image[order], found.labels[order], found.scores[order], boxes, areas_of(boxes), order
    )
    boxes = np.concatenate([part.boxes for part in annotations]).astype(np.float32)
    objects = Objects(
        np.repeat(np.arange(len(annotations)), [len(part) for part in annotations]),
        np.concatenate([part.labels for part in annotations]),
        boxes,
        areas_of(boxes),
        np.concatenate([part.ignore for part in annotations]),
    )
    return Tables(detected, objects, np.array(image_ids, np.int64), classes)


def areas_of(boxes: FloatArray) -> Floats:
    """Width times height in double precision, ``(N,)``, as pycocotools computes it."""
    size = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    area: Floats = size[:, 0] * size[:, 1]
    return area


def _kept(found: Detections, image: IntArray, classes: int, most: int | None) -> IntArray:
    """Rows of the best `most` of each picture and class, rising."""
    if most is None or len(found) <= most:
        return np.arange(len(found))
    group = image * classes + found.labels
    ordered = np.sort(group)
    if not (ordered[most:] == ordered[:-most]).any():
        return np.arange(len(found))
    order = np.lexsort((-found.scores, group))
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return np.sort(order[rank < most])
