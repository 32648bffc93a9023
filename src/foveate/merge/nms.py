"""Plain non-maximum suppression over the boxes of all tiles at once."""

from __future__ import annotations

from foveate.merge.config import MergeConfig
from foveate.merge.greedy import greedy_kept
from foveate.merge.ranked import rank
from foveate.structures import Detections, TiledDetections


def merge_nms(tiled: TiledDetections, config: MergeConfig) -> Detections:
    """Keep the best box, strike those that overlap it by the threshold, and so on.

    Knows nothing of tiles: the part of an object that a tile edge leaves over survives beside the
    whole object as soon as it is less than `threshold` of it.

    Args:
        tiled: What the tiles gave.
        config: Threshold, metric, class-aware or not.

    Returns:
        The boxes that stay, unchanged, in canonical order.
    """
    ranked = rank(tiled, config)
    kept = greedy_kept(ranked.boxes, ranked.groups, config.threshold, config.metric)
    return ranked.detections[kept]
