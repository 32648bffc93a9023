"""Match detections with labels at one IoU: what was found, what was missed, what is false.

For counting and for pictures. AP does its own matching at ten IoUs (`average_precision`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.average_precision import check_predictions
from foveate.evaluation.sizes import SIZE_BINS, SizeBins
from foveate.structures import Annotations, BoolArray, Dataset, Detections, IntArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How the detections of one picture (N) meet its labels (M).

    A detection on an ignore region is neither found nor false; an ignore region is never missed.

    Attributes:
        found: Indices of the detections that are right, rising.
        missed: Indices of the annotations that no detection found, rising.
        false: Indices of the detections that are wrong, rising.
        matched_to: ``(N,)`` annotation that each detection found, or -1.
    """

    found: IntArray
    missed: IntArray
    false: IntArray
    matched_to: IntArray


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Counts over a data set at one score threshold and one IoU.

    Attributes:
        found: Labelled objects that were detected.
        missed: Labelled objects that were not.
        false: Detections of nothing.
        by_size: The same three for each size bin; found and missed by the size of the label,
            false by the size of the detection.
    """

    found: int
    missed: int
    false: int
    by_size: Mapping[str, Mapping[str, int]]

    @property
    def recall(self) -> float:
        """Share of the objects that were found; NaN without objects."""
        objects = self.found + self.missed
        return self.found / objects if objects else math.nan

    @property
    def precision(self) -> float:
        """Share of the counted detections that are right; NaN without any."""
        detections = self.found + self.false
        return self.found / detections if detections else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an undefined share is None."""
        return {
            "found": self.found,
            "missed": self.missed,
            "false": self.false,
            "recall": None if math.isnan(self.recall) else self.recall,
            "precision": None if math.isnan(self.precision) else self.precision,
            "by_size": {label: dict(counts) for label, counts in self.by_size.items()},
        }


def match_detections(detections: Detections, annotations: Annotations, iou: float = 0.5) -> Match:
    """Give each detection, best score first, the free object of its class that it fits best.

    COCO's rule at one IoU: a detection takes the free object with the highest IoU of at least
    `iou`; failing that, it is neutral if at least that share of it lies on an ignore region of
    its class.

    Args:
        detections: Of one picture.
        annotations: Of the same picture.
        iou: Least intersection over union of a match.
    """
    matched_to = np.full(len(detections), -1, np.int64)
    neutral = np.zeros(len(detections), bool)
    free = ~annotations.ignore
    for label in np.unique(detections.labels):
        objects = np.flatnonzero(annotations.labels == label)
        if len(objects) == 0:
            continue
        # Double precision, so that an IoU exactly at the threshold counts as it does for AP.
        boxes = annotations.boxes[objects].astype(np.float64)
        ignore = annotations.ignore[objects]
        rows = np.flatnonzero(detections.labels == label)
        # One row at a time: a full matrix of a dense picture would not fit in memory.
        for row in rows[np.argsort(-detections.scores[rows], kind="stable")]:
            fit = _fit(detections.boxes[row].astype(np.float64), boxes, ignore)
            best = int(np.argmax(np.where(free[objects], fit, -1.0)))
            if free[objects[best]] and fit[best] >= iou:
                matched_to[row], free[objects[best]] = objects[best], False
            else:
                neutral[row] = bool((fit[ignore] >= iou).any())
    return Match(
        found=np.flatnonzero(matched_to >= 0),
        missed=np.flatnonzero(free),
        false=np.flatnonzero((matched_to < 0) & ~neutral),
        matched_to=matched_to,
    )


def count_outcomes(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins = SIZE_BINS["coco"],
    iou: float = 0.5,
    score_threshold: float = 0.0,
) -> Outcomes:
    """Found, missed and false over a data set, as a user at one threshold meets them.

    Args:
        dataset: The labels.
        predictions: Image id to detections; a picture without an entry has none.
        bins: Size bins.
        iou: Least intersection over union of a match.
        score_threshold: Detections below it are left out.

    Raises:
        UsageError: If predictions do not belong to the data set.
    """
    check_predictions(dataset, predictions)
    totals = np.zeros((len(bins.labels) + 1, 3), np.int64)
    for sample in dataset.samples:
        detections = predictions.get(sample.image_id, Detections.empty())
        detections = detections[detections.scores >= score_threshold]
        match = match_detections(detections, sample.annotations, iou)
        hits = match.matched_to[match.found]
        boxes = sample.annotations.boxes
        groups = (boxes[hits], boxes[match.missed], detections.boxes[match.false])
        for column, group in enumerate(groups):
            totals[0, column] += len(group)
            totals[1:, column] += bins.holds(group).sum(axis=1)
    found, missed, false = totals[0].tolist()
    names = ("found", "missed", "false")
    by_size = {
        label: dict(zip(names, row.tolist(), strict=True))
        for label, row in zip(bins.labels, totals[1:], strict=True)
    }
    return Outcomes(found, missed, false, by_size)


def _fit(box: Floats, boxes: Floats, ignore: BoolArray) -> Floats:
    """IoU of one box with objects, and the share of it that lies on ignore regions, ``(M,)``."""
    overlap = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.maximum(overlap, 0).prod(axis=1)
    area = np.maximum(box[2:] - box[:2], 0).prod()
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    whole = np.where(ignore, area, area + areas - common)
    fit: Floats = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return fit
