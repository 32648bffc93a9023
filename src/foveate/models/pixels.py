"""From a picture's bytes to what a backbone expects; inside the graph, so nobody gets it wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Exposure = Literal["fixed", "tile"]
_GREATEST_GAIN = 10.0
_COLOURS = 3


class Pixels(nn.Module):
    """Cast, expose and normalise.

    Args:
        mean: Per channel, of values in ``[0, 1]``.
        std: Per channel.
        exposure: `fixed` takes the bytes as they are. `tile` first brightens each tile until its
            brightest 4x4 area is white, at most tenfold: for microscopes and night scenes, whose
            pictures may use a tenth of the range, where pretrained filters would see nothing. The
            first three channels decide how much.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], exposure: Exposure) -> None:
        super().__init__()
        self.exposure = exposure
        shape = (1, len(mean), 1, 1)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(shape), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """``(N, H, W, C)`` uint8 to ``(N, C, H, W)`` float32, H and W multiples of 4."""
        values = images.permute(0, 3, 1, 2).to(torch.float32) * (1 / 255)
        if self.exposure == "tile":
            # Motion, the channels after these, may be bright in the dark.
            seen = values[:, :_COLOURS] if self.mean.shape[1] > _COLOURS else values
            brightest = functional.avg_pool2d(seen, 4).amax(dim=(1, 2, 3), keepdim=True)
            values = values * (1 / brightest.clamp(min=1 / _GREATEST_GAIN))
        return (values - self.mean) / self.std
