"""What is wrong with the labels of a data set; of its files: `picture_files`.

The thresholds are rules of thumb for small objects, not laws: each finding says what it counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hotcoco import COCO
from numpy.typing import NDArray

from foveate.inspection.findings import MOST_EXAMPLES, Finding, Severity, by_severity, plural
from foveate.structures import BoolArray, Dataset, IntArray
from foveate.structures.box_index import BoxIndex
from foveate.structures.boxes import paired_iou

SHORTEST_SIDE = 2.0
"""Pixels; a box thinner than this is a tiny one."""
TWICE_IOU = 0.9
"""Two boxes of one class that overlap more are one object labelled twice."""
WHOLE_PICTURE = 0.95
"""Share of the picture from which a box covers nearly all of it."""
EXTREME_ASPECT = 20.0
FEW_OBJECTS = 10
"""A class with fewer is neither learned nor measured."""
ONE_SIZE_SHARE = 0.95
"""Of the boxes of a class: boxes at the edge of a picture are cut, wherever they were clicked."""

_ROUNDING = 1.0  # pixels: files keep whole numbers, and differ in whether pixels start at 0 or 1
_OURS = {
    "bbox_out_of_bounds",
    "degenerate_bbox",
    "extreme_aspect_ratio",
    "low_instance_category",
    "near_duplicate",
    "near_duplicate_check_skipped",  # of crowded pictures, which ours is made for
    "zero_instance_category",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Every box of a data set. N = boxes, S = pictures, K = classes.

    Attributes:
        dataset: The labels.
        picture: ``(N,)`` row of the picture.
        within: ``(N,)`` row of the box in its picture.
        labels: ``(N,)``.
        boxes: ``(N, 4)`` float64 xyxy pixels.
        ignore: ``(N,)``.
        limits: ``(N, 2)`` width and height of the picture, pixels.
    """

    dataset: Dataset
    picture: IntArray
    within: IntArray
    labels: IntArray
    boxes: NDArray[np.float64]
    ignore: BoolArray
    limits: NDArray[np.float64]

    @property
    def sides(self) -> NDArray[np.float64]:
        """Width and height of each box, ``(N, 2)`` pixels."""
        sides: NDArray[np.float64] = self.boxes[:, 2:] - self.boxes[:, :2]
        return sides

    def finding(
        self, kind: str, severity: Severity, concerned: BoolArray, what: str
    ) -> list[Finding]:
        """One finding about the boxes ``(N,)`` concerned, none if there are none."""
        rows = np.flatnonzero(concerned)
        if not len(rows):
            return []
        named = tuple(self.name(int(row)) for row in rows[:MOST_EXAMPLES])
        return [
            Finding(kind, severity, len(rows), f"{plural(len(rows), 'box', 'boxes')} {what}", named)
        ]

    def name(self, row: int) -> str:
        """A box as an example: picture, number in it, class, and left, top, width, height."""
        sample = self.dataset.samples[self.picture[row]]
        x, y = self.boxes[row, :2]
        width, height = self.sides[row]
        return (
            f"{sample.path.name}: box {self.within[row] + 1}, "
            f"{self.dataset.class_names[self.labels[row]]}, "
            f"{width:g} x {height:g} px at {x:g}, {y:g}"
        )


def check_labels(dataset: Dataset) -> list[Finding]:
    """Look for labels that harm training or scores.

    Reported are boxes that are empty, outside their picture, sticking out of it, tiny, extremely
    long, as large as the picture, or there twice; pictures without labels; classes without or
    with few objects, of one name, or whose boxes are all of one size; and whatever else hotcoco's
    health check reports. Ignore regions count only where they are empty or outside, which is what
    may have made them so.

    Args:
        dataset: Its pictures need not exist.

    Returns:
        Errors first, then warnings, then notes; empty if nothing is wrong.
    """
    if not dataset.samples:
        return [Finding("no-pictures", "error", 0, f"{dataset.name} has no pictures")]
    table = _table(dataset)
    findings = [
        *_class_findings(table),
        *_picture_findings(table),
        *_box_findings(table),
        *_twice_findings(table),
        *_other_findings(table),
    ]
    return by_severity(findings)


