"""Pictures with motion channels as sources of tiles: every tile is cut from both alike."""

from __future__ import annotations

from dataclasses import dataclass

from foveate.data.motion import MotionConfig, still_channels, with_channels
from foveate.structures import ImageSource, Tile, UInt8Image


@dataclass(frozen=True, slots=True, eq=False)
class LayeredSource:
    """A frame and the motion channels that go with it.

    Attributes:
        name: For messages.
        layers: ``(H, W, 3 + m)`` uint8.
    """

    name: str
    layers: UInt8Image

    @classmethod
    def of(cls, name: str, image: UInt8Image, channels: UInt8Image | None) -> LayeredSource:
        """Join a frame ``(H, W, 3)`` and its motion channels ``(H, W, m)``, if any."""
        if channels is None:
            return cls(name, image)
        return cls(name, with_channels(image, channels))

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.layers.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.layers.shape[0])

    def read(self, tile: Tile) -> UInt8Image:
        """The tile's region, a view."""
        x1, y1, x2, y2 = tile.box
        return self.layers[y1:y2, x1:x2]


class SourceView:
    """A source seen through something: name and size are those of `source`."""

    __slots__ = ()
    source: ImageSource

    @property
    def name(self) -> str:
        """For messages."""
        return self.source.name

    @property
    def width(self) -> int:
        """Pixels."""
        return self.source.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.source.height


@dataclass(frozen=True, slots=True, eq=False)
class StillSource(SourceView):
    """A picture that is no part of a video, with channels that say that nothing moves.

    Attributes:
        source: The picture, which may be larger than memory.
        motion: The channels that the model sees.
    """

    source: ImageSource
    motion: MotionConfig

    @property
    def geo(self) -> object:
        """Where the picture lies, if it says so."""
        return getattr(self.source, "geo", None)

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region with the further channels."""
        region = self.source.read(tile)
        if region is None:
            return None
        return with_channels(region, still_channels(region, self.motion))
