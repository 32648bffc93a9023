"""Match detections with labels at one IoU: what was found, what was missed, what is false.

For counting and for pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.evaluation.assignment import Assignment, Matcher
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.sizes import SIZE_BINS, SizeBins
from foveate.evaluation.tables import Tables, flatten, tables_of
from foveate.structures import Annotations, BoolArray, Dataset, Detections, IntArray

NO_IOU = 1e-9
"""What a threshold of 0 stands for: some area is shared."""


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
        iou: Least intersection over union of a match, above 0.
    """
    classes = int(max(detections.labels.max(initial=0), annotations.labels.max(initial=0))) + 1
    tables = tables_of([annotations], [detections], [0], classes)
    match = _assign(tables, iou)
    source = tables.detected.source
    matched_to = np.full(len(detections), -1, np.int64)
    matched_to[source[match.right[0]]] = match.matched[0, match.right[0]]
    return Match(
        found=np.sort(source[match.right[0]]),
        missed=np.flatnonzero(missed_objects(match)),
        false=np.sort(source[match.wrong[0]]),
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
        iou: Least intersection over union of a match, above 0.
        score_threshold: Detections below it are left out.

    Raises:
        UsageError: If predictions do not belong to the data set.
    """
    tables = flatten(dataset, predictions, None)
    return outcomes_of(tables, _assign(tables, iou), bins, score_threshold)


def outcomes_of(
    tables: Tables, match: Assignment, bins: SizeBins, score_threshold: float
) -> Outcomes:
    """Found, missed and false of a matching of all sizes, at its first threshold.

    A detection takes nothing from one that scores higher, so the matching of those above a
    threshold is a part of the matching of all.
    """
    shown = tables.detected.score >= score_threshold
    found = match.matched[0, match.right[0] & shown]
    missed = missed_objects(match, shown=shown)
    boxes = tables.objects.boxes
    groups = (boxes[found], boxes[missed], tables.detected.boxes[match.wrong[0] & shown])
    names = ("found", "missed", "false")
    sizes = [bins.holds(group).sum(axis=1).tolist() for group in groups]
    by_size = {
        label: dict(zip(names, counts, strict=True))
        for label, *counts in zip(bins.labels, *sizes, strict=True)
    }
    return Outcomes(len(found), int(missed.sum()), len(groups[2]), by_size)


def missed_objects(match: Assignment, row: int = 0, shown: BoolArray | None = None) -> BoolArray:
    """Which objects count and are taken by no detection at one threshold, ``(M,)``.

    Args:
        match: What each detection takes.
        row: Of the threshold in `match`.
        shown: ``(D,)`` detections to go by; None: all.
    """
    taking = match.right[row] if shown is None else match.right[row] & shown
    missed = match.counted.copy()
    missed[match.matched[row, taking]] = False
    return missed


def _assign(tables: Tables, iou: float) -> Assignment:
    least = max(iou, NO_IOU)
    return Matcher(tables, find_pairs(tables, {"iou": least})["iou"], [least]).assign()
