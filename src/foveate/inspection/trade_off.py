"""Which of several settings to take: the front of those that nothing beats, and its knee."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foveate.tiling import TilePlan

_NO_GAIN = 0.01  # of the whole range of scores: less is not worth time
_SCALES = (0.75, 1.0, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Tried:
    """One tile plan, run over pictures.

    Attributes:
        name: Such as ``x1.5``.
        plan: The geometry.
        metrics: `AP`, `AP50` and `AP` by size, those that are defined.
        seconds: A picture, wall time of tiling, network and merging; the median.
        knee: Whether more time than this buys least.
    """

    name: str
    plan: TilePlan
    metrics: Mapping[str, float]
    seconds: float
    knee: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "tile_plan": self.plan.model_dump(mode="json"),
            "metrics": dict(self.metrics),
            "seconds_per_image": round(self.seconds, 5),
            "knee": self.knee,
        }


def plans_to_try(own: TilePlan, advised: TilePlan) -> dict[str, TilePlan]:
    """Plain, a model's own plan, other enlargements of it, and the advised plan, by name."""
    plans = {"plain": own.model_copy(update={"plain": True, "full_image": False}), "own": own}
    for scale in sorted({*_SCALES, own.scale * 0.75, own.scale * 1.25} - {own.scale}):
        plans[f"x{scale:.3g}"] = own.model_copy(update={"scale": scale})
    plans["own, full image"] = own.model_copy(update={"full_image": True})
    return {**plans, "advised": advised}


def deciding_metric(tried: Sequence[Tried], size_labels: Sequence[str]) -> str:
    """What a sweep is judged by: AP of the smallest size that has objects, or else AP."""
    defined = tried[0].metrics if tried else {}
    return next((f"AP_{label}" for label in size_labels if f"AP_{label}" in defined), "AP")


def with_knee(tried: Sequence[Tried], metric: str) -> list[Tried]:
    """The same, the knee of `metric` against time marked."""
    worth = [one.metrics.get(metric, math.nan) for one in tried]
    best = knee([max(one.seconds, 1e-6) for one in tried], worth)
    return [replace(one, knee=row == best) for row, one in enumerate(tried)]


def pareto_front(seconds: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Rows that no other is both quicker and better than, quickest first.

    Args:
        seconds: Cost of each; of equal cost only the best counts.
        scores: Worth of each. What has no finite cost or worth is never on the front.
    """
    finite = np.flatnonzero(np.isfinite(seconds) & np.isfinite(scores)).tolist()
    order = sorted(finite, key=lambda row: (seconds[row], -scores[row], row))
    front: list[int] = []
    best = -math.inf
    for row in order:
        if scores[row] > best:
            front.append(row)
            best = scores[row]
    return front


def knee(seconds: Sequence[float], scores: Sequence[float]) -> int | None:
    """The row of the front beyond which time buys least.

    The front is drawn with logarithmic time, both axes from 0 to 1; the knee is its point
    farthest above the straight line from its first to its last (Satopaa 2011, "Kneedle"). Where
    no point stands out, it is the cheapest within a hundredth of the range from the best.

    Args:
        seconds: Cost of each, positive.
        scores: Worth of each.

    Returns:
        None if there is no score at all.
    """
    front = pareto_front(seconds, scores)
    if not front:
        return None
    time = np.log([seconds[row] for row in front])
    worth = np.array([scores[row] for row in front])
    if len(front) < 3:
        return front[0] if worth[-1] - worth[0] <= 0 else front[-1]
    across = (time - time[0]) / (time[-1] - time[0])
    up = (worth - worth[0]) / (worth[-1] - worth[0])
    above = up - across
    if above.max() > _NO_GAIN:
        return front[int(above.argmax())]
    return front[int(np.argmax(up >= 1 - _NO_GAIN))]
