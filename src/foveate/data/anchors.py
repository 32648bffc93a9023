"""Anchors fitted to the data: widths and heights that labelled boxes resemble most.

Boxes are compared as if they had one centre, by 1 - IoU: a distance that a large box does not
dominate [S: darknet; Redmon 2017]. `kmeans` takes means (YOLO), `kmedoids` takes boxes that exist
(Finding Tiny Faces: Hu 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from foveate.errors import UsageError

Floats = NDArray[np.float64]

YOLOV3_ANCHORS: Floats = np.array(
    [
        [10, 13],
        [16, 30],
        [33, 23],
        [30, 61],
        [62, 45],
        [59, 119],
        [116, 90],
        [156, 198],
        [373, 326],
    ],
    np.float64,
)
"""Widths and heights fitted to COCO at 416 px [S: darknet yolov3.cfg]: what people start from."""

RATIO = 4.0
"""An anchor reaches a box if no side of the two differs by more than this factor [2: METHODS 5]."""

_MOST_FITTED = 20_000
_MOST_COMPARED = 2_000
_STARTS = 3
_MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True, eq=False)
class AnchorFit:
    """How well anchors suit boxes.

    Attributes:
        anchors: ``(K, 2)`` width and height, network pixels, smallest area first.
        mean_iou: Of each box with the anchor most like it, averaged, in ``[0, 1]``.
        recall: Best possible: share of the boxes that some anchor reaches (`RATIO`).
    """

    anchors: Floats
    mean_iou: float
    recall: float


def centred_iou(sizes_a: Floats, sizes_b: Floats) -> Floats:
    """Intersection over union of boxes laid on one centre, pairwise.

    Args:
        sizes_a: ``(A, 2)`` width and height.
        sizes_b: ``(B, 2)``.

    Returns:
        ``(A, B)`` in ``[0, 1]``; 0 where either is empty.
    """
    common = np.minimum(sizes_a[:, None, 0], sizes_b[None, :, 0])  # (A, B)
    common *= np.minimum(sizes_a[:, None, 1], sizes_b[None, :, 1])
    both = sizes_a.prod(axis=1)[:, None] + sizes_b.prod(axis=1)[None] - common
    iou: Floats = np.divide(common, both, out=np.zeros_like(common), where=both > 0)
    return iou


def judge_anchors(sizes: Floats, anchors: Floats) -> AnchorFit:
    """How well given anchors suit boxes.

    Args:
        sizes: ``(N, 2)`` width and height of the boxes, network pixels; at least one.
        anchors: ``(K, 2)``.
    """
    best, reached = np.zeros(len(sizes)), np.zeros(len(sizes), bool)
    for width, height in anchors:  # few anchors: each is compared with all boxes at once
        common = np.minimum(sizes[:, 0], width) * np.minimum(sizes[:, 1], height)
        best = np.maximum(best, common / (sizes.prod(axis=1) + width * height - common))
        ratio = sizes / (width, height)
        reached |= np.maximum(ratio, 1 / np.maximum(ratio, 1e-9)).max(axis=1) <= RATIO
    order = np.argsort(anchors.prod(axis=1), kind="stable")
    return AnchorFit(anchors[order], float(best.mean()), float(reached.mean()))


def fit_anchors(sizes: Floats, count: int = 9, method: str = "kmeans", seed: int = 0) -> AnchorFit:
    """Fit anchors to boxes.

    Args:
        sizes: ``(N, 2)`` width and height of the boxes, network pixels.
        count: Anchors wanted; fewer come back where there are fewer different boxes.
        method: Key of `ANCHOR_FITS`.
        seed: Of the start; a large set is fitted on a sample of it and judged whole.

    Raises:
        UsageError: If there is no box with a width and a height, `count` is below 1, or the
            method is unknown.
    """
    if method not in ANCHOR_FITS:
        raise UsageError(f"anchors: expected one of {', '.join(ANCHOR_FITS)}, got {method!r}")
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    sizes = sizes[(sizes > 0).all(axis=1) & np.isfinite(sizes).all(axis=1)]
    if not len(sizes) or count < 1:
        raise UsageError("anchors: expected at least one box with a width and a height, and one "
                         f"anchor; got {len(sizes)} boxes and {count} anchors")  # fmt: skip
    rng = np.random.default_rng(seed)
    distinct = np.unique(sizes, axis=0)
    if len(distinct) <= count:
        return judge_anchors(sizes, distinct)
    fits = [judge_anchors(sizes, ANCHOR_FITS[method](sizes, count, rng)) for _ in range(_STARTS)]
    return max(fits, key=lambda fit: fit.mean_iou)


def kmeans(sizes: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Centres of `count` clusters, ``(count, 2)``; the mean of each cluster's widths, heights."""
    sizes = _sample(sizes, _MOST_FITTED, rng)
    centres = sizes[_spread_out(sizes, count, rng)]
    owner = np.full(len(sizes), -1)
    for _ in range(_MOST_ROUNDS):
        nearest = centred_iou(sizes, centres).argmax(axis=1)
        if (nearest == owner).all():
            break
        owner = nearest
        members = np.maximum(np.bincount(owner, minlength=count), 1)
        means = [np.bincount(owner, side, minlength=count) / members for side in sizes.T]
        empty = np.bincount(owner, minlength=count) == 0
        centres = np.where(empty[:, None], centres, np.stack(means, axis=1))
    return centres


def kmedoids(sizes: Floats, count: int, rng: np.random.Generator) -> Floats:
    """`count` of the boxes themselves, ``(count, 2)``: each the most central of its cluster."""
    sizes = _sample(sizes, _MOST_COMPARED, rng)
    far = 1 - centred_iou(sizes, sizes)  # (N, N)
    medoids = _spread_out(sizes, count, rng)
    for _ in range(_MOST_ROUNDS):
        owner = far[:, medoids].argmin(axis=1)
        better = medoids.copy()
        for cluster in range(count):
            members = np.flatnonzero(owner == cluster)
            if len(members):
                better[cluster] = members[far[np.ix_(members, members)].sum(axis=1).argmin()]
        if (better == medoids).all():
            break
        medoids = better
    return sizes[medoids]


ANCHOR_FITS: MappingProxyType[str, Callable[[Floats, int, np.random.Generator], Floats]] = (
    MappingProxyType({"kmeans": kmeans, "kmedoids": kmedoids})
)
"""Every way to fit anchors by its name."""


def _sample(sizes: Floats, most: int, rng: np.random.Generator) -> Floats:
    return sizes if len(sizes) <= most else sizes[rng.choice(len(sizes), most, replace=False)]


def _spread_out(sizes: Floats, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows to start from, far from each other: k-means++ (Arthur 2007), with 1 - IoU."""
    rows = [int(rng.integers(len(sizes)))]
    far = 1 - centred_iou(sizes, sizes[rows])[:, 0]
    while len(rows) < count:
        weight = far**2
        total = weight.sum()
        row = int(rng.choice(len(sizes), p=weight / total if total > 0 else None))
        rows.append(row)
        far = np.minimum(far, 1 - centred_iou(sizes, sizes[row][None])[:, 0])
    return np.array(rows, np.int64)
