"""Picture by picture: found, missed and false, and how far the count of objects is off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.evaluation.assignment import Assignment
from foveate.evaluation.matching import missed_objects
from foveate.evaluation.tables import Tables
from foveate.structures import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ImageOutcomes:
    """Counts of each picture at one score threshold and IoU .5, all classes together.

    Attributes:
        image_ids: ``(I,)`` rising.
        found: ``(I,)`` objects that were detected.
        missed: ``(I,)`` objects that were not.
        false: ``(I,)`` detections of nothing; those on ignore regions do not count.
    """

    image_ids: IntArray
    found: IntArray
    missed: IntArray
    false: IntArray

    def worst(self) -> list[dict[str, int]]:
        """Pictures with mistakes, most mistakes first: `image_id`, `found`, `missed`, `false`."""
        mistakes = self.missed + self.false
        order = np.argsort(-mistakes, kind="stable")
        return [
            {
                "image_id": int(self.image_ids[i]),
                "found": int(self.found[i]),
                "missed": int(self.missed[i]),
                "false": int(self.false[i]),
            }
            for i in order[: np.count_nonzero(mistakes)]
        ]


@dataclass(frozen=True, slots=True, eq=False)
class CountErrors:
    """How well the number of detections in a picture tells the number of objects.

    Attributes:
        image_ids: ``(I,)`` rising.
        true: ``(I,)`` objects labelled.
        counted: ``(I,)`` detections from the threshold on.
        mean_absolute: Mean of ``|counted - true|``.
        bias: Mean of ``counted - true``: above 0, too many are counted.
        r_squared: Share of the variance of `true` that `counted` explains, 1 at best; NaN where
            every picture has the same number.
    """

    image_ids: IntArray
    true: IntArray
    counted: IntArray
    mean_absolute: float
    bias: float
    r_squared: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an undefined figure is None."""
        return {
            "mean_absolute": self.mean_absolute,
            "bias": self.bias,
            "r_squared": None if math.isnan(self.r_squared) else self.r_squared,
            "image_ids": self.image_ids.tolist(),
            "true": self.true.tolist(),
            "counted": self.counted.tolist(),
        }


def image_outcomes(
    tables: Tables, match: Assignment, score_threshold: float, row: int = 0
) -> ImageOutcomes:
    """Counts of each picture.

    Args:
        tables: Detections and objects.
        match: Of all sizes.
        score_threshold: Detections below it are left out.
        row: Of IoU .5 in `match`.
    """
    images = len(tables.image_ids)
    shown = tables.detected.score >= score_threshold
    missed = missed_objects(match, row, shown)
    found, false = (
        np.bincount(tables.detected.image[kind[row] & shown], minlength=images)
        for kind in (match.right, match.wrong)
    )
    lost = np.bincount(tables.objects.image[missed], minlength=images)
    return ImageOutcomes(tables.image_ids, found, lost, false)


def count_errors(outcomes: ImageOutcomes) -> CountErrors:
    """Errors of counting, from what was found, missed and false."""
    true, counted = outcomes.found + outcomes.missed, outcomes.found + outcomes.false
    off = counted - true
    spread = float(np.square(true - true.mean()).sum())
    r_squared = 1 - float(np.square(off).sum()) / spread if spread else math.nan
    return CountErrors(
        outcomes.image_ids,
        true,
        counted,
        float(np.abs(off).mean()),
        float(off.mean()),
        r_squared,
    )
