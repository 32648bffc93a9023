"""What of a seam-aware merge is final when no further tile shows anything above a front.

Two steps of that merge make boxes depend on others. *First*, which boxes are views of one object:
whole boxes that overlap, a part and the whole box that explains it, parts that look alike. All that
is decided between pairs, so components of such pairs are independent; those that can meet a further
tile stay open. *Then*, joined parts are new boxes, which explain lone parts and compete with what
they overlap. Of closed components they are known. Of an open one, whose parts may be joined in
other ways yet, they lie within the hull of the parts that look alike; and where one of those can
meet a further tile, anywhere below the highest of them.
"""

from __future__ import annotations

import numpy as np

from foveate.merge.config import MergeConfig
from foveate.merge.links import link, linked, spread
from foveate.merge.ranked import Ranked
from foveate.merge.seam import (
    REACH,
    Parts,
    SeamBoxes,
    alike,
    connected,
    explaining,
    seam_boxes,
    strongest,
    told_apart,
)
from foveate.structures import BoolArray, Detections, FloatArray, IntArray
from foveate.structures.box_index import BoxIndex

MARGIN = 8.0
"""Pixels below a box within which a tile can matter to it. Parts meet across a gap of two `REACH`,
6 pixels; whether a tile saw across the seam is asked within 7 pixels of them (`views`)."""


def settle_seam(ranked: Ranked, front: float, config: MergeConfig) -> tuple[Detections, BoolArray]:
    """Settle what can be.

    Args:
        ranked: All boxes that are not settled.
        front: Height at which the topmost of the tiles to come begins, picture pixels.
        config: As of `merge_seam`.

    Returns:
        Final boxes in canonical order, and ``(N,)`` which of `ranked` are held.
    """
    wholes, parts = told_apart(ranked)
    i, j, _ = explaining(parts, wholes.boxes, wholes.groups, wholes.tile_index, config)
    a, b, _ = alike(parts, config.threshold)
    rows = parts.views.rows
    owner = linked(ranked.boxes, ranked.groups, config.threshold, config.metric)
    owner = link(
        owner, np.concatenate([rows[i], rows[a]]), np.concatenate([wholes.rows[j], rows[b]])
    )

    near = ranked.boxes[:, 3] + MARGIN > front
    open_ = spread(owner, near)
    found = seam_boxes(ranked[~open_], config)
    chains = connected(len(parts), a, b)
    held = spread(
        _linked_later(owner, ranked, found, config),
        open_ | _in_reach(ranked, found, open_, *_open_chains(parts, chains, near, open_, front)),
    )
    return strongest(found.detections[~held[found.rows]], config), held


def _open_chains(
    parts: Parts, chains: IntArray, near: BoolArray, open_: BoolArray, front: float
) -> tuple[FloatArray, IntArray, float]:
    """Where parts that are not settled may yet be joined.

    Returns:
        Hulls of parts that look alike and that no further part can look like, ``(H, 4)``, their
        groups ``(H,)``, and the height below which parts may be joined with further ones.
    """
    boxes, rows = parts.views.boxes, parts.views.rows
    grows = spread(chains, near[rows])
    limit = min(front, float(boxes[grows, 1].min(initial=np.inf)))
    hulls = boxes.copy()
    np.minimum.at(hulls[:, :2], chains, boxes[:, :2])
    np.maximum.at(hulls[:, 2:], chains, boxes[:, 2:])
    several = np.bincount(chains, minlength=len(parts)) > 1
    closed = several & open_[rows] & ~grows
    return hulls[closed], parts.views.groups[closed], limit


def _in_reach(
    ranked: Ranked,
    found: SeamBoxes,
    open_: BoolArray,
    hulls: FloatArray,
    groups: IntArray,
    limit: float,
) -> BoolArray:
    """Rows of `ranked` whose boxes depend on what is open, or the other way round, ``(N,)``."""
    rows = np.concatenate([found.rows, found.lone])
    boxes = np.concatenate([found.detections.boxes, np.take(ranked.boxes, found.lone, axis=0)])
    reached = boxes[:, 3] + MARGIN > limit
    for _, i in BoxIndex(boxes + REACH, ranked.groups[rows]).query(hulls, groups):
        reached[i] = True
    # Open parts may be left over, for a joined box to explain; and open boxes compete with it.
    joined = np.flatnonzero(found.joined)
    open_boxes = ranked[open_]
    index = BoxIndex(boxes[joined] + REACH, ranked.groups[rows[joined]])
    for _, i in index.query(open_boxes.boxes, open_boxes.groups):
        reached[joined[i]] = True
    marked = np.zeros(len(ranked), bool)
    marked[rows[reached]] = True
    return marked


def _linked_later(
    owner: IntArray, ranked: Ranked, found: SeamBoxes, config: MergeConfig
) -> IntArray:
    """Components once it is known which boxes were joined: of what these explain or overlap."""
    boxes, groups = found.detections.boxes, ranked.groups[found.rows]
    others = linked(boxes, groups, config.threshold, config.metric)
    owner = link(owner, found.rows, found.rows[others])
    joined = np.flatnonzero(found.joined)
    index = BoxIndex(boxes[joined] + REACH, groups[joined])
    for i, j in index.query(np.take(ranked.boxes, found.lone, axis=0), ranked.groups[found.lone]):
        owner = link(owner, found.lone[i], found.rows[joined[j]])
    return owner
