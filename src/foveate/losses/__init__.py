"""Label assignment and loss functions."""

from foveate.losses.adversarial import (
    discriminator_accuracy,
    discriminator_loss,
    generator_loss,
)
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
    "discriminator_accuracy",
    "discriminator_loss",
    "focal_loss",
    "gaussian_focal_loss",
    "generator_loss",
    "hardest",
    "match_anchors",
    "match_priors",
    "paired_iou_and_giou",
]
