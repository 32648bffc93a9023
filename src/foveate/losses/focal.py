"""Focal losses: the many easy negatives of a dense detector must not drown the few objects."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from foveate.config import Config


class FocalConfig(Config):
    """Focal loss of a one-stage method (Lin 2017, arXiv:1708.02002 [S: 2 and .25]).

    Attributes:
        gamma: Focus on the hard ones; 0 is the alpha-balanced cross-entropy, the control.
        alpha: Weight of positives; negatives weigh 1 - alpha.
    """

    gamma: float = Field(default=2.0, ge=0)
    alpha: float = Field(default=0.25, gt=0, lt=1)


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float, alpha: float) -> Tensor:
    """Sigmoid focal loss, elementwise: ``-alpha_t (1 - p_t)^gamma log p_t`` (Lin 2017 [S]).

    In logarithms throughout, so that no logit, however sure, gives a gradient that is no number.

    Args:
        logits: Of any shape.
        targets: Of the same shape, 0 or 1.
        gamma: See `FocalConfig`.
        alpha: See `FocalConfig`.
    """
    margin = logits.float() * (2 * targets - 1)  # positive where the answer is right
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    doubt = (gamma * functional.logsigmoid(-margin)).exp()  # (1 - p_t)^gamma
    return -weight * doubt * functional.logsigmoid(margin)


def gaussian_focal_loss(
    logits: Tensor, target: Tensor, weight: Tensor, *, gamma: float = 2.0, beta: float = 4.0
) -> Tensor:
    """Focal loss for a Gaussian heat map, summed by class (Law & Deng 2018, CornerNet, eq. 1 [M]).

    Cells where the target is 1 are positives. All others are negatives, forgiven the more the
    higher their target: ``(1 - target)^beta``.

    Args:
        logits: ``(N, C, H, W)``.
        target: ``(N, C, H, W)`` in ``[0, 1]``.
        weight: ``(N, 1, H, W)``: 0 switches a cell off.
        gamma: Focus on the hard ones.
        beta: Forgiveness near centres.

    Returns:
        ``(C,)``: sums over pictures and cells; divide by numbers of objects.
    """
    logits = logits.float()
    probability = logits.sigmoid()
    hit = -functional.logsigmoid(logits) * (1 - probability).pow(gamma)
    miss = -functional.logsigmoid(-logits) * probability.pow(gamma) * (1 - target).pow(beta)
    return (torch.where(target == 1, hit, miss) * weight).sum(dim=(0, 2, 3))
