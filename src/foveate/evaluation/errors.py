"""Why detections are wrong and objects missed: TIDE's six kinds of error, by object size.

TIDE [M: Bolya 2020, arXiv:2008.08115; counts and gains equal hotcoco's]: every wrong detection and
every missed object gets one kind, in this order, at IoU .5 for a match and .1 for the background:

- localisation: of the right class, but at an IoU from .1 to below .5 with the object;
- classification: at IoU .5 or more with an object of another class;
- duplicate: at IoU .5 or more with an object that a better detection has taken;
- background: at IoU .1 or less with everything;
- both: what is left, so of another class *and* badly placed;
- missed: an object that is not found, and that no error of the first two kinds is about.

An ignore region is no object here, and a detection that lies on one is no error. (hotcoco calls a
wrong detection badly placed also if a tenth of it lies on an ignore region of its class.)

What an error costs is how much AP50 would gain if that kind alone were mended: for an object not
found, the best detection of the first two kinds becomes right if it is of that kind; missed objects
are struck from the labels; everything else of that kind is struck out. The gains do not add up to
what AP50 lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.accumulation import objects_per_class, precision_curves
from foveate.evaluation.assignment import EVERY_AREA, Assignment, Matcher
from foveate.evaluation.matching import missed_objects
from foveate.evaluation.pairs import Pairs
from foveate.evaluation.sizes import SizeBins
from foveate.evaluation.tables import Tables, within
from foveate.structures import BoolArray, IntArray

Floats = NDArray[np.float64]

ERROR_KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")

FOREGROUND, BACKGROUND = 0.5, 0.1
"""IoU of a match, and the IoU up to which a detection is of nothing."""


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Errors of one range of sizes.

    Attributes:
        ap50: AP50 as it is; NaN without objects.
        counts: Kind to how many.
        gains: Kind to what AP50 would gain if that kind alone were mended; NaN without objects.
    """

    ap50: float
    counts: Mapping[str, int]
    gains: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an undefined figure is None."""
        defined = not np.isnan(self.ap50)
        return {
            "AP50": self.ap50 if defined else None,
            "counts": dict(self.counts),
            "gains": {kind: gain if defined else None for kind, gain in self.gains.items()},
        }


@dataclass(frozen=True, slots=True)
class ErrorTypes:
    """Errors of all sizes and by size.

    An error belongs to the size of the object that it is about; one of the background to the size
    of the detection. Gains by size are gains of the AP50 of that size.

    Attributes:
        overall: All sizes.
        by_size: Each size bin, by its label.
    """

    overall: ErrorCounts
    by_size: Mapping[str, ErrorCounts]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "iou": FOREGROUND,
            "background_iou": BACKGROUND,
            "overall": self.overall.to_dict(),
            "by_size": {label: counts.to_dict() for label, counts in self.by_size.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """Kind of each wrong detection and of each missed object.

    Attributes:
        kind: ``(D,)`` place in `ERROR_KINDS`, or -1.
        about: ``(D,)`` the object that the error is about, or -1.
        missed: ``(M,)``.
    """

    kind: NDArray[np.int8]
    about: IntArray
    missed: BoolArray


def error_types(tables: Tables, pairs: Pairs, bins: SizeBins) -> ErrorTypes:
    """Sort errors by kind and size, and say what each kind costs.

    Args:
        tables: Detections and objects.
        pairs: By `iou`, of any two classes, with all from IoU .1 on.
        bins: Size bins.
    """
    matcher = Matcher(tables, pairs, [FOREGROUND])
    whole = matcher.assign()
    errors = _sort_errors(tables, pairs, whole)
    return ErrorTypes(
        _count(tables, errors, whole, EVERY_AREA),
        {
            label: _count(tables, errors, matcher.assign(area), area)
            for label, area in zip(bins.labels, bins.areas, strict=True)
        },
    )


def _sort_errors(tables: Tables, pairs: Pairs, match: Assignment) -> _Errors:
    wrong = match.wrong[0]
    relevant = wrong[pairs.detection] & ~tables.objects.ignore[pairs.object]
    pairs = pairs.where(relevant)
    same_fit, same = _best(pairs.where(pairs.same_class), len(wrong))
    other_fit, other = _best(pairs.where(~pairs.same_class), len(wrong))
    tests = {
        "localisation": (same_fit >= BACKGROUND) & (same_fit < FOREGROUND),
        "classification": other_fit >= FOREGROUND,
        "duplicate": same_fit >= FOREGROUND,
        "background": np.maximum(same_fit, other_fit) <= BACKGROUND,
        "both": np.ones(len(wrong), bool),
    }
    kind = np.full(len(wrong), -1, np.int8)
    for name, test in tests.items():
        kind[wrong & (kind < 0) & test] = ERROR_KINDS.index(name)
    # A wrong detection can be about an object of its own class only by these two kinds.
    own = np.isin(kind, [ERROR_KINDS.index(name) for name in ("localisation", "duplicate")])
    about = np.where(own, same, other)
    about[(kind < 0) | (kind == ERROR_KINDS.index("background"))] = -1
    missed = missed_objects(match)
    missed[about[_mendable(kind)]] = False
    return _Errors(kind, about, missed)


def _best(pairs: Pairs, detections: int) -> tuple[Floats, IntArray]:
    """Best fit of each detection, 0 if none, and its object, -1 if none; each ``(D,)``."""
    fit, best = np.zeros(detections), np.full(detections, -1)
    order = np.lexsort((-pairs.object, pairs.fit))  # what is written last stays
    fit[pairs.detection[order]] = pairs.fit[order]
    best[pairs.detection[order]] = pairs.object[order]
    return fit, best


def _count(
    tables: Tables, errors: _Errors, match: Assignment, area: tuple[float, float]
) -> ErrorCounts:
    """Errors of one range of sizes, whose matching is `match`."""
    objects = objects_per_class(tables, match.counted)
    label, right, wrong = tables.detected.label, match.right[0], match.wrong[0]
    base = _ap(label, right, wrong, objects, objects > 0)
    here = np.append(match.counted, False)[errors.about]  # -1: about no object
    counts, gains = {}, {}
    for number, kind in enumerate(ERROR_KINDS):
        left = objects
        if kind == "missed":
            lost = errors.missed & match.counted
            counts[kind] = int(lost.sum())
            left = objects - objects_per_class(tables, lost)
            mended = label, right, wrong
        else:
            place = within(tables.detected.area, area) if kind == "background" else here
            wanted = (errors.kind == number) & place
            counts[kind] = int(wanted.sum())
            mended = _mend(tables, errors, match, np.flatnonzero(wanted & ~right), kind)
        gains[kind] = _ap(*mended, left, objects > 0) - base
    return ErrorCounts(base, counts, gains)


def _mend(
    tables: Tables, errors: _Errors, match: Assignment, rows: IntArray, kind: str
) -> tuple[IntArray, BoolArray, BoolArray]:
    """Class, right and wrong of all detections once those of `rows` are mended."""
    label, right, wrong = tables.detected.label, match.right[0].copy(), match.wrong[0].copy()
    wrong[rows] = False
    if kind not in ("classification", "localisation"):
        return label, right, wrong
    best = rows[np.isin(rows, _best_for_missed(tables, errors, match))]
    right[best] = True
    if kind == "localisation":
        return label, right, wrong
    # Into the class of the object, to the place that the score gives it there.
    label = label.copy()
    label[best] = tables.objects.label[errors.about[best]]
    counts = np.flatnonzero(right | wrong)
    counts = counts[np.lexsort((-tables.detected.score[counts], label[counts]))]
    return label[counts], right[counts], wrong[counts]


def _best_for_missed(tables: Tables, errors: _Errors, match: Assignment) -> IntArray:
    """For each object not found the best detection whose class or place alone is wrong."""
    missing = np.append(missed_objects(match), False)[errors.about]
    rows = np.flatnonzero(_mendable(errors.kind) & missing & ~match.right[0])
    about = errors.about[rows]
    order = np.lexsort((rows, -tables.detected.score[rows], about))
    best: IntArray = rows[order[np.diff(about[order], prepend=-1) != 0]]
    return best


def _mendable(kind: NDArray[np.int8]) -> BoolArray:
    """Which errors would find an object if they were mended: the first two kinds."""
    return np.logical_and(kind >= 0, kind <= ERROR_KINDS.index("localisation"))


def _ap(
    label: IntArray, right: BoolArray, wrong: BoolArray, objects: IntArray, present: BoolArray
) -> float:
    """Mean over the classes present; a class with no objects left has 0, as in TIDE."""
    if not present.any():
        return float("nan")
    curves = precision_curves(label, right, wrong, objects)[present]
    return float(np.nan_to_num(curves).mean())
