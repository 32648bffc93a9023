"""Label assignment and loss functions."""

from foveate.losses.boxes import paired_iou_and_giou
from foveate.losses.focal import gaussian_focal_loss
from foveate.losses.gaussian import Assignment, assign_gaussian

__all__ = ["Assignment", "assign_gaussian", "gaussian_focal_loss", "paired_iou_and_giou"]
