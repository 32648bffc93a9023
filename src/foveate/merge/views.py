"""Are two boxes from different tiles views of one object?

Neither tile need have seen all of it. What can be compared is what both could see: the part of each
box that lies in the *zone*, the region that the two tiles share.

Shapes: K = pairs; functions compare row k with row k.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from foveate.structures import BoolArray, FloatArray
from foveate.structures.box_index import BoxIndex
from foveate.structures.boxes import paired_iou

Agreement: TypeAlias = tuple[BoolArray, FloatArray]
"""Which pairs agree ``(K,)``, and by how many pixels their sides miss each other ``(K,)``."""

SLACK = 2.0
"""Pixels by which detectors miss a tile's edge, or a side of what is cut off by it.

A part three pixels wide, drawn a pixel off on either side, has an IoU of a half at best: no ratio
can be asked of slivers. What keeps two objects apart that reach across one edge is that they differ
*along* it, where no such allowance is made.
"""

EDGE_RATIO = 0.1
"""The same as part of a box's side, for large boxes: three deviations, where one is 3 %."""

MEETING = 0.75
"""Least 1-D IoU of extents along a seam between tiles that do not overlap.

There, nothing else tells two parts of one object from two objects that touch at the seam.
"""


def edge_tolerance(boxes: FloatArray) -> FloatArray:
    """How near to a tile edge counts as touching it, along x and along y, ``(N, 2)`` pixels.

    Rather too near than too far: a whole box presumed cut still finds its twins, while a part
    taken for a whole object stays in the result.
    """
    size: FloatArray = boxes[:, 2:] - boxes[:, :2]
    tolerance: FloatArray = np.maximum(EDGE_RATIO * size, np.float32(SLACK))
    return tolerance


def clip_paired(boxes: FloatArray, zones: FloatArray) -> FloatArray:
    """Cut boxes to zones, ``(K, 4)``; inverted, by the width of the gap, where they do not meet."""
    low = np.maximum(boxes[:, :2], zones[:, :2])
    return np.concatenate([low, np.minimum(boxes[:, 2:], zones[:, 2:])], axis=1)


def line_iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """IoU of extents along x and along y, ``(K, 2)``; 0 where both are empty."""
    low_a, high_a, low_b, high_b = boxes_a[:, :2], boxes_a[:, 2:], boxes_b[:, :2], boxes_b[:, 2:]
    shared = np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0)
    spanned = np.maximum(high_a, high_b) - np.minimum(low_a, low_b)
    iou: FloatArray = np.divide(shared, spanned, out=np.zeros_like(shared), where=spanned > 0)
    return iou


def explains(
    boxes: FloatArray, parts: FloatArray, tiles: FloatArray, cut_axes: BoolArray, threshold: float
) -> Agreement:
    """Would the tile that saw the part have seen just that, had it looked at the box's object?

    Args:
        boxes: ``(K, 4)`` boxes thought to be whole, xyxy pixels.
        parts: ``(K, 4)`` cut boxes.
        tiles: ``(K, 4)`` the regions that the parts come from.
        cut_axes: ``(K, 2)`` whether the part is cut along x, along y.
        threshold: Least IoU within the tile.
    """
    slack = np.maximum(edge_tolerance(boxes), edge_tolerance(parts))
    agree, miss = _compare(boxes, parts, tiles, cut_axes, slack, threshold)
    return agree | _tilted(boxes, parts, tiles), miss


def meet(
    parts_a: FloatArray,
    parts_b: FloatArray,
    zones: FloatArray,
    cut_axes: BoolArray,
    threshold: float,
) -> Agreement:
    """Do two parts look alike in the zone that both tiles saw?

    Args:
        parts_a: ``(K, 4)`` cut boxes, xyxy pixels.
        parts_b: ``(K, 4)`` cut boxes of other tiles.
        zones: ``(K, 4)``; inverted where the tiles have a gap between them.
        cut_axes: ``(K, 2)`` whether both are cut along x, along y.
        threshold: Least IoU within the zone.
    """
    slack = np.full((len(zones), 2), SLACK, np.float32)
    return _compare(parts_a, parts_b, zones, cut_axes, slack, threshold)


