"""The two things that other rooms are handed: a detector and a source of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from foveate.structures.detections import Detections
from foveate.structures.tile import Tile
from foveate.structures.types import UInt8Image


class Detector(Protocol):
    """Anything that finds boxes in a batch of pictures: tiling never knows more of a model."""

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        """Detect.

        Args:
            images: ``(H, W, C)`` uint8 each, all of one size.

        Returns:
            One `Detections` an image, boxes in that image's pixels.
        """
        ...


class ImageSource(Protocol):
    """A picture, in memory or larger than it, that can be read by regions."""

    @property
    def name(self) -> str:
        """File name or a label for messages."""
        ...

    @property
    def width(self) -> int:
        """Pixels."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    def read(self, tile: Tile) -> UInt8Image | None:
        """The region of `tile`, ``(H, W, C)``; None where the picture has nothing to look at.

        H and W are those of the region, at the picture's own scale; or less, where the network is
        shown it smaller, but no less than is shown. A view where the picture is in memory; never
        written to by the caller. Not called by several threads at once.
        """
        ...
