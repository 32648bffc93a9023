"""Fuse the boxes of overlapping tiles into one clean set."""

from collections.abc import Callable
from typing import TypeAlias

from foveate.merge.config import MergeConfig, MergeMethod
from foveate.merge.greedy_nmm import merge_greedy_nmm
from foveate.merge.nms import merge_nms
from foveate.merge.seam import merge_seam
from foveate.merge.soft_nms import merge_soft_nms
from foveate.merge.wbf import merge_wbf
from foveate.structures import Detections, TiledDetections

__all__ = ["MERGES", "Merge", "MergeConfig", "MergeMethod", "merge_tiles"]

Merge: TypeAlias = Callable[[TiledDetections, MergeConfig], Detections]

MERGES: dict[str, Merge] = {
    "seam": merge_seam,
    "nms": merge_nms,
    "soft-nms": merge_soft_nms,
    "greedy-nmm": merge_greedy_nmm,
    "wbf": merge_wbf,
}


def merge_tiles(tiled: TiledDetections, config: MergeConfig) -> Detections:
    """Merge by the method that `config` names.

    Args:
        tiled: What the tiles of one picture gave, in any order of tiles and boxes.
        config: Method, threshold, metric, class-aware or not.

    Returns:
        In canonical order. Boxes without area, and boxes and scores that are no number, are gone.
    """
    return MERGES[config.method](tiled, config)
