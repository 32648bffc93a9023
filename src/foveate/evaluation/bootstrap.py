"""How far a figure could move with other pictures: intervals by resampling whole pictures.

Matching is done once, by hotcoco; each repeat draws as many pictures as there are, with
replacement, and accumulates AP and AR anew with each picture's matches counted as often as it
was drawn. That equals evaluating a data set in which the drawn pictures are repeated. (hotcoco
1.3's `compare` counts a picture drawn twice only once: its intervals come out a fifth too narrow.)

The interval is the percentile interval. It is too narrow where pictures are few (fewer than
about 20) or resemble each other (frames of a clip, one flight), since it takes them as
independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import UsageError
from foveate.evaluation.average_precision import MAX_DETECTIONS, METRICS, match_all
from foveate.evaluation.sizes import SIZE_BINS, WHOLE, SizeBins
from foveate.structures import BoolArray, Dataset, Detections, IntArray

Floats = NDArray[np.float64]

_RECALLS: Floats = np.linspace(0, 1, 101)
_IOUS: Floats = np.linspace(0.5, 0.95, 10)
_IOU_ROWS = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6), "AR": slice(None)}


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the interval in which it lies.

    Attributes:
        value: On the pictures as they are.
        low: Lower end; NaN where it cannot be told.
        high: Upper end; NaN where it cannot be told.
        level: Share of the resamples between the two.
        repeats: Resamples in which the figure was defined.
    """

    value: float
    low: float
    high: float
    level: float
    repeats: int


@dataclass(frozen=True, slots=True, eq=False)
class _Matches:
    """Matches of one class in one size range. T = IoUs, D = detections, I = pictures.

    Attributes:
        image: ``(D,)`` picture of each detection, best score first.
        right: ``(T, D)`` true positives.
        wrong: ``(T, D)`` false positives.
        objects: ``(I,)`` labelled objects of each picture.
    """

    image: IntArray
    right: BoolArray
    wrong: BoolArray
    objects: IntArray


_Ranges = dict[str, list[_Matches]]


def bootstrap_interval(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    metrics: Sequence[str] = ("AP", "AP50"),
    bins: SizeBins = SIZE_BINS["coco"],
    repeats: int = 200,
    seed: int = 0,
    level: float = 0.95,
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, Interval]:
    """Interval of each metric over resampled pictures.

    Args:
        dataset: The labels.
        predictions: Image id to detections.
        metrics: `AP`, `AP50`, `AP75`, `AR`, or one of them with a size: `AP_small`.
        bins: Size bins.
        repeats: Resamples.
        seed: Of the resampling; the same seed draws the same pictures.
        level: Share of the resamples inside the interval.
        max_detections: As for `evaluate_detections`.

    Raises:
        UsageError: If a metric is unknown, or as `evaluate_detections`.
    """
    values = _resample(dataset, [predictions], metrics, bins, repeats, seed, max_detections)
    return {
        name: _interval(column, level) for name, column in zip(metrics, values[0].T, strict=True)
    }


def paired_bootstrap(
    dataset: Dataset,
    predictions_a: Mapping[int, Detections],
    predictions_b: Mapping[int, Detections],
    metrics: Sequence[str] = ("AP", "AP50"),
    bins: SizeBins = SIZE_BINS["coco"],
    repeats: int = 200,
    seed: int = 0,
    level: float = 0.95,
    max_detections: int = MAX_DETECTIONS,
) -> dict[str, Interval]:
    """Interval of ``b - a`` for each metric, both scored on the same resampled pictures.

    An interval that holds 0 means: these pictures do not tell which of the two is better.

    Args:
        dataset: The labels.
        predictions_a: Image id to detections of the one run.
        predictions_b: Of the other.
        metrics: As for `bootstrap_interval`.
        bins: Size bins.
        repeats: Resamples.
        seed: Of the resampling.
        level: Share of the resamples inside the interval.
        max_detections: As for `evaluate_detections`.

    Raises:
        UsageError: As `bootstrap_interval`.
    """
    runs = [predictions_a, predictions_b]
    a, b = _resample(dataset, runs, metrics, bins, repeats, seed, max_detections)
    return {name: _interval(column, level) for name, column in zip(metrics, (b - a).T, strict=True)}


def _resample(
    dataset: Dataset,
    runs: Sequence[Mapping[int, Detections]],
    metrics: Sequence[str],
    bins: SizeBins,
    repeats: int,
    seed: int,
    max_detections: int,
) -> list[Floats]:
    """For each run ``(1 + repeats, metrics)``; row 0 is the pictures as they are."""
    if repeats < 1:
        raise UsageError(f"repeats: expected at least 1, got {repeats}")
    names = [_parse_metric(name, bins) for name in metrics]
    wanted = {label for _, label in names}
    draws = list(_draws(len(dataset), repeats, seed))
    results = []
    for predictions in runs:
        matches = _matches(dataset, predictions, bins, wanted, max_detections)
        results.append(np.array([_score(matches, names, times) for times in draws]))
    return results


