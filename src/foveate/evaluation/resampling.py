"""AP and recall of many resamples of the pictures at once, as products of matrices.

A resample counts picture i so many times, ``draws[r, i]``. For one class at one threshold the
axis of scores is cut at the detections that are right; ``counts[i, l]`` says how many right (or
wrong) detections picture i has between cut l - 1 and cut l. Then ``draws @ counts``, summed along
the cuts, are the true and false positives of every resample at every cut, and precision at a cut
is exact. Where more detections are right than `levels`, cuts are made at evenly chosen ones of
them; what that does to the figure itself is taken off every resample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.accumulation import (
    RECALLS,
    objects_per_class,
    points_reached,
    score_assignment,
)
from foveate.evaluation.assignment import Assignment
from foveate.evaluation.tables import Tables
from foveate.structures import BoolArray, FloatArray, IntArray

Floats = NDArray[np.float64]

LEVELS = 256
"""Most cuts of the axis of scores: more than twice as many as there are recalls in AP."""

_COUNTS = 1 << 23
"""Cells of a matrix of counts: 32 MB."""

_SPARSE = 200
"""Cells to an entry from which on going from entry to entry is quicker than a full product."""

_SUMS = 1 << 20
"""Cells of a matrix of resampled sums."""


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """AP and recall of some classes. R = resamples, B = classes, T = thresholds.

    Attributes:
        classes: ``(B,)`` labels.
        precision: ``(1 + R, B, T)`` average precision; first of the pictures as they are. NaN
            where the class has no object.
        recall: The same for the recall reached.
    """

    classes: IntArray
    precision: Floats
    recall: Floats


def resample(
    tables: Tables, assignment: Assignment, draws: IntArray, levels: int = LEVELS
) -> Iterator[Resampled]:
    """Blocks of classes, all those that have counted objects.

    Args:
        tables: Detections and objects.
        assignment: What each detection is.
        draws: ``(R, I)`` how often each picture counts in each resample.
        levels: Most cuts of the axis of scores.
    """
    precision, recall = score_assignment(tables, assignment)  # (T, C)
    objects = objects_per_class(tables, assignment.counted)
    hits = np.array(
        [
            np.bincount(tables.detected.label[right], minlength=tables.classes)
            for right in assignment.right
        ]
    )
    cuts = np.minimum(hits.max(axis=0, initial=1), levels)
    # (I, 1 + R); single precision is exact for whole numbers below 2^24, and twice as fast.
    weights = np.ones((draws.shape[1], 1 + len(draws)), np.float32)
    weights[:, 1:] = draws.T
    for classes in _blocks(np.flatnonzero(objects), cuts, len(hits), weights.shape[1]):
        block = _Block(tables, assignment, classes, int(cuts[classes].max()), levels)
        average, reached = block.resample(weights)
        exact = precision[:, classes].T
        average[1:] = np.clip(average[1:] + exact - average[0], 0, 1)
        average[0], reached[0] = exact, recall[:, classes].T
        yield Resampled(classes, average, reached)


def _blocks(
    classes: IntArray, cuts: IntArray, thresholds: int, resamples: int
) -> Iterator[IntArray]:
    """Runs of classes whose padded cuts fit into one product."""
    most = max(_SUMS // max(resamples, 1), 1)
    start, widest = 0, 1
    for stop, label in enumerate(classes.tolist()):
        grown = max(widest, int(cuts[label]))
        if stop > start and (stop - start + 1) * thresholds * grown > most:
            yield classes[start:stop]
            start, grown = stop, int(cuts[label])
        widest = grown
    if start < len(classes):
        yield classes[start:]


class _Block:
    """What is right and wrong of some classes, by picture and cut. B classes, L cuts."""

    def __init__(
        self,
        tables: Tables,
        assignment: Assignment,
        classes: IntArray,
        cuts: int,
        levels: int,
    ) -> None:
        thresholds = len(assignment.right)
        self._shape = len(classes), thresholds, cuts
        position = np.full(tables.classes, -1)
        position[classes] = np.arange(len(classes))
        rows = slice(
            int(tables.class_starts[classes[0]]), int(tables.class_starts[classes[-1] + 1])
        )
        place = position[tables.detected.label[rows]]
        image = tables.detected.image[rows]
        self._right: list[tuple[IntArray, IntArray]] = []
        self._wrong: list[tuple[IntArray, IntArray]] = []
        for step in range(thresholds):
            right, wrong = assignment.right[step, rows], assignment.wrong[step, rows]
            found = _levels(place, right, wrong, levels)
            for (row, level), parts in zip(found, (self._right, self._wrong), strict=True):
                column = (level * len(classes) + place[row]) * thresholds + step
                parts.append((image[row], column))
        counted = np.flatnonzero(assignment.counted)
        counted = counted[position[tables.objects.label[counted]] >= 0]
        self._objects = tables.objects.image[counted], position[tables.objects.label[counted]]

    def resample(self, weights: FloatArray) -> tuple[Floats, Floats]:
        """Average precision and recall, each ``(R, B, T)``, for weights ``(I, R)``."""
        classes, thresholds, cuts = self._shape
        objects = _sums(weights, *self._objects, classes).reshape(classes, 1, -1)
        shape = cuts, classes, thresholds, weights.shape[1]
        columns = cuts * classes * thresholds
        true, false = (
            _sums(weights, *_joined(parts), columns).reshape(shape)
            for parts in (self._right, self._wrong)
        )
        # Whole slabs are added: numpy's cumsum is slow along an axis as short as this may be.
        for cut in range(1, cuts):
            true[cut] += true[cut - 1]
            false[cut] += false[cut - 1]
        recall = true / np.maximum(objects, 1)
        points = points_reached(recall)
        # Before anything is right not even recall 0 is reached.
        points[true == 0] = 0
        best = true / (true + false + np.spacing(1))
        average = np.zeros(shape[1:])
        for cut in range(cuts - 1, -1, -1):
            if cut + 1 < cuts:
                np.maximum(best[cut], best[cut + 1], out=best[cut])
            average += best[cut] * (points[cut] - (points[cut - 1] if cut else 0))
        none = np.broadcast_to(objects == 0, average.shape)
        average, reached = average / len(RECALLS), recall[-1]
        average[none] = np.nan
        reached[none] = np.nan
        return average.transpose(2, 0, 1), reached.transpose(2, 0, 1)


def _levels(
    place: IntArray, right: BoolArray, wrong: BoolArray, levels: int
) -> tuple[tuple[IntArray, IntArray], tuple[IntArray, IntArray]]:
    """Rows and cuts of the right and of the wrong detections of one threshold.

    A wrong detection counts from the next cut of its class on; after the last cut it cannot
    matter any more. Rows of no class of the block have place -1.
    """
    hits = np.flatnonzero(right & (place >= 0))
    of = place[hits]
    counts = np.bincount(of, minlength=1)
    total = counts[of]
    rank = np.arange(len(hits)) - np.searchsorted(of, of)
    level = rank * np.minimum(total, levels) // np.maximum(total, 1)
    misses = np.flatnonzero(wrong & (place >= 0))
    following = np.searchsorted(hits, misses)
    inside = following < len(hits)
    misses, following = misses[inside], following[inside]
    same = of[following] == place[misses]
    return (hits, level), (misses[same], level[following[same]])


def _joined(parts: list[tuple[IntArray, IntArray]]) -> tuple[IntArray, IntArray]:
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _sums(weights: FloatArray, image: IntArray, column: IntArray, columns: int) -> Floats:
    """``(draws @ counts).T`` with counts of (image, column), ``(columns, R)``, exact."""
    small = len(image) * float(weights.max(initial=0)) < 1 << 24
    factors = weights if small else weights.astype(np.float64)
    sparse = len(image) * _SPARSE < len(weights) * columns
    total = (_sparse_sums if sparse else _dense_sums)(factors, image, column, columns)
    return total.astype(np.float64)


def _dense_sums(
    weights: NDArray[Any], image: IntArray, column: IntArray, columns: int
) -> NDArray[Any]:
    images, resamples = weights.shape
    total = np.zeros((columns, resamples), weights.dtype)
    cell = image * columns + column
    step = max(_COUNTS // max(columns, 1), 1)
    if step < images:
        cell = np.sort(cell)
    for start in range(0, images, step):
        stop = min(start + step, images)
        part = cell
        if step < images:
            part = cell[slice(*np.searchsorted(cell, [start * columns, stop * columns]))]
        counts = np.bincount(part - start * columns, minlength=(stop - start) * columns)
        total += counts.reshape(-1, columns).astype(weights.dtype).T @ weights[start:stop]
    return total


def _sparse_sums(
    weights: NDArray[Any], image: IntArray, column: IntArray, columns: int
) -> NDArray[Any]:
    total = np.zeros((columns, weights.shape[1]), weights.dtype)
    order = np.argsort(column)
    image, column = image[order], column[order]
    step = max(_COUNTS // max(weights.shape[1], 1), 1)
    for start in range(0, len(image), step):
        part = column[start : start + step]
        first = np.flatnonzero(np.diff(part, prepend=-1))
        total[part[first]] += np.add.reduceat(weights[image[start : start + step]], first)
    return total
