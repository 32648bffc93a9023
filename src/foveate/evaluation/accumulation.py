"""Precision at COCO's 101 recalls from what is right and what is wrong, all classes at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.assignment import Assignment
from foveate.evaluation.tables import Tables
from foveate.structures import BoolArray, IntArray

Floats = NDArray[np.float64]

RECALLS: Floats = np.linspace(0, 1, 101)
"""COCO's recalls."""

_REACHED = np.append(RECALLS, np.inf)


def objects_per_class(tables: Tables, counted: BoolArray) -> IntArray:
    """How many of the counted objects are of each class, ``(C,)``."""
    return np.bincount(tables.objects.label[counted], minlength=tables.classes)


def score_assignment(tables: Tables, assignment: Assignment) -> tuple[Floats, Floats]:
    """Average precision and recall, each ``(T, C)``; NaN for a class without counted objects."""
    objects = objects_per_class(tables, assignment.counted)
    label = tables.detected.label
    precision = np.array(
        [
            precision_curves(label, right, wrong, objects).mean(axis=1)
            for right, wrong in zip(assignment.right, assignment.wrong, strict=True)
        ]
    )
    hits = np.array(
        [np.bincount(label[right], minlength=len(objects)) for right in assignment.right]
    )
    recall = np.divide(hits, objects, out=np.full(hits.shape, np.nan), where=objects > 0)
    return precision, recall


def precision_curves(
    label: IntArray, right: BoolArray, wrong: BoolArray, objects: IntArray
) -> Floats:
    """The best precision at each of `RECALLS` or beyond, for each class.

    The arithmetic of pycocotools, but only at the detections that are right: precision falls at
    every other.

    Args:
        label: ``(D,)`` class of each detection, rising; within a class, best score first.
        right: ``(D,)``.
        wrong: ``(D,)``; a detection that is neither does not count.
        objects: ``(C,)`` objects of each class.

    Returns:
        ``(C, 101)``; NaN for a class without objects.
    """
    classes = len(objects)
    hits = np.flatnonzero(right)
    of = label[hits]
    before = np.concatenate([[0], np.cumsum(wrong)])
    false = before[hits] - before[np.searchsorted(label, np.arange(classes))[of]]
    first = np.searchsorted(of, np.arange(classes))[of]
    true = np.arange(1, len(hits) + 1) - first
    precision = best_beyond(true / (true + false + np.spacing(1)), of)
    points = points_reached(true / objects[of])
    # Each hit answers for the recalls that it is the first to reach.
    new = points - np.where(true > 1, np.append(0, points[:-1])[: len(points)], 0)
    place = np.arange(new.sum()) - np.repeat(np.cumsum(new) - points, new)
    curves = np.zeros((classes, len(RECALLS)))
    curves[np.repeat(of, new), place] = np.repeat(precision, new)
    curves[objects == 0] = np.nan
    return curves


def points_reached(recall: Floats) -> NDArray[np.int64]:
    """How many of `RECALLS` each recall in ``[0, 1]`` reaches, as exact as a comparison."""
    near = (recall * 100).astype(np.int64)  # off by one at most
    up = np.take(_REACHED, near + 1) <= recall
    down = np.take(_REACHED, near) > recall
    reached: NDArray[np.int64] = near + 1 + up - down
    return reached


def best_beyond(values: Floats, group: IntArray) -> Floats:
    """Greatest of this value and those after it in the same run of `group`, ``(N,)``."""
    best = values.copy()
    step = 1
    longest = int(np.bincount(group).max()) if len(group) else 0
    while step < longest:
        same = group[step:] == group[:-step]
        np.maximum(best[:-step], best[step:], out=best[:-step], where=same)
        step *= 2
    return best
