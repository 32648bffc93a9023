"""How large objects are as a network sees them, and how many its strides lose.

The side of an object is √area. On a feature map of stride 16 an object of 12 network pixels covers
less than one cell: the map cannot tell it from its surroundings, and it is counted as *lost*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.inspection.objects import Floats, Objects
from foveate.tiling import TilePlan

STRIDES = (4, 8, 16, 32)
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class SizeSummary:
    """Sides of some objects at one scale.

    Attributes:
        objects: How many.
        quantiles: Share to side, pixels; empty without objects.
        lost: Stride to the share of the objects that cover less than one cell of it.
        cells: Stride to the cells that the median object covers along its side.
    """

    objects: int
    quantiles: Mapping[float, float]
    lost: Mapping[int, float]
    cells: Mapping[int, float]

    @classmethod
    def of(cls, sides: Floats, strides: Sequence[int] = STRIDES) -> SizeSummary:
        """Sum up ``(N,)`` sides, network pixels."""
        if not len(sides):
            return cls(0, {}, {}, {})
        values = np.quantile(sides, QUANTILES).tolist()
        median = float(np.median(sides))
        return cls(
            len(sides),
            dict(zip(QUANTILES, values, strict=True)),
            {stride: float((sides < stride).mean()) for stride in strides},
            {stride: median / stride for stride in strides},
        )

    @property
    def median(self) -> float:
        """Pixels; NaN without objects."""
        return self.quantiles.get(0.5, math.nan)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "objects": self.objects,
            "side_quantiles_px": {f"{q:g}": round(v, 3) for q, v in self.quantiles.items()},
            "lost_by_stride": {str(s): round(v, 5) for s, v in self.lost.items()},
            "median_cells_by_stride": {str(s): round(v, 3) for s, v in self.cells.items()},
        }


@dataclass(frozen=True, slots=True)
class View:
    """Objects as one way of showing pictures makes them.

    Attributes:
        name: Such as ``plain``, ``tiles`` or ``advised``.
        plan: How the pictures are shown.
        overall: All objects.
        by_class: Each class that has objects.
    """

    name: str
    plan: TilePlan
    overall: SizeSummary
    by_class: Mapping[str, SizeSummary]

    @classmethod
    def of(
        cls, name: str, plan: TilePlan, objects: Objects, strides: Sequence[int] = STRIDES
    ) -> View:
        """Look at the objects through a plan."""
        sides = network_sides(objects, plan)
        by_class = {
            class_name: SizeSummary.of(sides[objects.labels == label], strides)
            for label, class_name in enumerate(objects.class_names)
            if (objects.labels == label).any()
        }
        return cls(name, plan, SizeSummary.of(sides, strides), by_class)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "tile_plan": self.plan.model_dump(mode="json"),
            "overall": self.overall.to_dict(),
            "by_class": {name: one.to_dict() for name, one in self.by_class.items()},
        }


def network_sides(objects: Objects, plan: TilePlan) -> Floats:
    """Side of each object as the network sees it, ``(N,)`` network pixels."""
    sides: Floats = objects.sides * plan.enlargements(objects.image_sizes)[objects.picture]
    return sides


def relative_sides(objects: Objects) -> Floats:
    """Side of each object over that of its picture (√area of both), ``(N,)``."""
    pictures = np.sqrt(objects.image_sizes.prod(axis=1))
    share: Floats = objects.sides / pictures[objects.picture]
    return share
