"""What share of objects a selection keeps for certain: a bound from held-out pictures.

Objects of one picture are not independent (one dark field hides all of its cars), so that a
binomial bound that counts objects, Clopper and Pearson's, promises too much. Counted are pictures,
which are independent where they are not frames of one clip: each gives one number from 0 to 1, the
share of its objects that were kept, and what is bounded is the mean of that number over pictures
with objects. For numbers between 0 and 1 the binomial tail bound becomes Hoeffding's (1963, theorem
1 [M]), which assumes nothing of how they are distributed, and is Clopper and Pearson's own where no
object is missed.

Several thresholds are tried on the same pictures. They are fixed beforehand and tested from the
safest on, and none counts after the first that falls short, which keeps the chance of one wrong
claim at that of a single test (Angelopoulos 2021, "Learn then Test", fixed sequence [M]).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from foveate.structures import FloatArray

LEVEL = 0.95
"""Chance that a bound holds."""


def least_mean(values: Sequence[float], level: float = LEVEL) -> float:
    """Lower bound of the mean of independent numbers from 0 to 1.

    Args:
        values: N of them; none bounds nothing.
        level: Chance that the bound holds.

    Returns:
        The least mean of which ``values`` could be, unless a thing of chance ``1 - level`` came.
    """
    if not len(values):
        return 0.0
    mean, most = float(np.mean(values)), -math.log1p(-level) / len(values)
    low, high = 0.0, mean
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _divergence(mean, middle) <= most else (middle, high)
    return low


def pictures_needed(target: float, level: float = LEVEL) -> int:
    """Pictures with which a mean of at least `target` can be claimed, if no object is missed."""
    return math.ceil(round(math.log1p(-level) / math.log(target), 9))


def kept_shares(levels: Sequence[FloatArray], threshold: float) -> list[float]:
    """The share of each picture's objects that are kept.

    Args:
        levels: A picture each, ``(G,)``: the threshold up to which each object is kept. Pictures
            without objects are left out.
        threshold: Least level of an object that is kept.
    """
    return [float((of_picture >= threshold).mean()) for of_picture in levels if len(of_picture)]


def _divergence(mean: float, other: float) -> float:
    """Kullback and Leibler's, of two coins; infinite where the other cannot have given the mean."""
    total = 0.0
    for one, two in ((mean, other), (1 - mean, 1 - other)):
        if one > 0:
            total += one * math.log(one / two) if two > 0 else math.inf
    return total
