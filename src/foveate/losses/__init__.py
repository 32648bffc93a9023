"""Label assignment and loss functions."""

from foveate.losses.boxes import paired_iou_and_giou
from foveate.losses.focal import FocalConfig, focal_loss, gaussian_focal_loss
from foveate.losses.gaussian import Assignment, assign_gaussian
from foveate.losses.matching import Matching, MatchingConfig, match_anchors
from foveate.losses.mining import hardest
from foveate.losses.priors import PriorGrid, match_priors

__all__ = [
    "Assignment",
    "FocalConfig",
    "Matching",
    "MatchingConfig",
    "PriorGrid",
    "assign_gaussian",
    "focal_loss",
    "gaussian_focal_loss",
    "hardest",
    "match_anchors",
    "match_priors",
    "paired_iou_and_giou",
]
