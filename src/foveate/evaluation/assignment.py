"""COCO's greedy matching, for any criterion, threshold and range of sizes, at once over all data.

In falling order of score each detection takes, of the free objects of its class and picture, the
one it fits best. All objects so prefer the higher score, and what comes out is the only stable
matching; it can then be found without going from detection to detection: all propose to their
best object at once, each object keeps the best proposal, the others propose to their next, until
nobody has to (Gale and Shapley's deferred acceptance). That takes a few rounds, each a handful of
array operations. Most objects share no detection with another object: theirs take no rounds.

COCO's rules, as pycocotools has them:

- An object outside the range of sizes and an ignore region are *ignored*: taken only if no counted
  object is left that fits, and what takes them is neither right nor wrong. An ignore region may be
  taken any number of times, everything else once.
- A detection that takes nothing is wrong, unless its own area lies outside the range.
- Of objects that fit equally well the one later in the data set is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.pairs import Pairs
from foveate.evaluation.tables import Tables, within
from foveate.structures import BoolArray, IntArray

Floats = NDArray[np.float64]

EVERY_AREA = (0.0, 1e10)
"""Square pixels; COCO's range for objects of all sizes."""

IOUS: Floats = np.linspace(0.5, 0.95, 10)
"""COCO's thresholds."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """What each detection is, in one range of sizes. T = thresholds, D = detections, M = objects.

    Attributes:
        matched: ``(T, D)`` int32, the object that each detection takes, or -1.
        right: ``(T, D)`` it takes a counted object.
        wrong: ``(T, D)`` it takes nothing, and is of a size in the range.
        counted: ``(M,)`` objects in the range that are not ignored.
    """

    matched: NDArray[np.int32]
    right: BoolArray
    wrong: BoolArray
    counted: BoolArray


class Matcher:
    """Matches the same pairs at several thresholds, for one range of sizes after another.

    Args:
        tables: Detections and objects.
        pairs: Of one criterion, with all that fit at least as well as the lowest threshold.
        thresholds: Least fit of a match, each above 0; T = their number.
    """

    def __init__(self, tables: Tables, pairs: Pairs, thresholds: Sequence[float] | Floats) -> None:
        # pycocotools lowers a threshold of 1 a little.
        self.thresholds = np.minimum(np.asarray(thresholds, np.float64), 1 - 1e-10)
        self._tables = tables
        kept = pairs.same_class & (pairs.fit >= self.thresholds.min(initial=1.0))
        pairs = _by_detection(pairs.where(kept), len(tables.objects))
        shared = _shares_detections(pairs, len(tables.detected), len(tables.objects))
        self._contested = pairs.where(shared)
        # Without a rival object the range of sizes changes only what a match counts for.
        self._uncontested = self._alone(pairs.where(~shared))

    def assign(self, area: tuple[float, float] = EVERY_AREA) -> Assignment:
        """The matching when only objects of these areas (square pixels) count."""
        tables = self._tables
        counted = tables.counted(area)
        matched = self._uncontested.copy()
        ranked = _by_preference(self._contested, counted)
        for row, threshold in enumerate(self.thresholds):
            detection, taken = _propose(
                ranked.where(ranked.fit >= threshold), tables.objects.ignore, len(tables.detected)
            )
            matched[row, detection] = taken
        free = matched < 0
        # Row -1 stands for "takes nothing".
        right = np.append(counted, False)[matched]
        return Assignment(matched, right, free & within(tables.detected.area, area), counted)

    def _alone(self, pairs: Pairs) -> NDArray[np.int32]:
        """Matches ``(T, D)`` of the objects that share no detection with another."""
        matched = np.full((len(self.thresholds), len(self._tables.detected)), -1, np.int32)
        ignore = self._tables.objects.ignore
        best = np.empty(len(ignore), np.int64)
        for row, threshold in enumerate(self.thresholds):
            rows = np.flatnonzero(pairs.fit >= threshold)
            detection, taken = pairs.detection[rows], pairs.object[rows]
            # Of equal indices the last is written: the detection with the best score.
            best[taken[::-1]] = detection[::-1]
            served = ignore[taken] | (best[taken] == detection)
            matched[row, detection[served]] = taken[served]
        return matched


def _by_detection(pairs: Pairs, objects: int) -> Pairs:
    order = np.argsort(pairs.detection * max(objects, 1) + pairs.object)
    return Pairs(
        pairs.detection[order], pairs.object[order], pairs.fit[order], pairs.same_class[order]
    )


def _shares_detections(pairs: Pairs, detections: int, objects: int) -> BoolArray:
    """Which pairs are of an object that a detection could leave for another one."""
    several = np.bincount(pairs.detection, minlength=detections)[pairs.detection] > 1
    shared = np.zeros(objects, bool)
    shared[pairs.object[several]] = True
    return shared[pairs.object]


def _by_preference(pairs: Pairs, counted: BoolArray) -> Pairs:
    """Detection by detection, the object it would take first in front."""
    ignored = ~counted[pairs.object]
    order = np.lexsort((-pairs.object, -pairs.fit, ignored, pairs.detection))
    return Pairs(
        pairs.detection[order], pairs.object[order], pairs.fit[order], pairs.same_class[order]
    )


def _propose(pairs: Pairs, ignore: BoolArray, detections: int) -> tuple[IntArray, IntArray]:
    """Rounds of proposals until nobody is left who has been turned down and may ask again.

    Args:
        pairs: As `_by_preference` orders them.
        ignore: ``(M,)`` objects that take everyone.
        detections: D.

    Returns:
        Rows of the detections that were taken, and of the objects that took them.
    """
    nobody = detections
    holder = np.full(len(ignore), nobody)
    asking = np.flatnonzero(np.diff(pairs.detection, prepend=-1))  # first pair of each
    last = np.append(pairs.detection[1:] != pairs.detection[:-1], True)
    asks = np.zeros(detections + 1, np.int64)  # pair with which each detection asks, or asked last
    open_to_all = []
    while len(asking):
        wish, asker = pairs.object[asking], pairs.detection[asking]
        asks[asker] = asking
        welcome = ignore[wish]
        open_to_all.append(asking[welcome])
        wish, asker = wish[~welcome], asker[~welcome]
        before = holder[wish]
        np.minimum.at(holder, wish, asker)
        lost = np.concatenate([asker[holder[wish] != asker], before[holder[wish] != before]])
        lost = np.unique(lost[lost != nobody])
        pair = asks[lost]
        asking = pair[~last[pair]] + 1
    holding = np.flatnonzero(holder != nobody)
    crowded = np.concatenate([np.zeros(0, np.int64), *open_to_all])
    return (
        np.concatenate([holder[holding], pairs.detection[crowded]]),
        np.concatenate([holding, pairs.object[crowded]]),
    )
