"""Duplicates within one tile, which methods with anchors give: kept out before tiles are merged."""

from __future__ import annotations

from foveate.merge.greedy import greedy_kept
from foveate.structures import Detections


def suppressed(found: Detections, iou: float | None) -> Detections:
    """Each object once: of boxes of one class that overlap, the best.

    Greedy non-maximum suppression. The result does not depend on the order of the boxes.

    Args:
        found: Of one tile.
        iou: Least intersection over union at which a box yields to a better one; None if the
            method gives each object once as it is, and `found` comes back unchanged.

    Returns:
        The boxes that stay, best first.
    """
    if iou is None:
        return found
    ordered = found.in_order()
    return ordered[greedy_kept(ordered.boxes, ordered.labels, iou, "iou")]
