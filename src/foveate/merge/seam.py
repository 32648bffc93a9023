"""Seam-aware merge: knows where tiles end, so that a part is not taken for an object.

1. In one tile, plain suppression: networks see one object more than once.
2. A box that touches an inner tile edge is presumed cut. All others are whole, and of whole boxes
   that overlap the best stays.
3. A cut box goes if a whole box from elsewhere, cut by the same tile, would look like it. That is
   decided on what that tile could see; so a sliver goes whatever its score, and a small object
   inside a large one stays.
4. Cut boxes that no whole box explains are joined with those from other tiles that look like them
   in the zone that both tiles saw, and those with the next, however many tiles the object spans.
5. Joined boxes are boxes like others: they explain parts left over, and where two boxes still
   overlap the best stays.

With a perfect detector this returns exactly the objects, touching ones too, from an overlap of
four pixels on. What it cannot tell: with less overlap, two objects that touch right at a seam and
have the same extent along it look like one that was cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from foveate.merge.config import MergeConfig
from foveate.merge.greedy import greedy_kept
from foveate.merge.ranked import Ranked, best_first, groups_of, rank
from foveate.merge.views import (
    SLACK,
    clip_paired,
    edge_tolerance,
    explains,
    meet,
    tells_enough,
)
from foveate.structures import BoolArray, Detections, FloatArray, IntArray, TiledDetections
from foveate.structures.box_index import BoxIndex, Pairs
from foveate.structures.boxes import paired_iou

REACH = np.array([-1, -1, 1, 1], np.float32) * np.float32(SLACK + 1)
"""Parts that end a little short of a seam still meet across it."""

Matches: TypeAlias = tuple[IntArray, IntArray, FloatArray]
"""Rows of the one, rows of the other, and by how many pixels they miss each other, ``(K,)``."""

_NO_MATCH: Matches = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


def merge_seam(tiled: TiledDetections, config: MergeConfig) -> Detections:
    """Merge, telling cut boxes from whole ones by the edges of their tiles.

    Args:
        tiled: What the tiles gave.
        config: `threshold` and `metric` say when whole boxes are one object; parts are always
            compared by IoU, at the same threshold.

    Returns:
        One box an object, in canonical order. A joined box covers its parts and has the best one's
        score and label. A whole box takes the score of a part that it explains if that is higher
        and the part shows most of it (IoU of `threshold` or more: where plain suppression would
        have kept the part), so that no object is surer in one tile than in the result.
    """
    return strongest(seam_boxes(rank(tiled, config), config).detections, config)


@dataclass(frozen=True, slots=True, eq=False)
class SeamBoxes:
    """Whole boxes, joined parts and lone parts, before the best of those that overlap are chosen.

    F = their number.

    Attributes:
        detections: The boxes.
        rows: ``(F,)`` `Ranked.rows` of each; of joined parts, that of the best.
        joined: ``(F,)`` which are joined parts.
        lone: ``(L,)`` `Ranked.rows` of the parts that were not joined and that no whole box
            explains; those that a joined box explains are not among the boxes.
    """

    detections: Detections
    rows: IntArray
    joined: BoolArray
    lone: IntArray


def seam_boxes(ranked: Ranked, config: MergeConfig) -> SeamBoxes:
    """All of the merge but its last step."""
    wholes, parts = _sorted_out(ranked, config)
    seen_whole = wholes.detections
    if len(parts):
        part, box = _explained(parts, wholes.boxes, wholes.groups, wholes.tile_index, config)
        seen_whole = _raised(seen_whole, box, parts.views.detections[part], config.threshold)
        parts = parts[_others(len(parts), part)]
    joined, first, alone, left = _joined(parts, config)
    return SeamBoxes(
        Detections.concatenate([seen_whole, joined, alone.views.detections[left]]),
        np.concatenate([wholes.rows, first, alone.views.rows[left]]),
        np.repeat([False, True, False], [len(wholes), len(first), int(left.sum())]),
        alone.views.rows,
    )


def strongest(found: Detections, config: MergeConfig) -> Detections:
    """Of boxes that overlap the best, in canonical order."""
    found = found[best_first(found)]
    groups = groups_of(found.labels, config)
    return found[greedy_kept(found.boxes, groups, config.threshold, config.metric)]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Cut boxes, best first. P = their number.

    Attributes:
        views: The boxes and their tiles.
        cut_axes: ``(P, 2)`` whether cut along x, along y.
    """

    views: Ranked
    cut_axes: BoolArray

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.views)

    def __getitem__(self, index: BoolArray | IntArray) -> Parts:
        """Select by mask or by rising rows."""
        return Parts(self.views[index], self.cut_axes[index])


