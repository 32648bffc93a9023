"""Greedy non-maximum merging: the best box absorbs those that overlap it."""

from __future__ import annotations

import numpy as np

from foveate.merge.config import MergeConfig
from foveate.merge.greedy import greedy_owners
from foveate.merge.ranked import best_first, rank
from foveate.structures import Detections, TiledDetections


def merge_greedy_nmm(tiled: TiledDetections, config: MergeConfig) -> Detections:
    """Like plain suppression, but the box that stays grows over those it strikes.

    SAHI's default, there with the metric `ios` [S], written from its description. Each
    box is compared with the best one's own outline, not with what that has grown to. It heals cut
    objects as long as the parts overlap enough, and swallows small objects inside large ones, and
    neighbours.

    Args:
        tiled: What the tiles gave.
        config: Threshold, metric, class-aware or not.

    Returns:
        Boxes that cover all they absorbed, with the best one's score and label, in canonical order.
    """
    ranked = rank(tiled, config)
    found = ranked.detections
    owners = greedy_owners(found.boxes, ranked.groups, config.threshold, config.metric)
    boxes = found.boxes.copy()
    np.minimum.at(boxes[:, :2], owners, found.boxes[:, :2])
    np.maximum.at(boxes[:, 2:], owners, found.boxes[:, 2:])
    kept = owners == np.arange(len(owners))
    merged = Detections(boxes, found.scores, found.labels)[kept]
    return merged[best_first(merged)]