def _draws(images: int, repeats: int, seed: int) -> Iterator[IntArray]:
    """How often each picture counts: once each, then as drawn."""
    yield np.ones(images, np.int64)
    rng = np.random.default_rng(seed)
    # Redrawing a single picture always gives itself, which would pass for certainty.
    for _ in range(repeats if images > 1 else 0):
        yield np.bincount(rng.integers(0, images, images), minlength=images)


def _parse_metric(name: str, bins: SizeBins) -> tuple[str, str]:
    """Metric and size label of ``AP`` or ``AP_small``."""
    metric, sized, label = name.partition("_")
    label = label if sized else WHOLE
    if metric not in METRICS or label not in (WHOLE, *bins.labels):
        raise UsageError(
            f"metric {name!r}: expected one of {', '.join(METRICS)}, alone or with a size "
            f"({', '.join(bins.labels)}) as in AP_{bins.labels[0]}"
        )
    return metric, label


def _matches(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins,
    wanted: set[str],
    max_detections: int,
) -> _Ranges:
    """Size label to the matches of each class; only the sizes that are wanted."""
    kept = [i for i, label in enumerate(bins.labels) if label in wanted]
    bins = SizeBins(
        bins.name,
        tuple(bins.labels[i] for i in kept),
        tuple(bins.sides[i] for i in kept),
    )
    evaluator = match_all(dataset, predictions, bins, max_detections)
    images = sorted(sample.image_id for sample in dataset.samples)
    records = {
        (record["category_id"], tuple(record["aRng"]), record["image_id"]): record
        for record in evaluator.eval_imgs
        if record is not None
    }
    areas = dict(zip((WHOLE, *bins.labels), evaluator.params.area_rng, strict=True))
    return {
        label: [
            _gather([records.get((category, tuple(area), image)) for image in images])
            for category in dataset.category_ids
        ]
        for label, area in areas.items()
    }


def _gather(records: Sequence[Mapping[str, Any] | None]) -> _Matches:
    """Join the matches of one class and size, one record a picture; best score first.

    Ties stay in the order of pictures, as pycocotools leaves them.
    """
    objects = np.zeros(len(records), np.int64)
    ious = len(_IOUS)
    parts = [_no_matches(ious)]
    for image, record in enumerate(records):
        if record is None:
            continue
        objects[image] = len(record["gtIgnore"]) - sum(record["gtIgnore"])
        scores = np.array(record["dtScores"], np.float64)
        matched = np.array(record["dtMatched"], bool).reshape(ious, len(scores))
        counted = ~np.array(record["dtIgnore"], bool).reshape(ious, len(scores))
        image_of = np.full(len(scores), image)
        parts.append((scores, image_of, matched & counted, ~matched & counted))
    columns = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    all_scores, all_images, right, wrong = columns
    order = np.argsort(-all_scores, kind="stable")
    return _Matches(all_images[order], right[:, order], wrong[:, order], objects)


def _no_matches(ious: int) -> tuple[Floats, IntArray, BoolArray, BoolArray]:
    none = np.zeros((ious, 0), bool)
    return np.zeros(0), np.zeros(0, np.int64), none, none


def _score(matches: _Ranges, names: Sequence[tuple[str, str]], times: IntArray) -> list[float]:
    """The metrics, each picture counted `times`."""
    curves = {
        label: [_accumulate(part, times) for part in matches[label]]
        for label in {label for _, label in names}
    }
    values = []
    for metric, label in names:
        per_class = [
            (recall if metric == "AR" else precision)[_IOU_ROWS[metric]].mean()
            for precision, recall in curves[label]
            if not math.isnan(recall[0])
        ]
        values.append(float(np.mean(per_class)) if per_class else math.nan)
    return values


def _accumulate(matches: _Matches, times: IntArray) -> tuple[Floats, Floats]:
    """Precision at 101 recalls, averaged, and the recall reached, each ``(T,)``; NaN if no object.

    The arithmetic of pycocotools' `accumulate`.
    """
    objects = int(matches.objects @ times)
    ious = len(matches.right)
    if objects == 0:
        return np.full(ious, np.nan), np.full(ious, np.nan)
    weight = times[matches.image]
    right = np.cumsum(matches.right * weight, axis=1)
    wrong = np.cumsum(matches.wrong * weight, axis=1)
    recall = right / objects
    precision = right / (right + wrong + np.spacing(1))
    # Best precision at this recall or beyond.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    mean = np.zeros(ious)
    for row in range(ious):
        at = np.searchsorted(recall[row], _RECALLS, side="left")
        mean[row] = precision[row, at[at < recall.shape[1]]].sum() / len(_RECALLS)
    reached = recall[:, -1] if recall.shape[1] else np.zeros(ious)
    return mean, reached


def _interval(values: Floats, level: float) -> Interval:
    """Percentile interval of ``(1 + repeats,)`` values, the first of them the figure itself."""
    if not 0 < level < 1:
        raise UsageError(f"level: expected a share between 0 and 1, got {level:g}")
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = math.nan, math.nan
    if drawn.size and not math.isnan(values[0]):
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(float(values[0]), low, high, level, int(drawn.size))
