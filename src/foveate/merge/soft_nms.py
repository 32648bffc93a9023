"""Soft suppression: what overlaps a better box loses score instead of its place."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from foveate.merge.config import MergeConfig
from foveate.merge.greedy import Metric, Overlaps, greedy_kept, overlapping_pairs
from foveate.merge.ranked import Ranked, best_first, rank
from foveate.structures import BoolArray, Detections, IntArray, TiledDetections

SIGMA = 0.5
"""Width of the Gaussian, the paper's."""

FLOOR = 0.001
"""Boxes whose score sinks below are left out."""

NEGLIGIBLE = 0.01
"""Overlap that would cost 0.02 % of the score is not looked at."""

ROUNDS = 64
"""After so many rounds what is left are chains, settled faster one after another."""


def merge_soft_nms(tiled: TiledDetections, config: MergeConfig) -> Detections:
    """Take the best box, lower those that overlap it, and again with the scores as they now are.

    The Gaussian form: ``score *= exp(-overlap**2 / 0.5)`` (Bodla et al. 2017 [S]). It
    strikes nothing at once, so `threshold` plays no part; duplicates stay with low scores.

    Where thousands of boxes lie in one spot, so that their pairs are too many to hold, near copies
    of better boxes are struck beforehand.

    Args:
        tiled: What the tiles gave.
        config: Metric, class-aware or not.

    Returns:
        Unchanged boxes with lowered scores, none below 0.001, in canonical order.
    """
    ranked, pairs = _thinned(rank(tiled, config), config.metric)
    found = ranked.detections
    scores = _lowered(found.scores.astype(np.float64), pairs)
    left = Detections(found.boxes, scores.astype(np.float32), found.labels)[scores >= FLOOR]
    return left[best_first(left)]


def _thinned(ranked: Ranked, metric: Metric) -> tuple[Ranked, Overlaps]:
    """The boxes and their overlapping pairs, after striking near copies if those are too many."""
    for threshold in np.arange(1.0, 0.1, -0.1):
        if threshold < 1:
            ranked = ranked[greedy_kept(ranked.boxes, ranked.groups, float(threshold), metric)]
        limit = max(1 << 20, 8 * len(ranked))
        pairs = overlapping_pairs(ranked.boxes, ranked.groups, NEGLIGIBLE, metric, limit)
        if pairs is not None:
            return ranked, pairs
    pairs = overlapping_pairs(ranked.boxes, ranked.groups, NEGLIGIBLE, metric)
    assert pairs is not None  # no limit was set
    return ranked, pairs


def _lowered(scores: NDArray[np.float64], pairs: Overlaps) -> NDArray[np.float64]:
    """Scores at the time each box is taken, 0 where they sank below the floor, ``(N,)``.

    Scores only sink. So a box that beats all it overlaps is taken before any of them, whatever
    happens elsewhere: all such boxes can be taken in one round.
    """
    # In an order that other boxes elsewhere do not change: products depend on it in the last bit.
    order = np.argsort(pairs[0] * len(scores) + pairs[1])
    i, j, overlap = pairs[0][order], pairs[1][order], pairs[2][order]
    factor = np.exp(-np.square(overlap.astype(np.float64)) / SIGMA)
    waiting = np.ones(len(scores), bool)
    for _ in range(ROUNDS):
        if not len(i):
            break
        i_first = (scores[i] > scores[j]) | ((scores[i] == scores[j]) & (i < j))
        beaten = np.zeros(len(scores), bool)
        beaten[np.where(i_first, j, i)] = True
        taken = waiting & ~beaten
        lowers = taken[i] | taken[j]
        np.multiply.at(scores, np.where(taken[i], j, i)[lowers], factor[lowers])
        scores[scores < FLOOR] = 0
        waiting &= ~taken & (scores > 0)
        open_ = waiting[i] & waiting[j]
        i, j, factor = i[open_], j[open_], factor[open_]
    _lower_one_by_one(scores, waiting, i, j, factor)
    return scores


def _lower_one_by_one(
    scores: NDArray[np.float64],
    waiting: BoolArray,
    i: IntArray,
    j: IntArray,
    factor: NDArray[np.float64],
) -> None:
    """Finish `scores` in place, from the best of the boxes that wait to the last."""
    meets: dict[int, list[tuple[int, float]]] = {}
    for a, b, f in zip(i.tolist(), j.tolist(), factor.tolist(), strict=True):
        meets.setdefault(a, []).append((b, f))
        meets.setdefault(b, []).append((a, f))
    heap = [(-float(scores[row]), row) for row in meets]
    heapq.heapify(heap)
    while heap:
        score, row = heapq.heappop(heap)
        if not waiting[row] or -score != scores[row]:
            continue  # lowered since: it is in the heap again
        waiting[row] = False
        for other, f in meets[row]:
            if waiting[other]:
                lower = scores[other] * f
                scores[other] = lower if lower >= FLOOR else 0.0
                waiting[other] = lower >= FLOOR
                heapq.heappush(heap, (-float(scores[other]), other))
