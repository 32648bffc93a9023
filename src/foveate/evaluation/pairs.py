"""Which detection could be which object: pairs that fit well enough, under each criterion.

A criterion says how well a detection fits an object, from 0 to 1. For small objects IoU is a
harsh one: two pixels off, and an 8-px object that was found counts as missed *and* false. The
other two tell whether that is what happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.tables import Tables
from foveate.structures import BoolArray, FloatArray, IntArray
from foveate.structures.box_index import BoxIndex

Floats = NDArray[np.float64]

NWD_CONSTANT = 12.8
"""Pixels [S: Wang 2021, METHODS §11]: the mean size of AI-TOD's objects."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """How well a detection fits an object, and how far from it one may lie that still does.

    Attributes:
        fit: From ``(P, 4)`` float64 boxes of detections and of objects, row by row, ``(P,)``.
        reach: From ``(M, 4)`` boxes of objects and the least fit, how far from the object's
            centre that of a detection may lie along x or y, pixels, ``(M,)``. None: only
            detections that share area with the object fit.
    """

    fit: Callable[[Floats, Floats], Floats]
    reach: Callable[[Floats, float], Floats] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Detections and objects of the same picture that fit each other. P = their number.

    Attributes:
        detection: ``(P,)`` row of `Tables.detected`.
        object: ``(P,)`` row of `Tables.objects`.
        fit: ``(P,)`` float64; on an ignore region the share of the detection that lies on it.
        same_class: ``(P,)``.
    """

    detection: IntArray
    object: IntArray
    fit: Floats
    same_class: BoolArray

    def where(self, kept: BoolArray) -> Pairs:
        """Only some of them."""
        rows = np.flatnonzero(kept)
        return Pairs(self.detection[rows], self.object[rows], self.fit[rows], self.same_class[rows])


def _iou(found: Floats, labelled: Floats) -> Floats:
    overlap = _overlap(found, labelled)
    return _ratio(overlap, _area(found) + _area(labelled) - overlap)


def _nwd(found: Floats, labelled: Floats) -> Floats:
    """Normalised Gaussian Wasserstein distance [S: Wang 2021, arXiv:2110.13389]."""
    size_a, size_b = found[:, 2:] - found[:, :2], labelled[:, 2:] - labelled[:, :2]
    centre = np.square(found[:, :2] - labelled[:, :2] + (size_a - size_b) / 2).sum(axis=1)
    size = np.square(size_a - size_b).sum(axis=1)
    likeness: Floats = np.exp(-np.sqrt(centre + size / 4) / NWD_CONSTANT)
    return likeness


def _nwd_reach(labelled: Floats, least: float) -> Floats:
    return np.full(len(labelled), -NWD_CONSTANT * math.log(max(least, 1e-9)))


def _centre(found: Floats, labelled: Floats) -> Floats:
    """1 less the distance of the centres in sides (√area) of the object; 0 from one side on."""
    apart = (found[:, :2] + found[:, 2:] - labelled[:, :2] - labelled[:, 2:]) / 2
    side = np.sqrt(_area(labelled))
    return np.maximum(1 - _ratio(np.hypot(apart[:, 0], apart[:, 1]), side, empty=1), 0)


def _centre_reach(labelled: Floats, least: float) -> Floats:
    reach: Floats = (1 - least) * np.sqrt(_area(labelled))
    return reach


CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        "iou": Criterion(_iou),
        "nwd": Criterion(_nwd, _nwd_reach),
        "centre": Criterion(_centre, _centre_reach),
    }
)
"""`iou`: intersection over union. `nwd`: likeness of the boxes as Gaussians, in pixels whatever
their size. `centre`: nearness of the centres; .5 and more is nearer than half the object's side.

A detection without area fits nothing.
"""


def find_pairs(tables: Tables, least: Mapping[str, float]) -> dict[str, Pairs]:
    """The pairs that fit at least so well, for each criterion asked for, in one search.

    Args:
        tables: Detections and objects.
        least: Criterion (a key of `CRITERIA`) to the least fit, above 0.

    Returns:
        Criterion to its pairs, in no particular order: of any two classes for `iou` (a detection
        may be right but for its class), of one class for the others.
    """
    parts: dict[str, list[Pairs]] = {name: [_no_pairs()] for name in least}
    for detection, labelled in _near(tables, least):
        same = tables.detected.label[detection] == tables.objects.label[labelled]
        for name, threshold in least.items():
            rows = np.arange(len(same)) if name == "iou" else np.flatnonzero(same)
            found, meant = detection[rows], labelled[rows]
            fit = _fit(tables, found, meant, CRITERIA[name])
            parts[name].append(Pairs(found, meant, fit, same[rows]).where(fit >= threshold))
    return {name: _join(found) for name, found in parts.items()}


def _near(tables: Tables, least: Mapping[str, float]) -> Iterator[tuple[IntArray, IntArray]]:
    """Blocks of rows of detections and of objects that may fit under one of the criteria."""
    # Every box that asks costs several bisections, so the few ask and the many are indexed.
    index = BoxIndex(tables.detected.boxes, tables.detected.image)
    boxes = _widened(tables.objects.boxes, least)
    for labelled, detection in index.query(boxes, tables.objects.image):
        yield detection, labelled


def _widened(boxes: FloatArray, least: Mapping[str, float]) -> FloatArray:
    """Objects' boxes, grown so that they meet every detection that could fit them."""
    exact = boxes.astype(np.float64)
    centre = (exact[:, :2] + exact[:, 2:]) / 2
    rounding = 1e-3 + 1e-6 * np.abs(centre)  # of single precision, which the index takes
    for name, threshold in least.items():
        reach_of = CRITERIA[name].reach
        if reach_of is not None:
            reach = reach_of(boxes.astype(np.float64), threshold)[:, None] + rounding
            exact[:, :2] = np.minimum(exact[:, :2], centre - reach)
            exact[:, 2:] = np.maximum(exact[:, 2:], centre + reach)
    return exact.astype(np.float32)


def _fit(tables: Tables, detection: IntArray, meant: IntArray, criterion: Criterion) -> Floats:
    """Fit of each pair; the share of the detection where the object is an ignore region."""
    found = np.take(tables.detected.boxes, detection, axis=0).astype(np.float64)
    labelled = np.take(tables.objects.boxes, meant, axis=0).astype(np.float64)
    fit = criterion.fit(found, labelled)
    ignored = np.flatnonzero(tables.objects.ignore[meant])
    fit[ignored] = _ratio(_overlap(found[ignored], labelled[ignored]), _area(found[ignored]))
    return fit


def _overlap(a: Floats, b: Floats) -> Floats:
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    overlap: Floats = np.maximum(width, 0) * np.maximum(height, 0)
    return overlap


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _ratio(part: Floats, whole: Floats, empty: float = 0.0) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, empty), where=whole > 0)


def _no_pairs() -> Pairs:
    none = np.zeros(0, np.int64)
    return Pairs(none, none, np.zeros(0), np.zeros(0, bool))


def _join(parts: list[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.detection for part in parts]),
        np.concatenate([part.object for part in parts]),
        np.concatenate([part.fit for part in parts]),
        np.concatenate([part.same_class for part in parts]),
    )
