"""What one figure hides: precision against recall, against the score promised, against size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco.metrics import calibration_curve, calibration_error
from numpy.typing import NDArray

from foveate.evaluation.accumulation import RECALLS, objects_per_class, precision_curves
from foveate.evaluation.assignment import Assignment, Matcher
from foveate.evaluation.bootstrap import (
    Interval,
    interval_of,
    parse_metrics,
    resampled_metrics,
    size_areas,
)
from foveate.evaluation.sizes import MAX_SIDE, SizeBins
from foveate.evaluation.tables import Tables
from foveate.structures import BoolArray, FloatArray, IntArray

Floats = NDArray[np.float64]

SIZE_METRICS = ("AP", "AP50", "AR")

FEWEST_OBJECTS = 5
"""A window of sizes with fewer says nothing."""

WINDOW_LEVELS = 128
"""Cuts of the score axis for a window's band, which needs no third decimal."""


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionCurves:
    """Best precision at 101 recalls, at one IoU.

    Attributes:
        iou: Least intersection over union of a match.
        mean: ``(101,)`` over the classes with objects; NaN if none has any.
        by_class: Class name to ``(101,)``, for every class with objects.
    """

    iou: float
    mean: Floats
    by_class: Mapping[str, Floats]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, four decimals, for drawing."""
        return {
            "iou": self.iou,
            "mean": _plain(self.mean),
            "by_class": {name: _plain(curve) for name, curve in self.by_class.items()},
        }


@dataclass(frozen=True, slots=True)
class BestThreshold:
    """The score threshold with the best F1, at IoU .5, and what it gives.

    Attributes:
        score: Detections from this score on.
        f1: Harmonic mean of the two below.
        precision: Share of those detections that are right.
        recall: Share of the objects that they find.
    """

    score: float
    f1: float
    precision: float
    recall: float

    def to_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return {
            "score": self.score,
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
        }


@dataclass(frozen=True, slots=True)
class SizeWindow:
    """How well objects of about one size are found.

    Attributes:
        low: Least side (√area), pixels.
        high: Greatest.
        objects: Labelled objects in between.
        figures: `AP`, `AP50` and `AR` with their intervals.
    """

    low: float
    high: float
    objects: int
    figures: Mapping[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        figures = {name: interval.to_dict() for name, interval in self.figures.items()}
        return {"sides_px": [self.low, self.high], "objects": self.objects, **figures}


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a score is the share of detections of that score that are right, at IoU .5.

    Attributes:
        error: Expected calibration error: the mean distance between the two, each bin weighed by
            its detections; NaN without detections.
        worst: Greatest distance in one bin; NaN without detections.
        bins: Ten of equal width: `low`, `high`, `count`, and mean `score` and `right` (the share),
            None where a bin is empty.
    """

    error: float
    worst: float
    bins: tuple[Mapping[str, float | int | None], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an undefined figure is None."""
        return {
            "error": None if math.isnan(self.error) else self.error,
            "worst": None if math.isnan(self.worst) else self.worst,
            "bins": [dict(one) for one in self.bins],
        }


def calibration_of(tables: Tables, match: Assignment, row: int = 0) -> Calibration:
    """Calibration of all detections that are right or wrong, at one threshold of a matching."""
    counts = match.right[row] | match.wrong[row]
    scores = tables.detected.score[counts].astype(np.float64)
    right = match.right[row, counts]
    error, worst = calibration_error(scores, right) if len(scores) else (math.nan, math.nan)
    bins = tuple(
        {
            "low": one["bin_lower"],
            "high": one["bin_upper"],
            "count": one["count"],
            "score": one["avg_confidence"] if one["count"] else None,
            "right": one["avg_accuracy"] if one["count"] else None,
        }
        for one in calibration_curve(scores, right)
    )
    return Calibration(error, worst, bins)


def curves_of(
    tables: Tables, match: Assignment, row: int, iou: float, class_names: Sequence[str]
) -> PrecisionCurves:
    """Precision against recall of one threshold of a matching.

    Args:
        tables: Detections and objects.
        match: Of all sizes.
        row: Of the threshold in `match`.
        iou: That threshold.
        class_names: By label.
    """
    objects = objects_per_class(tables, match.counted)
    curves = precision_curves(tables.detected.label, match.right[row], match.wrong[row], objects)
    present = np.flatnonzero(objects).tolist()
    mean = curves[present].mean(axis=0) if present else np.full(len(RECALLS), np.nan)
    return PrecisionCurves(iou, mean, {class_names[label]: curves[label] for label in present})


def best_thresholds(
    tables: Tables, match: Assignment, class_names: Sequence[str], row: int = 0
) -> tuple[BestThreshold | None, dict[str, BestThreshold]]:
    """The threshold of the best F1 over all classes together, and of each class.

    Args:
        tables: Detections and objects.
        match: Of all sizes.
        class_names: By label.
        row: Of IoU .5 in `match`.

    Returns:
        None, or no entry, where nothing is found at any threshold.
    """
    objects = objects_per_class(tables, match.counted)
    counts = np.flatnonzero(match.right[row] | match.wrong[row])
    score, label = tables.detected.score[counts], tables.detected.label[counts]
    right = match.right[row, counts]
    best = _best(label, score, right, objects)
    order = np.argsort(-score, kind="stable")
    together = _best(np.zeros_like(label), score[order], right[order], objects.sum(keepdims=True))
    return together.get(0), {class_names[i]: threshold for i, threshold in best.items()}


def _best(
    label: IntArray, score: FloatArray, right: BoolArray, objects: IntArray
) -> dict[int, BestThreshold]:
    """Label to its best threshold; detections class by class, best score first."""
    if not right.any():
        return {}
    first = np.searchsorted(label, label)
    before = np.concatenate([[0], np.cumsum(right)])
    true = before[1:] - before[first]
    shown = np.arange(len(label)) - first + 1
    f1 = 2 * true / (shown + objects[label])
    # A threshold takes in all detections of the same score.
    last = np.append((score[1:] != score[:-1]) | (label[1:] != label[:-1]), True)
    rows = np.flatnonzero(last & (true > 0))
    # Written last, so kept: the best F1, and of several the highest threshold.
    order = rows[np.lexsort((-rows, f1[rows]))]
    best = dict(zip(label[order].tolist(), order.tolist(), strict=True))
    return {
        of: BestThreshold(
            float(score[row]),
            float(f1[row]),
            float(true[row] / shown[row]),
            float(true[row] / objects[of]),
        )
        for of, row in sorted(best.items())
    }


def size_windows(
    tables: Tables, matcher: Matcher, draws: IntArray, level: float = 0.95
) -> list[SizeWindow]:
    """AP, AP50 and AR in windows of size one octave wide, half an octave apart.

    Args:
        tables: Detections and objects.
        matcher: By IoU, at COCO's thresholds.
        draws: ``(R, I)`` resampled pictures, for the intervals.
        level: Share of the resamples inside an interval.

    Returns:
        Smallest first; a window with fewer than five objects is left out.
    """
    sides = np.sqrt(tables.objects.area[~tables.objects.ignore])
    windows = _windows(sides)
    names = [f"{name}_{label}" for label in windows.labels for name in SIZE_METRICS]
    metrics = parse_metrics(names, windows, ())
    values = resampled_metrics(matcher, tables, metrics, size_areas(windows), draws, WINDOW_LEVELS)
    intervals = [interval_of(column, level) for column in values.T]
    return [
        SizeWindow(
            low,
            high,
            int(((sides >= low) & (sides <= high)).sum()),
            dict(zip(SIZE_METRICS, intervals[i * len(SIZE_METRICS) :], strict=False)),
        )
        for i, (low, high) in enumerate(windows.sides)
    ]


def _windows(sides: Floats) -> SizeBins:
    """The windows in which enough objects lie; one starts at every power of √2."""
    positive = sides[(sides > 0) & (sides <= MAX_SIDE)]
    if not len(positive):
        return SizeBins("octaves", (), ())
    lowest = math.floor(2 * math.log2(positive.min())) - 1
    highest = math.ceil(2 * math.log2(positive.max()))
    edges = [(2.0 ** (step / 2), 2.0 ** (step / 2 + 1)) for step in range(lowest, highest + 1)]
    kept = [
        (low, high)
        for low, high in edges
        if ((sides >= low) & (sides <= high)).sum() >= FEWEST_OBJECTS
    ]
    return SizeBins("octaves", tuple(f"{a:.6g}-{b:.6g}" for a, b in kept), tuple(kept))


def _plain(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 4) for value in values.tolist()]
