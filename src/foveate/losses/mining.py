"""Hard mining: of the many anchors of a tile, only those that are most wrong teach."""

from __future__ import annotations

import torch
from torch import Tensor


def hardest(loss: Tensor, allowed: Tensor, counts: Tensor) -> Tensor:
    """Choose, tile by tile, the allowed anchors of the greatest loss.

    Of equal losses the first are chosen, so that the choice depends on nothing else.

    Args:
        loss: ``(N, R)``; no gradient goes through the choice.
        allowed: ``(N, R)`` bool: which may be chosen.
        counts: ``(N,)`` int64: how many at most.

    Returns:
        ``(N, R)`` bool.
    """
    ranked = loss.detach().masked_fill(~allowed, -torch.inf)
    order = ranked.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(loss.shape[1], device=loss.device).expand_as(order)
    rank = torch.empty_like(order).scatter(1, order, places)  # (N, R)
    return allowed & (rank < counts[:, None])