def _compare(
    boxes_a: FloatArray,
    boxes_b: FloatArray,
    zones: FloatArray,
    cut_axes: BoolArray,
    slack: FloatArray,
    threshold: float,
) -> Agreement:
    """By IoU in the zone; along axes that are cut, sides within `slack` count as equal."""
    seen_a, seen_b = clip_paired(boxes_a, zones), clip_paired(boxes_b, zones)
    off = np.abs(seen_a - seen_b)  # (K, 4)
    near = np.maximum(off[:, :2], off[:, 2:]) <= slack
    line = np.where(near & cut_axes, np.float32(1), line_iou(seen_a, seen_b))
    agree = (paired_iou(seen_a, seen_b) >= threshold) | (line[:, 0] * line[:, 1] >= threshold)
    return agree, off.sum(axis=1)


def _tilted(boxes: FloatArray, parts: FloatArray, tiles: FloatArray) -> BoolArray:
    """Whether a part shares three sides with what its tile saw of the box, and lies inside, (K,).

    A tilted object fills its box along a diagonal only, so the box of its part is smaller than the
    part of its box. Nothing is lost by this: what lies inside a whole box was in full view of the
    tile that saw the box whole, and if it is an object of its own, is there as a whole box too.
    """
    seen = clip_paired(boxes, tiles)
    inside = np.concatenate([parts[:, :2] - seen[:, :2], seen[:, 2:] - parts[:, 2:]], axis=1)
    allowed = np.tile(edge_tolerance(seen), 2)
    tilted: BoolArray = (inside >= -allowed).all(axis=1) & ((inside <= allowed).sum(axis=1) >= 3)
    return tilted


def tells_enough(
    parts_a: FloatArray,
    parts_b: FloatArray,
    zones: FloatArray,
    tiles: BoxIndex,
    threshold: float,
) -> BoolArray:
    """Of parts that look alike in a zone: does the zone tell enough to join them?, ``(K,)``.

    Not where both fill it: any two objects that cover the corner shared by diagonal tiles do. Then
    they must have one extent in common, as parts cut by one edge have. And it tells little where it
    is hardly more than a line: then the extents along it must match closely, and no third tile may
    have looked across it, for that one's own part tells whether the object goes on.

    Args:
        parts_a: ``(K, 4)`` cut boxes, xyxy pixels.
        parts_b: ``(K, 4)`` cut boxes of other tiles.
        zones: ``(K, 4)`` what both tiles saw.
        tiles: The regions of all tiles.
        threshold: Least 1-D IoU of the extent in common.
    """
    seen_a, seen_b = clip_paired(parts_a, zones), clip_paired(parts_b, zones)
    off_a, off_b = np.abs(seen_a - zones), np.abs(seen_b - zones)
    fill = (np.maximum(off_a, off_b) <= SLACK).all(axis=1)
    alike = line_iou(parts_a, parts_b).max(axis=1) >= threshold

    off = np.abs(seen_a - seen_b)
    close = np.maximum(off[:, :2], off[:, 2:]) <= SLACK
    match = close | (line_iou(seen_a, seen_b) >= MEETING)  # (K, 2)
    thin = zones[:, 2:] - zones[:, :2] <= 2 * SLACK  # (K, 2)
    along = (match | ~thin[:, ::-1]).all(axis=1)

    enough: BoolArray = along & (alike | ~fill)
    enough[enough] = ~_seen_across(parts_a[enough], parts_b[enough], thin[enough], tiles)
    return enough


def _seen_across(
    parts_a: FloatArray, parts_b: FloatArray, thin: BoolArray, tiles: BoxIndex
) -> BoolArray:
    """Whether a tile holds the place where two parts meet, and some of either side, ``(K,)``."""
    seen = np.zeros(len(thin), bool)
    rows = np.flatnonzero(thin.any(axis=1))
    meeting = clip_paired(parts_a[rows], parts_b[rows])
    centre = (meeting[:, :2] + meeting[:, 2:]) / 2
    half = np.where(thin[rows], np.float32(2 * SLACK), np.float32(0.5))
    spots = np.concatenate([centre - half, centre + half], axis=1)
    for i, j in tiles.query(spots):
        spot, tile = np.take(spots, i, axis=0), np.take(tiles.boxes, j, axis=0)
        inside = (tile[:, :2] <= spot[:, :2]) & (spot[:, 2:] <= tile[:, 2:])
        seen[rows[i[inside.all(axis=1)]]] = True
    return seen
