"""Score a detector's runs on labelled pictures: shared by ``evaluate`` and ``demo``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foveate.errors import FoveateError
from foveate.evaluation import (
    SizeBins,
    bootstrap_interval,
    count_outcomes,
    evaluate_detections,
)
from foveate.reports.results import Run
from foveate.structures import Dataset, Detections, IntArray

LEAST_SCORE = 0.01
"""AP wants the whole curve, not what a user would be shown."""


def score_run(
    name: str,
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins,
    max_detections: int,
    score_threshold: float,
    seconds: float | None = None,
    intervals: bool = False,
) -> Run:
    """AP and AR of everything, and found, missed and false at the threshold.

    Args:
        name: Of the run, such as ``tiled``.
        dataset: The labels.
        predictions: Image id to detections, low scores included.
        bins: Size bins.
        max_detections: Most detections used of one class in one picture.
        score_threshold: Least score of what a user is shown.
        seconds: Time a picture, if measured.
        intervals: Also give AP, AP50 and AP by size an interval over resampled pictures.
    """
    scores = evaluate_detections(dataset, predictions, bins, max_detections)
    outcomes = count_outcomes(dataset, predictions, bins, score_threshold=score_threshold)
    if not intervals:
        return Run(name, scores, outcomes, seconds=seconds)
    spread = bootstrap_interval(
        dataset, predictions, interval_metrics(bins), bins, max_detections=max_detections
    )
    return Run(name, scores, outcomes, spread, seconds)


def interval_metrics(bins: SizeBins) -> list[str]:
    """The figures that get an interval."""
    return ["AP", "AP50", *(f"AP_{label}" for label in bins.labels)]


def label_map(model_names: tuple[str, ...], dataset: Dataset) -> IntArray:
    """The data set's label of each of a model's classes, by name; -1 where it has none.

    One class against one class is taken for the same, whatever the names.

    Raises:
        FoveateError: If the two have no class in common, or the model does not name its own.
    """
    if not model_names:
        raise FoveateError(
            f"the model does not say what it finds; name its classes with --classes "
            f"({dataset.name} labels {', '.join(dataset.class_names)})"
        )
    if len(model_names) == len(dataset.class_names) == 1:
        return np.zeros(1, np.int64)
    places = {name.casefold(): i for i, name in enumerate(dataset.class_names)}
    labels = np.array([places.get(name.casefold(), -1) for name in model_names], np.int64)
    if (labels < 0).all():
        raise FoveateError(
            f"no class in common: the model finds {', '.join(model_names)} and "
            f"{dataset.name} labels {', '.join(dataset.class_names)}"
        )
    return labels


def relabel(found: Detections, labels: IntArray) -> Detections:
    """Detections with the data set's labels; classes that it does not label are left out."""
    mapped = Detections(found.boxes, found.scores, labels[found.labels])
    return mapped[mapped.labels >= 0]
