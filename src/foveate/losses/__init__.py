"""Label assignment and loss functions."""

from foveate.losses.boxes import paired_iou_and_giou
from foveate.losses.focal import FocalConfig, focal_loss, gaussian_focal_loss
from foveate.losses.gaussian import Assignment, assign_gaussian
from foveate.losses.matching import Matching, MatchingConfig, match_anchors

__all__ = [
    "Assignment",
    "FocalConfig",
    "Matching",
    "MatchingConfig",
    "assign_gaussian",
    "focal_loss",
    "gaussian_focal_loss",
    "match_anchors",
    "paired_iou_and_giou",
]
