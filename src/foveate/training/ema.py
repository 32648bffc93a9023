"""A moving average of a model's weights: what is validated and exported."""

from __future__ import annotations

import copy

import torch
from torch import nn


class MovingAverage:
    """Exponential moving average of weights and batch-norm statistics.

    Attributes:
        model: The averaged copy, in evaluation mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model`; the first steps move faster, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        source = model.state_dict()
        mine, theirs = [], []
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                mine.append(value)
                theirs.append(source[name].to(value.dtype))
            else:
                value.copy_(source[name])
        torch._foreach_lerp_(mine, theirs, 1 - decay)
