"""`Method`: what every detection method is, and the types that pass through it.

Shapes: N = tiles in a batch, G = objects of one tile, K = candidates of a tile, C = classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The labels of one tile, network pixels.

    Attributes:
        boxes: ``(G, 4)`` float32 xyxy.
        labels: ``(G,)`` int64.
        ignore: ``(M, 4)`` float32: places that teach nothing.
    """

    boxes: Tensor
    labels: Tensor
    ignore: Tensor


class Decoded(NamedTuple):
    """What a tile gives before suppression, best first; unused rows have score 0.

    Attributes:
        boxes: ``(N, K, 4)`` float32 xyxy, network pixels.
        scores: ``(N, K)`` float32 in ``[0, 1]``.
        labels: ``(N, K)`` int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Method(nn.Module, ABC):
    """A detector that can be trained and exported.

    `decode(forward(images))` is exactly what an exported file holds.

    Attributes:
        class_count: C.
        strides: Of the maps that objects are found on, network pixels.
        size_multiple: Input sides must be multiples of this.
        candidates: K, the rows of `Decoded`.
        suppression: Of two boxes of one class that overlap by this IoU, the runtime keeps the
            better; None where the candidates are one an object, and K the most boxes of a tile.
        max_detections: Most boxes a tile can give in the end.
        near_ties: Share of a tile's boxes that may hang on a choice within the network, such as of
            the better of two proposals that are all but equal: rounding can decide it otherwise.
        mean: Per channel, of pixel values in ``[0, 1]``.
        std: Per channel.
    """

    class_count: int
    strides: tuple[int, ...]
    size_multiple: int
    candidates: int
    suppression: float | None = None
    max_detections: int
    near_ties: float = 0.0
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @abstractmethod
    def forward(self, images: Tensor) -> Any:
        """Raw outputs for ``(N, H, W, channels)`` uint8 images."""

    @abstractmethod
    def loss(self, outputs: Any, targets: list[Targets]) -> dict[str, Tensor]:
        """Named loss terms, already weighted: their sum is what is minimised."""

    @abstractmethod
    def decode(self, outputs: Any) -> Decoded:
        """Boxes, scores and labels from raw outputs."""

    @abstractmethod
    def backbone_parameters(self) -> list[nn.Parameter]:
        """The pretrained part, which learns at its own rate."""

    def loss_parameters(self) -> list[nn.Parameter]:
        """Those that `loss` uses itself, beyond `forward`: of a second stage."""
        return []
