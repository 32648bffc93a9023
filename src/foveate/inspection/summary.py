"""`Inspection`: all that labels alone tell about a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.inspection.advice import Advice, advise
from foveate.inspection.coverage import Coverage, cover
from foveate.inspection.crowding import Crowding, measure_crowding
from foveate.inspection.objects import Objects
from foveate.inspection.sizes import QUANTILES, STRIDES, View, relative_sides
from foveate.structures import Dataset
from foveate.tiling import TilePlan

PLAIN, TILES, ADVISED = "plain", "tiles", "advised"


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """A data set as three ways of showing it make it, and what to do.

    Attributes:
        name: Of the data set.
        objects: Its objects.
        relative: Share to side over the picture's side, quantiles; empty without objects.
        views: `plain`, `tiles` (the plan asked about) and `advised`.
        coverage: Of the same, by name.
        crowding: Shapes and neighbours.
        advice: What to do.
    """

    name: str
    objects: Objects
    relative: dict[float, float]
    views: tuple[View, ...]
    coverage: dict[str, Coverage]
    crowding: Crowding
    advice: Advice

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        counts = np.bincount(self.objects.labels, minlength=len(self.objects.class_names)).tolist()
        return {
            "dataset": self.name,
            "images": len(self.objects.image_sizes),
            "objects": len(self.objects),
            "objects_by_class": dict(zip(self.objects.class_names, counts, strict=True)),
            "relative_side_quantiles": {f"{q:g}": round(v, 6) for q, v in self.relative.items()},
            "views": {
                view.name: view.to_dict() | {"coverage": self.coverage[view.name].to_dict()}
                for view in self.views
            },
            "crowding": self.crowding.to_dict(),
            "advice": self.advice.to_dict(),
        }


def inspect_labels(
    dataset: Dataset, plan: TilePlan | None = None, strides: Sequence[int] = STRIDES
) -> Inspection:
    """Inspect the labels of a data set; no picture is read.

    Args:
        dataset: The labels. One without objects, or without pictures, gives an empty inspection.
        plan: The tile plan asked about; the library's default if not given.
        strides: Of the feature maps asked about.
    """
    objects = Objects.of(dataset)
    crowding = measure_crowding(objects)
    advice = advise(objects, crowding)
    asked = plan or TilePlan()
    plans = {
        PLAIN: asked.model_copy(update={"plain": True, "full_image": False}),
        TILES: asked,
        ADVISED: advice.plan,
    }
    relative = np.quantile(relative_sides(objects), QUANTILES).tolist() if len(objects) else []
    return Inspection(
        dataset.name,
        objects,
        dict(zip(QUANTILES, relative, strict=False)),
        tuple(View.of(name, one, objects, strides) for name, one in plans.items()),
        {name: cover(objects, one) for name, one in plans.items()},
        crowding,
        advice,
    )