def _table(dataset: Dataset) -> _Table:
    parts = [sample.annotations for sample in dataset.samples]
    counts = np.array([len(part) for part in parts], np.int64)
    picture = np.repeat(np.arange(len(parts)), counts)
    sizes = np.array([(sample.width, sample.height) for sample in dataset.samples], np.float64)
    return _Table(
        dataset,
        picture,
        np.arange(len(picture)) - np.repeat(np.cumsum(counts) - counts, counts),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.boxes for part in parts]).astype(np.float64),
        np.concatenate([part.ignore for part in parts]),
        sizes[picture],
    )


def _box_findings(table: _Table) -> list[Finding]:
    boxes, sides, limits = table.boxes, table.sides, table.limits
    counted = np.logical_not(table.ignore)
    empty = (sides[:, 0] <= 0) | (sides[:, 1] <= 0)
    seen = np.minimum(boxes[:, 2:], limits) - np.maximum(boxes[:, :2], 0)  # (N, 2)
    outside = np.logical_not(empty) & ((seen[:, 0] <= 0) | (seen[:, 1] <= 0))
    beyond = np.maximum(-boxes[:, :2], boxes[:, 2:] - limits).max(axis=1, initial=-np.inf)
    short, long = sides.min(axis=1, initial=np.inf), sides.max(axis=1, initial=0)
    share = np.maximum(seen, 0).prod(axis=1) / limits.prod(axis=1)
    sound = counted & np.logical_not(empty | outside)
    return [
        *table.finding(
            "empty-box",
            "warning",
            empty,
            "without width or height, therefore ignored: delete or mend",
        ),
        *table.finding(
            "outside-box",
            "warning",
            outside,
            "wholly outside the picture, therefore ignored: check the order of x and y",
        ),
        *table.finding(
            "box-sticks-out",
            "note",
            sound & (beyond > _ROUNDING),
            "sticking out of the picture by over a pixel: cut to it, if that is not meant",
        ),
        *table.finding(
            "tiny-box",
            "note",
            sound & (short < SHORTEST_SIDE),
            f"with a side under {SHORTEST_SIDE:g} px: delete slips of the mouse, "
            "or mark what nobody can see as ignored",
        ),
        *table.finding(
            "whole-picture-box",
            "warning",
            sound & (share >= WHOLE_PICTURE),
            f"over {WHOLE_PICTURE:.0%} of the picture or more: a label of it, and no object",
        ),
        *table.finding(
            "extreme-aspect",
            "note",
            sound & (long > EXTREME_ASPECT * short),
            f"over {EXTREME_ASPECT:g} times as long as wide: check the corners",
        ),
    ]


def _twice_findings(table: _Table) -> list[Finding]:
    """Boxes of one class in one picture that lie on each other."""
    rows = np.flatnonzero(np.logical_not(table.ignore) & (table.sides > 0).all(axis=1))
    boxes = table.boxes[rows]
    key = table.picture[rows] * len(table.dataset.class_names) + table.labels[rows]
    # Groups numbered without gaps keep the index's cells small.
    _, groups = np.unique(key, return_inverse=True)
    same, near = np.zeros(len(table.boxes), bool), np.zeros(len(table.boxes), bool)
    for i, j in BoxIndex(boxes.astype(np.float32), groups).pairs():
        first, second = np.take(boxes, i, axis=0), np.take(boxes, j, axis=0)
        exact = (first == second).all(axis=1)
        overlap = paired_iou(first.astype(np.float32), second.astype(np.float32)) > TWICE_IOU
        same[rows[j[exact]]] = True
        near[rows[j[overlap & np.logical_not(exact)]]] = True
    return [
        *table.finding(
            "duplicate-box", "warning", same, "that repeat another exactly: delete them"
        ),
        *table.finding(
            "near-duplicate-box",
            "warning",
            near & np.logical_not(same),
            f"that overlap another of the class by IoU over {TWICE_IOU}: one object labelled "
            "twice, of which one detection will always be missing",
        ),
    ]


def _picture_findings(table: _Table) -> list[Finding]:
    dataset = table.dataset
    counts = np.bincount(table.picture, minlength=len(dataset))
    empty = np.flatnonzero(counts == 0)
    if not len(empty) or len(empty) == len(dataset):  # no labels at all is an error of its own
        return []
    return [
        Finding(
            "picture-without-labels",
            "note",
            len(empty),
            f"{len(empty):,} of {plural(len(dataset), 'picture')} without labels: right if nothing "
            "is in them, harmful if they were left undone",
            tuple(dataset.samples[row].path.name for row in empty[:MOST_EXAMPLES]),
        )
    ]


