"""Focal losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