def _sorted_out(views: Ranked, config: MergeConfig) -> tuple[Ranked, Parts]:
    """Whole boxes, each once, and cut boxes, each once a tile."""
    how = config.threshold, config.metric
    in_tile = views.tile_index * (int(views.groups.max(initial=0)) + 1) + views.groups
    wholes, parts = told_apart(views[greedy_kept(views.boxes, in_tile, *how)])
    return wholes[greedy_kept(wholes.boxes, wholes.groups, *how)], parts


def told_apart(views: Ranked) -> tuple[Ranked, Parts]:
    """Whole boxes, and those that touch an inner edge of their tile."""
    sides = views.tiled.cut_sides(edge_tolerance(views.boxes))
    cut_axes = sides[:, :2] | sides[:, 2:]
    cut = cut_axes[:, 0] | cut_axes[:, 1]
    return views[~cut], Parts(views[cut], cut_axes[cut])


def explaining(
    parts: Parts, boxes: FloatArray, groups: IntArray, tiles: IntArray, config: MergeConfig
) -> Matches:
    """Which parts are views of which of `boxes`.

    Args:
        parts: P cut boxes.
        boxes: ``(B, 4)`` boxes that show more.
        groups: ``(B,)``.
        tiles: ``(B,)``: in its own tile a box explains nothing, for there the two were seen side by
            side. -1 for none.
        config: Least IoU of a part with what its tile could see of the box.

    Returns:
        Rows of `parts`, rows of `boxes`, and by how many pixels they miss each other.
    """
    views = parts.views
    blocks = [_NO_MATCH]
    for i, j in BoxIndex(boxes, groups).query(views.boxes + REACH, views.groups):
        apart = np.take(views.tile_index, i) != np.take(tiles, j)
        i, j = i[apart], j[apart]
        region = np.take(views.regions, np.take(views.tile_index, i), axis=0)
        box, part = np.take(boxes, j, axis=0), np.take(views.boxes, i, axis=0)
        agree, miss = explains(box, part, region, parts.cut_axes[i], config.threshold)
        blocks.append((i[agree], j[agree], miss[agree]))
    return _joined_blocks(blocks)


def _explained(
    parts: Parts, boxes: FloatArray, groups: IntArray, tiles: IntArray, config: MergeConfig
) -> Pairs:
    """Rows of `parts` that are views of one of `boxes`, each once, and the row that fits it best.

    The arguments are those of `explaining`.
    """
    i, j, miss = explaining(parts, boxes, groups, tiles, config)
    order = np.lexsort((j, miss, i))
    i, j = i[order], j[order]
    best = np.diff(i, prepend=-1) > 0
    return i[best], j[best]


def _raised(wholes: Detections, rows: IntArray, parts: Detections, threshold: float) -> Detections:
    """Give ``wholes[rows]`` the scores of the parts they explain, where those show most of them."""
    most = paired_iou(wholes.boxes[rows], parts.boxes) >= threshold
    scores = wholes.scores.copy()
    np.maximum.at(scores, rows[most], parts.scores[most])
    return Detections(wholes.boxes, scores, wholes.labels)


