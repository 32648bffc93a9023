"""Weighted box fusion: the boxes of one object are averaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foveate.merge.config import MergeConfig
from foveate.merge.greedy import greedy_kept, paired_overlap
from foveate.merge.ranked import Ranked, best_first, rank
from foveate.structures import Detections, FloatArray, IntArray, TiledDetections
from foveate.structures.box_index import BoxIndex
from foveate.structures.boxes import box_area, paired_intersection


def merge_wbf(tiled: TiledDetections, config: MergeConfig) -> Detections:
    """Average the boxes of one object, weighted by score.

    After Solovyev et al. 2019 [S], with two changes. A cluster gathers round its best
    box, not round an average that moves as boxes come, so that it does not depend on their order.
    And where the paper divides by the number of models, here the *tiles* that could have found the
    object count, those that show `threshold` or more of it: its score is the mean score of its
    boxes times the share of those tiles that did find it.

    Args:
        tiled: What the tiles gave.
        config: Threshold, metric, class-aware or not.

    Returns:
        Averaged boxes with the label of the best in their cluster, in canonical order.
    """
    ranked = rank(tiled, config)
    found = ranked.detections
    seed = _seeds(ranked, config)
    seeds = np.flatnonzero(seed == np.arange(len(seed)))
    cluster = np.searchsorted(seeds, seed)
    weight = np.maximum(found.scores.astype(np.float64), np.finfo(np.float32).tiny)
    total = np.bincount(cluster, weight, len(seeds))
    sides = [np.bincount(cluster, weight * side, len(seeds)) / total for side in found.boxes.T]
    boxes = np.stack(sides, axis=1).astype(np.float32)
    members = np.bincount(cluster, minlength=len(seeds))
    mean = np.bincount(cluster, found.scores, len(seeds)) / members
    share = _share_of_tiles(ranked, cluster, boxes, config.threshold)
    fused = Detections(boxes, (mean * share).astype(np.float32), found.labels[seeds])
    return fused[best_first(fused)]


def _seeds(ranked: Ranked, config: MergeConfig) -> IntArray:
    """For each box, the box that no better one overlaps and that it overlaps most, ``(N,)``."""
    boxes, groups = ranked.boxes, ranked.groups
    kept = greedy_kept(boxes, groups, config.threshold, config.metric)
    seeds, others = np.flatnonzero(kept), np.flatnonzero(~kept)
    best = np.zeros(len(boxes), np.float32)
    seed = np.arange(len(boxes))
    index = BoxIndex(np.take(boxes, seeds, axis=0), groups[seeds])
    for i, j in index.query(np.take(boxes, others, axis=0), groups[others]):
        row, owner = others[i], seeds[j]
        overlap = paired_overlap(
            np.take(boxes, row, axis=0), np.take(boxes, owner, axis=0), config.metric
        )
        order = np.lexsort((owner, -overlap, row))
        row, owner, overlap = row[order], owner[order], overlap[order]
        first = np.diff(row, prepend=-1) > 0
        row, owner, overlap = row[first], owner[first], overlap[first]
        closer = (overlap > best[row]) | ((overlap == best[row]) & (owner < seed[row]))
        best[row[closer]], seed[row[closer]] = overlap[closer], owner[closer]
    return seed


def _share_of_tiles(
    ranked: Ranked, cluster: IntArray, boxes: FloatArray, threshold: float
) -> NDArray[np.float64]:
    """Of the tiles that show enough of each fused box, the share that found it, ``(F,)``."""
    could = np.zeros(len(boxes), np.int64)
    area = box_area(boxes)
    for i, j in BoxIndex(ranked.regions).query(boxes):
        shown = paired_intersection(np.take(boxes, i, axis=0), np.take(ranked.regions, j, axis=0))
        could += np.bincount(i[shown >= threshold * area[i]], minlength=len(boxes))
    seen = np.unique(cluster * max(len(ranked.regions), 1) + ranked.tile_index)
    did = np.bincount(seen // max(len(ranked.regions), 1), minlength=len(boxes))
    share: NDArray[np.float64] = np.minimum(did, could) / np.maximum(could, 1)
    return np.where(could > 0, share, 1.0)
