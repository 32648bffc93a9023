"""Batches of mined crops: each a function of seed and step alone.

Shapes: N = crops of a batch, R = real ones among them, which come first; others as in `crops`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from foveate.models.mtgan import as_values
from foveate.structures import IntArray
from foveate.training.crops import BACKGROUND, Crops


@dataclass(frozen=True, slots=True, eq=False)
class CropBatch:
    """Crops and what they are; boxes are xyxy shares of the crop's side.

    Attributes:
        low: ``(N, C, L, L)`` float32 in ``[0, 1]``.
        high: ``(R, C, S, S)``, likewise; of the first R.
        labels: ``(N,)`` int64; the number of classes is background.
        found: ``(N, 4)``: the base's boxes.
        boxes: ``(N, 4)``: the labelled boxes.
        holds: ``(N,)`` bool: which hold an object.
    """

    low: Tensor
    high: Tensor
    labels: Tensor
    found: Tensor
    boxes: Tensor
    holds: Tensor

    def to(self, device: torch.device) -> CropBatch:
        """The same on a device."""
        return CropBatch(
            self.low.to(device), self.high.to(device), self.labels.to(device),
            self.found.to(device), self.boxes.to(device), self.holds.to(device),
        )  # fmt: skip

    def once(self) -> CropBatch:
        """As it is: lessons of the N small crops."""
        return self

    def twice(self) -> CropBatch:
        """With the lessons of the R real crops before those of the N small ones."""
        real = slice(len(self.high))
        names = ("labels", "found", "boxes", "holds")
        return replace(self, **{
            name: torch.cat([getattr(self, name)[real], getattr(self, name)]) for name in names
        })  # fmt: skip


class CropBatches:
    """Draws batches.

    Args:
        crops: To draw from; at least one is real.
        size: N.
        real_share: Of N; all where there are no others.
        positive_share: Of the real ones and of the others, where there are both kinds.
        seed: Of the draws.
        background: Label of a crop without an object.
    """

    def __init__(
        self,
        crops: Crops,
        size: int,
        real_share: float,
        positive_share: float,
        seed: int,
        background: int,
    ) -> None:
        self.crops, self.size, self.seed, self.background = crops, size, seed, background
        self.positive_share = positive_share
        is_real = crops.high_row >= 0
        self._real, self._others = np.flatnonzero(is_real), np.flatnonzero(~is_real)
        share = round(size * real_share) if len(self._others) else size
        self.real = min(max(1, share), size)

    def __call__(self, step: int, *, only_real: bool = False) -> CropBatch:
        """The batch of a step.

        Args:
            step: Its number.
            only_real: Whether all crops are real ones.
        """
        rng = np.random.default_rng((self.seed, step))
        real = self.size if only_real else self.real
        first = self._draw(self._real, real, rng)
        second = self._draw(self._others, self.size - real, rng)
        return self._of(np.concatenate([first, second]), real, rng.random(self.size) < 0.5)

    def _draw(self, among: IntArray, count: int, rng: np.random.Generator) -> IntArray:
        """Indices of crops, positives first, with repetition."""
        positive = self.crops.labels[among] != BACKGROUND
        kinds = [among[positive], among[~positive]]
        if not len(kinds[0]) or not len(kinds[1]):
            return rng.choice(among, count) if count else among[:0]
        held = round(count * self.positive_share)
        return np.concatenate([rng.choice(kinds[0], held), rng.choice(kinds[1], count - held)])

    def _of(self, chosen: IntArray, real: int, mirrored: np.ndarray) -> CropBatch:
        crops = self.crops
        flip = torch.from_numpy(mirrored)
        low = as_values(torch.from_numpy(crops.low[chosen]))
        high = as_values(torch.from_numpy(crops.high[crops.high_row[chosen[:real]]]))
        labels = crops.labels[chosen]
        holds = labels != BACKGROUND
        return CropBatch(
            _mirror(low, flip),
            _mirror(high, flip[:real]),
            torch.from_numpy(np.where(holds, labels, self.background)),
            _mirror_boxes(torch.from_numpy(crops.found[chosen]), flip),
            _mirror_boxes(torch.from_numpy(crops.boxes[chosen]), flip),
            torch.from_numpy(holds),
        )


def _mirror(values: Tensor, which: Tensor) -> Tensor:
    return torch.where(which[:, None, None, None], values.flip(3), values)


def _mirror_boxes(boxes: Tensor, which: Tensor) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.where(which[:, None], torch.stack([1 - x2, y1, 1 - x1, y2], dim=1), boxes)
