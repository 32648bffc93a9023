"""Depthwise convolutions whose gradients take a processor as long as they should.

[D] In bf16 oneDNN computes the gradients of a depthwise convolution several times more slowly than
in float32, those of strided ones above all; in an EfficientNet they are most of a step. Float32 is
also the more exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def widen_depthwise(model: nn.Module) -> None:
    """Compute the depthwise convolutions of a model that learns in bf16 in float32.

    Parameters and their names stay as they are.

    Args:
        model: Changed in place.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d and 1 < child.groups == child.in_channels:
                setattr(parent, name, _Depthwise(child))


class _Depthwise(nn.Conv2d):
    """The same convolution with the same parameters."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(
            conv.in_channels, conv.out_channels, conv.kernel_size,  # type: ignore[arg-type]
            conv.stride, conv.padding, conv.dilation, conv.groups,  # type: ignore[arg-type]
            conv.bias is not None, conv.padding_mode, device="meta",
        )  # fmt: skip
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the like."""
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(features)
        with torch.autocast("cpu", enabled=False):
            wide = super().forward(features.float())
        return wide.to(torch.get_autocast_dtype("cpu"))
