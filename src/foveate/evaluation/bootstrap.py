"""How far a figure could move with other pictures: intervals by resampling whole pictures.

Matching is done once (`assignment`); each repeat draws as many pictures as there are, with
replacement, and accumulates AP and AR anew with each picture's matches counted as often as it
was drawn (`resampling`). That equals evaluating a data set in which the drawn pictures are
repeated. (hotcoco 1.3's `compare` counts a picture drawn twice only once: its intervals come out a
fifth too narrow.)

The interval is the percentile interval. It is too narrow where pictures are few (fewer than
about 20) or resemble each other (frames of a clip, one flight), since it takes them as
independent: then whole groups of them must be drawn.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foveate.errors import UsageError
from foveate.evaluation.assignment import EVERY_AREA, IOUS, Matcher
from foveate.evaluation.average_precision import MAX_DETECTIONS, METRICS
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.resampling import LEVELS, Resampled, resample
from foveate.evaluation.sizes import SIZE_BINS, WHOLE, SizeBins
from foveate.evaluation.tables import Tables, flatten
from foveate.structures import Dataset, Detections, IntArray

Floats = NDArray[np.float64]

Groups: TypeAlias = Mapping[int, Hashable]
"""Image id to what a picture shares with others, such as the name of its clip."""

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

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; what cannot be told is None."""
        plain = {
            name: None if math.isnan(number) else number
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }
        return {**plain, "level": self.level, "repeats": self.repeats}