def _joined(parts: Parts, config: MergeConfig) -> tuple[Detections, IntArray, Parts, BoolArray]:
    """Join parts of one object.

    Returns:
        Joined boxes, the `Ranked.rows` of the best part of each, the parts that stay alone, and
        which of those no joined box explains.
    """
    found = parts.views.detections
    owner = connected(len(parts), *_meeting(parts, config.threshold))
    members = np.bincount(owner, minlength=len(parts))
    boxes = found.boxes.copy()
    np.minimum.at(boxes[:, :2], owner, found.boxes[:, :2])
    np.maximum.at(boxes[:, 2:], owner, found.boxes[:, 2:])
    first = np.flatnonzero(members > 1)
    joined = Detections(boxes[first], found.scores[first], found.labels[first])

    alone = parts[members[owner] == 1]
    groups, no_tile = parts.views.groups[first], np.full(len(first), -1)
    part, _ = _explained(alone, joined.boxes, groups, no_tile, config)
    return joined, parts.views.rows[first], alone, _others(len(alone), part)


def _meeting(parts: Parts, threshold: float) -> Pairs:
    """Pairs of parts of one object from two tiles, each the other's best match in its tile."""
    views = parts.views
    i, j, miss = alike(parts, threshold)
    mutual = _mutual(i, j, miss, views.tile_index)
    i, j = i[mutual], j[mutual]
    enough = tells_enough(*_side_by_side(views, i, j), BoxIndex(views.regions), threshold)
    return i[enough], j[enough]


def alike(parts: Parts, threshold: float) -> Matches:
    """Pairs of parts from two tiles that look alike in the zone that both tiles saw.

    Returns:
        Rows of `parts`, ``i < j``, and by how many pixels they miss each other.
    """
    views = parts.views
    blocks = [_NO_MATCH]
    for i, j in BoxIndex(views.boxes + REACH, views.groups).pairs():
        apart = np.take(views.tile_index, i) != np.take(views.tile_index, j)
        i, j = i[apart], j[apart]
        axes = parts.cut_axes[i] & parts.cut_axes[j]
        agree, miss = meet(*_side_by_side(views, i, j), axes, threshold)
        blocks.append((i[agree], j[agree], miss[agree]))
    return _joined_blocks(blocks)


def _side_by_side(
    views: Ranked, i: IntArray, j: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Boxes of rows i, boxes of rows j, and the zones that both tiles saw, ``(K, 4)`` each."""
    one, other = np.take(views.boxes, i, axis=0), np.take(views.boxes, j, axis=0)
    region_i = np.take(views.regions, np.take(views.tile_index, i), axis=0)
    region_j = np.take(views.regions, np.take(views.tile_index, j), axis=0)
    return one, other, clip_paired(region_i, region_j)


def _mutual(i: IntArray, j: IntArray, miss: FloatArray, tile_index: IntArray) -> BoolArray:
    """Which pairs are the best match of both: of i in j's tile and of j in i's, ``(K,)``.

    An object has one part in a tile. Either of two objects side by side can pass for the other's
    part, but not as well as the right one does.
    """
    one, other = np.concatenate([i, j]), np.concatenate([j, i])
    tile, pair = tile_index[other], np.tile(np.arange(len(i)), 2)
    order = np.lexsort((other, np.tile(miss, 2), tile, one))
    one, tile = one[order], tile[order]
    best = (np.diff(one, prepend=-1) > 0) | (np.diff(tile, prepend=-1) != 0)
    mutual: BoolArray = np.bincount(pair[order[best]], minlength=len(i)) == 2
    return mutual


def connected(count: int, i: IntArray, j: IntArray) -> IntArray:
    """Connected components of a graph.

    Args:
        count: Number of nodes.
        i: ``(E,)`` one end of each edge.
        j: ``(E,)`` the other.

    Returns:
        ``(count,)``: the lowest node that each one is connected with.
    """
    root = np.arange(count)
    while len(i):
        a, b = root[i], root[j]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while (root[root] != root).any():
            root = root[root]
        unsettled = root[i] != root[j]
        i, j = i[unsettled], j[unsettled]
    return root


def _joined_blocks(blocks: list[Matches]) -> Matches:
    i, j, miss = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return i, j, miss


def _others(count: int, rows: IntArray) -> BoolArray:
    """All rows but these, ``(count,)``."""
    others = np.ones(count, bool)
    others[rows] = False
    return others