def _class_findings(table: _Table) -> list[Finding]:
    names = table.dataset.class_names
    counted = np.logical_not(table.ignore)
    counts = np.bincount(table.labels[counted], minlength=len(names))  # (K,)
    if not counts.sum():
        what = "no objects" if not len(table.labels) else "no objects but ignored ones"
        return [Finding("no-objects", "error", 0, f"{table.dataset.name} has {what}")]
    few = (counts > 0) & (counts < FEW_OBJECTS)
    again = [name for name, times in Counter(names).items() if times > 1]
    findings = [
        _about_classes(
            "class-without-objects",
            "warning",
            [names[k] for k in np.flatnonzero(counts == 0)],
            "without objects: nothing is learned of them, and they have no score",
        ),
        _about_classes(
            "class-with-few-objects",
            "note",
            [f"{names[k]} ({counts[k]})" for k in np.flatnonzero(few)],
            f"with fewer than {FEW_OBJECTS} objects: their scores are chance; label more or join",
        ),
        _about_classes(
            "class-name-twice",
            "warning",
            again,
            "with the name of another: join them, or tell them apart by name",
        ),
        _about_classes(
            "one-size-class",
            "warning",
            _one_size_classes(table, np.flatnonzero(counted)),
            "whose boxes are all of one size: clicks with a box put around them tell where "
            "objects are, not how large; do not read sizes or strict AP from them",
        ),
    ]
    return [finding for finding in findings if finding.count]


def _about_classes(kind: str, severity: Severity, named: Sequence[str], what: str) -> Finding:
    message = f"{plural(len(named), 'class', 'classes')} {what}"
    return Finding(kind, severity, len(named), message, tuple(named[:MOST_EXAMPLES]))


def _one_size_classes(table: _Table, rows: IntArray) -> list[str]:
    """Classes with enough boxes, nearly all of which are as large as the middle one."""
    names, labels, sides = table.dataset.class_names, table.labels[rows], table.sides[rows]
    counts = np.bincount(labels, minlength=len(names))
    middle = np.minimum(np.cumsum(counts) - counts + counts // 2, len(rows) - 1)  # (K,)
    usual = np.stack(
        [sides[np.lexsort((sides[:, axis], labels))[middle], axis] for axis in (0, 1)], axis=1
    )
    alike = (np.abs(sides - usual[labels]) < 0.5).all(axis=1)
    share = np.bincount(labels[alike], minlength=len(names)) / np.maximum(counts, 1)
    found = np.flatnonzero((counts >= FEW_OBJECTS) & (share >= ONE_SIZE_SHARE))
    return [f"{names[k]} ({usual[k, 0]:g} x {usual[k, 1]:g} px)" for k in found]


def _other_findings(table: _Table) -> list[Finding]:
    """What hotcoco's health check reports and nothing above does."""
    dataset = table.dataset
    boxes_xywh = table.boxes.copy()
    boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
    checked = COCO.from_arrays(
        [{"id": s.image_id, "width": s.width, "height": s.height} for s in dataset.samples],
        [
            {"id": number, "name": name}
            for number, name in zip(dataset.category_ids, dataset.class_names, strict=True)
        ],
        np.array([sample.image_id for sample in dataset.samples], np.int64)[table.picture],
        np.array(dataset.category_ids, np.int64)[table.labels],
        boxes_xywh,
        area=boxes_xywh[:, 2] * boxes_xywh[:, 3],
        iscrowd=table.ignore,
    ).healthcheck()
    severities: tuple[tuple[str, Severity], ...] = (("errors", "error"), ("warnings", "warning"))
    return [
        Finding(
            row["code"].replace("_", "-"),
            severity,
            len(row["affected_ids"]),
            row["message"].rstrip("."),
            tuple(f"id {number}" for number in row["affected_ids"][:MOST_EXAMPLES]),
        )
        for key, severity in severities
        for row in checked[key]
        if row["code"] not in _OURS
    ]
