"""Everything that evaluation has to say about one run, from one search and one matcher."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.evaluation.accumulation import score_assignment
from foveate.evaluation.assignment import IOUS, Matcher
from foveate.evaluation.average_precision import (
    MAX_DETECTIONS,
    METRICS,
    Scores,
    evaluate_detections,
)
from foveate.evaluation.bootstrap import (
    Groups,
    Interval,
    draw_pictures,
    group_numbers,
    interval_of,
    parse_metrics,
    resampled_metrics,
    size_areas,
)
from foveate.evaluation.curves import (
    BestThreshold,
    Calibration,
    PrecisionCurves,
    SizeWindow,
    best_thresholds,
    calibration_of,
    curves_of,
    size_windows,
)
from foveate.evaluation.errors import BACKGROUND, ErrorTypes, error_types
from foveate.evaluation.images import CountErrors, ImageOutcomes, count_errors, image_outcomes
from foveate.evaluation.matching import Outcomes, outcomes_of
from foveate.evaluation.pairs import Pairs, find_pairs
from foveate.evaluation.seams import SeamCounts, seam_effects
from foveate.evaluation.sizes import SIZE_BINS, SizeBins
from foveate.evaluation.tables import Tables, flatten
from foveate.structures import Dataset, Detections, IntArray, Tile

LEAST_FIT = 0.5
"""Of every criterion, for a match."""

_CURVE_ROWS = (0, 5)  # IoU .5 and .75


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """One run looked at from every side; of each class and picture the best `max_detections`.

    Attributes:
        scores: AP and AR, overall, by size and by class.
        outcomes: Found, missed and false at `score_threshold`.
        score_threshold: Least score of what a user is shown.
        intervals: Of AP, AP50, AP75 and AR, of AP and AR by size (`AP_small`) and of AP by class
            (`AP@car`), over resampled pictures.
        criteria: Criterion (`iou`, `nwd`, `centre`) to size label (`all` first) to the AP at a
            fit of .5; NaN without objects.
        errors: Kinds of error and what each costs, by size.
        curves: Precision against recall at IoU .5 and .75.
        best: The score threshold of the best F1, all classes together; None: nothing is found.
        best_by_class: The same for each class.
        windows: AP, AP50 and AR against size.
        calibration: Whether scores are true.
        counting: Errors of counting.
        images: Found, missed and false of each picture.
        seams: The same by nearness to the edges of tiles; None: no tiles were given.
    """

    scores: Scores
    outcomes: Outcomes
    score_threshold: float
    intervals: Mapping[str, Interval]
    criteria: Mapping[str, Mapping[str, float]]
    errors: ErrorTypes
    curves: tuple[PrecisionCurves, ...]
    best: BestThreshold | None
    best_by_class: Mapping[str, BestThreshold]
    windows: tuple[SizeWindow, ...]
    calibration: Calibration
    counting: CountErrors
    images: ImageOutcomes
    seams: Mapping[str, SeamCounts] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an undefined figure is None."""
        seams = self.seams
        return {
            "scores": self.scores.to_dict(),
            "outcomes": {"score_threshold": self.score_threshold, **self.outcomes.to_dict()},
            "intervals": {name: one.to_dict() for name, one in self.intervals.items()},
            "criteria": {
                name: {size: None if math.isnan(ap) else ap for size, ap in by_size.items()}
                for name, by_size in self.criteria.items()
            },
            "errors": self.errors.to_dict(),
            "curves": [curve.to_dict() for curve in self.curves],
            "best_threshold": self.best and self.best.to_dict(),
            "best_threshold_by_class": {
                name: best.to_dict() for name, best in self.best_by_class.items()
            },
            "by_side": [window.to_dict() for window in self.windows],
            "calibration": self.calibration.to_dict(),
            "counting": self.counting.to_dict(),
            "worst_images": self.images.worst(),
            "seams": seams and {kind: counts.to_dict() for kind, counts in seams.items()},
        }


def analyse(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins = SIZE_BINS["coco"],
    max_detections: int = MAX_DETECTIONS,
    score_threshold: float = 0.25,
    tiles: Mapping[int, Sequence[Tile]] | None = None,
    repeats: int = 200,
    seed: int = 0,
    groups: Groups | None = None,
) -> Analysis:
    """Analyse one run.

    Args:
        dataset: The labels.
        predictions: Image id to detections of the full picture, low scores included; a picture
            without an entry has none.
        bins: Size bins.
        max_detections: Most detections used of one class in one picture, best first, in every
            part of the analysis.
        score_threshold: Least score of what a user is shown: for outcomes, counting, the worst
            pictures and seams.
        tiles: Image id to the tiles that the detections came from, if they did.
        repeats: Resamples, for the intervals (95 %).
        seed: Of the resampling.
        groups: Of pictures that are resampled as a whole, as for `bootstrap_interval`.

    Raises:
        UsageError: As `evaluate_detections`, or if `repeats` is below 1.
    """
    numbers = None if groups is None else group_numbers(dataset, groups)
    draws = draw_pictures(max(len(dataset), 1), repeats, seed, numbers)
    scores = evaluate_detections(dataset, predictions, bins, max_detections)
    tables = flatten(dataset, predictions, max_detections)
    pairs = find_pairs(tables, {"iou": BACKGROUND, "nwd": LEAST_FIT, "centre": LEAST_FIT})
    matcher = Matcher(tables, pairs["iou"], IOUS)
    match = matcher.assign()
    names = dataset.class_names
    best, best_by_class = best_thresholds(tables, match, names)
    images = image_outcomes(tables, match, score_threshold)
    return Analysis(
        scores=scores,
        outcomes=outcomes_of(tables, match, bins, score_threshold),
        score_threshold=score_threshold,
        intervals=_intervals(tables, matcher, bins, names, draws),
        criteria={name: _by_size(tables, found, bins) for name, found in pairs.items()},
        errors=error_types(tables, pairs["iou"], bins),
        curves=tuple(curves_of(tables, match, i, float(IOUS[i]), names) for i in _CURVE_ROWS),
        best=best,
        best_by_class=best_by_class,
        windows=tuple(size_windows(tables, matcher, draws)),
        calibration=calibration_of(tables, match),
        counting=count_errors(images),
        images=images,
        seams=seam_effects(dataset, tables, match, tiles, score_threshold) if tiles else None,
    )


def _intervals(
    tables: Tables,
    matcher: Matcher,
    bins: SizeBins,
    class_names: Sequence[str],
    draws: IntArray,
) -> dict[str, Interval]:
    """Intervals of the figures that are defined, overall, by size and by class."""
    names = [
        *METRICS,
        *(f"{name}_{size}" for size in bins.labels for name in ("AP", "AR")),
        *(f"AP@{name}" for name in dict.fromkeys(class_names)),
    ]
    wanted = parse_metrics(names, bins, class_names)
    values = resampled_metrics(matcher, tables, wanted, size_areas(bins), draws)
    return {
        name: interval_of(column, 0.95)
        for name, column in zip(names, values.T, strict=True)
        if not math.isnan(column[0])
    }


def _by_size(tables: Tables, pairs: Pairs, bins: SizeBins) -> dict[str, float]:
    """AP at the least fit, of all sizes and of each bin."""
    matcher = Matcher(tables, pairs, [LEAST_FIT])
    figures = {}
    for label, area in size_areas(bins).items():
        precision, _ = score_assignment(tables, matcher.assign(area))
        defined = precision[~np.isnan(precision)]
        figures[label] = float(defined.mean()) if len(defined) else math.nan
    return figures
