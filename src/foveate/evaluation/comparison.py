"""Two runs on the same pictures: which is better, by how much, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foveate.evaluation.average_precision import MAX_DETECTIONS, METRICS
from foveate.evaluation.bootstrap import Groups, Interval, interval_of, resampled_figures
from foveate.evaluation.matching import Outcomes, count_outcomes
from foveate.evaluation.sizes import SIZE_BINS, SizeBins
from foveate.structures import Dataset, Detections

BETTER, WORSE, EVEN, UNKNOWN = "better", "worse", "no difference shown", "cannot be told"


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both runs.

    Attributes:
        metric: Its name, such as `AP_small` or `AP@car`.
        a: Of the first run.
        b: Of the second.
        delta: ``b - a``, with the interval over resampled pictures.
    """

    metric: str
    a: float
    b: float
    delta: Interval

    @property
    def verdict(self) -> str:
        """Whether `b` is better or worse than `a`, no difference is shown, or none can be told."""
        if math.isnan(self.delta.low):
            return UNKNOWN
        if self.delta.low > 0:
            return BETTER
        return WORSE if self.delta.high < 0 else EVEN

    @property
    def text(self) -> str:
        """Such as ``AP_small +3.1 [+1.2, +5.0]``, in points (hundredths)."""
        change = f"{self.metric} {100 * self.delta.value:+.1f}"
        if math.isnan(self.delta.low):
            return change
        return f"{change} [{100 * self.delta.low:+.1f}, {100 * self.delta.high:+.1f}]"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; what cannot be told is None."""
        return {
            "metric": self.metric,
            "a": self.a,
            "b": self.b,
            "delta": self.delta.to_dict(),
            "verdict": self.verdict,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, figure by figure.

    Attributes:
        differences: Overall, then by size, then by class; only figures that are defined.
        outcomes: Found, missed and false of both at their thresholds; None if none were given.
        pictures: How many pictures they were compared on.
    """

    differences: tuple[Difference, ...]
    outcomes: tuple[Outcomes, Outcomes] | None
    pictures: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        outcomes = self.outcomes
        return {
            "pictures": self.pictures,
            "differences": [difference.to_dict() for difference in self.differences],
            "outcomes": outcomes and {"a": outcomes[0].to_dict(), "b": outcomes[1].to_dict()},
        }


def compare_predictions(
    dataset: Dataset,
    a: Mapping[int, Detections],
    b: Mapping[int, Detections],
    bins: SizeBins = SIZE_BINS["coco"],
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    max_detections: int = MAX_DETECTIONS,
    thresholds: tuple[float, float] | None = None,
    groups: Groups | None = None,
) -> Comparison:
    """Compare two runs by a paired bootstrap: both are scored on the same resampled pictures.

    Each interval stands alone. Of twenty figures that do not differ in truth, one is expected to
    look better or worse at a level of .95; the more sizes and classes there are, the more such.
    Choose the figure that decides before looking, or ask for a `level` of 1 - .05 / figures and
    for more `repeats` (an interval's end rests on ``repeats * (1 - level) / 2`` resamples). *No
    difference shown* does not mean that there is none; the interval says how large it may be.

    Args:
        dataset: The labels.
        a: Image id to detections of the first run.
        b: Of the second.
        bins: Size bins.
        repeats: Resamples.
        seed: Of the resampling.
        level: Share of the resamples inside an interval.
        max_detections: As for `evaluate_detections`.
        thresholds: Score thresholds of `a` and `b` at which found, missed and false are counted;
            None: they are not.
        groups: Of pictures that are resampled as a whole, as for `bootstrap_interval`.

    Raises:
        UsageError: As `bootstrap_interval`.
    """
    metrics = [
        *METRICS,
        *(f"{name}_{size}" for size in bins.labels for name in ("AP", "AR")),
        *(f"AP@{name}" for name in dict.fromkeys(dataset.class_names)),
    ]
    values_a, values_b = resampled_figures(
        dataset, [a, b], metrics, bins, repeats, seed, max_detections, groups
    )
    differences = tuple(
        Difference(name, float(of_a[0]), float(of_b[0]), interval_of(of_b - of_a, level))
        for name, of_a, of_b in zip(metrics, values_a.T, values_b.T, strict=True)
        if not math.isnan(of_a[0])
    )
    outcomes = None
    if thresholds is not None:
        outcomes = (
            count_outcomes(dataset, a, bins, score_threshold=thresholds[0]),
            count_outcomes(dataset, b, bins, score_threshold=thresholds[1]),
        )
    return Comparison(differences, outcomes, len(dataset))