def bootstrap_interval(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    metrics: Sequence[str] = ("AP", "AP50"),
    bins: SizeBins = SIZE_BINS["coco"],
    repeats: int = 200,
    seed: int = 0,
    level: float = 0.95,
    max_detections: int = MAX_DETECTIONS,
    groups: Groups | None = None,
) -> dict[str, Interval]:
    """Interval of each metric over resampled pictures.

    Args:
        dataset: The labels.
        predictions: Image id to detections.
        metrics: `AP`, `AP50`, `AP75`, `AR`, or one of them with a size, a class or both:
            `AP_small`, `AP@car`, `AP_small@car`.
        bins: Size bins.
        repeats: Resamples.
        seed: Of the resampling; the same seed draws the same pictures.
        level: Share of the resamples inside the interval.
        max_detections: As for `evaluate_detections`.
        groups: Drawn as a whole; each picture by itself if not given.

    Raises:
        UsageError: If a metric is unknown, or as `evaluate_detections`.
    """
    values = resampled_figures(
        dataset, [predictions], metrics, bins, repeats, seed, max_detections, groups
    )
    return {
        name: interval_of(column, level) for name, column in zip(metrics, values[0].T, strict=True)
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
    groups: Groups | None = None,
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
        groups: As for `bootstrap_interval`.

    Raises:
        UsageError: As `bootstrap_interval`.
    """
    runs = [predictions_a, predictions_b]
    a, b = resampled_figures(dataset, runs, metrics, bins, repeats, seed, max_detections, groups)
    return {
        name: interval_of(column, level) for name, column in zip(metrics, (b - a).T, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure: which metric, of which sizes, of which class.

    Attributes:
        metric: One of `METRICS`.
        size: Label of a size bin, or `WHOLE`.
        label: Of the class; None: the mean over the classes.
    """

    metric: str
    size: str
    label: int | None


def parse_metrics(names: Sequence[str], bins: SizeBins, class_names: Sequence[str]) -> list[Metric]:
    """What ``AP``, ``AP_small``, ``AP@car`` or ``AP_small@car`` mean.

    Raises:
        UsageError: If a metric, a size or a class is unknown.
    """
    labels: dict[str, int] = {}
    for label, name in enumerate(class_names):
        labels.setdefault(name, label)
    return [_parse_metric(name, bins, labels) for name in names]


def _parse_metric(name: str, bins: SizeBins, labels: Mapping[str, int]) -> Metric:
    whole, classed, class_name = name.partition("@")
    metric, sized, size = whole.partition("_")
    size = size if sized else WHOLE
    if metric not in METRICS or size not in (WHOLE, *bins.labels):
        raise UsageError(
            f"metric {name!r}: expected one of {', '.join(METRICS)}, alone or with a size "
            f"({', '.join(bins.labels)}) as in AP_{bins.labels[0]}"
        )
    if classed and class_name not in labels:
        known = ", ".join(list(labels)[:8]) + (", ..." if len(labels) > 8 else "")
        raise UsageError(f"metric {name!r}: no class {class_name!r}; expected one of {known}")
    return Metric(metric, size, labels[class_name] if classed else None)


def resampled_metrics(
    matcher: Matcher,
    tables: Tables,
    metrics: Sequence[Metric],
    areas: Mapping[str, tuple[float, float]],
    draws: IntArray,
    levels: int = LEVELS,
) -> Floats:
    """Metrics of every resample.

    Args:
        matcher: At COCO's thresholds.
        tables: What it matches.
        metrics: Which.
        areas: Label of a size to its least and greatest area.
        draws: ``(R, I)`` how often each picture counts.
        levels: Most cuts of the axis of scores.

    Returns:
        ``(1 + R, metrics)``; row 0 is the pictures as they are, NaN what is undefined.
    """
    values = np.full((len(metrics), 1 + len(draws)), np.nan)
    for size in dict.fromkeys(metric.size for metric in metrics):
        columns = {i: metric for i, metric in enumerate(metrics) if metric.size == size}
        of_class: dict[int, list[int]] = {}
        for i, metric in columns.items():
            if metric.label is not None:
                of_class.setdefault(metric.label, []).append(i)
        means = {metric.metric: _Mean(1 + len(draws)) for metric in columns.values()}
        for part in resample(tables, matcher.assign(areas[size]), draws, levels):
            figures = {name: _figure(name, part) for name in means}
            for name, mean in means.items():
                mean.add(figures[name])
            for place, label in enumerate(part.classes.tolist()):
                for i in of_class.get(label, ()):
                    values[i] = figures[metrics[i].metric][:, place]
        for i, metric in columns.items():
            if metric.label is None:
                values[i] = means[metric.metric].value()
    return values.T


class _Mean:
    """Mean over classes that come in blocks; a class without objects is left out."""

    def __init__(self, rows: int) -> None:
        self._total = np.zeros(rows)
        self._count = np.zeros(rows, np.int64)

    def add(self, figures: Floats) -> None:
        """Figures ``(rows, classes)``."""
        defined = ~np.isnan(figures)
        self._total += np.where(defined, figures, 0).sum(axis=1)
        self._count += defined.sum(axis=1)

    def value(self) -> Floats:
        """``(rows,)``; NaN where no class has objects."""
        nothing = np.full(len(self._total), np.nan)
        mean: Floats = np.divide(self._total, self._count, out=nothing, where=self._count > 0)
        return mean


def _figure(name: str, part: Resampled) -> Floats:
    """A metric of each resample and class, ``(1 + R, B)``."""
    source = part.recall if name == "AR" else part.precision
    figure: Floats = source[:, :, _IOU_ROWS[name]].mean(axis=2)
    return figure


def resampled_figures(
    dataset: Dataset,
    runs: Sequence[Mapping[int, Detections]],
    metrics: Sequence[str],
    bins: SizeBins,
    repeats: int,
    seed: int,
    max_detections: int,
    groups: Groups | None = None,
) -> list[Floats]:
    """For each run ``(1 + repeats, metrics)``; row 0 is the pictures as they are."""
    wanted = parse_metrics(metrics, bins, dataset.class_names)
    numbers = None if groups is None else group_numbers(dataset, groups)
    draws = draw_pictures(len(dataset), repeats, seed, numbers)
    results = []
    for predictions in runs:
        tables = flatten(dataset, predictions, max_detections)
        pairs = find_pairs(tables, {"iou": float(IOUS[0])})["iou"]
        matcher = Matcher(tables, pairs, IOUS)
        results.append(resampled_metrics(matcher, tables, wanted, size_areas(bins), draws))
    return results


def size_areas(bins: SizeBins) -> dict[str, tuple[float, float]]:
    """Label to least and greatest area, the whole first."""
    return {WHOLE: EVERY_AREA, **dict(zip(bins.labels, bins.areas, strict=True))}


def group_numbers(dataset: Dataset, groups: Groups) -> IntArray:
    """The number of each picture's group, from 0, in the order of ids."""
    names = [groups[image_id] for image_id in sorted(s.image_id for s in dataset.samples)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def draw_pictures(images: int, repeats: int, seed: int, groups: IntArray | None = None) -> IntArray:
    """How often each picture, in the order of ids, counts in each resample, ``(repeats, I)``.

    No resamples of a single picture or group: it would always give itself, which would pass for
    certainty.

    Args:
        images: I.
        repeats: Resamples.
        seed: Of the drawing.
        groups: ``(I,)``, the number of each picture's group, from 0: as many groups are drawn as
            there are, each with all of its pictures. Each picture is one of its own if not given.

    Raises:
        UsageError: If `repeats` is below 1.
    """
    if repeats < 1:
        raise UsageError(f"repeats: expected at least 1, got {repeats}")
    groups = np.arange(images) if groups is None else groups
    count = int(groups.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    draws = [
        np.bincount(rng.integers(0, count, count), minlength=count)[groups]
        for _ in range(repeats if count > 1 else 0)
    ]
    return np.array(draws, np.int64).reshape(-1, images)


def interval_of(values: Floats, level: float) -> Interval:
    """Percentile interval of ``(1 + repeats,)`` values, the first of them the figure itself."""
    if not 0 < level < 1:
        raise UsageError(f"level: expected a share between 0 and 1, got {level:g}")
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = math.nan, math.nan
    if drawn.size and not math.isnan(values[0]):
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(float(values[0]), low, high, level, int(drawn.size))
