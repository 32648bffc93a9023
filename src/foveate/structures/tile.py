"""`Tile`: where a piece of a picture lies and how large the network sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foveate.structures.detections import Detections
from foveate.structures.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Tile:
    """A region of a picture and the size at which the network is shown it.

    Attributes:
        x: Left edge, picture pixels.
        y: Top edge, picture pixels.
        width: Width of the region, picture pixels.
        height: Height of the region, picture pixels.
        out_width: Width shown to the network, network pixels.
        out_height: Height shown to the network, network pixels.
    """

    x: int
    y: int
    width: int
    height: int
    out_width: int
    out_height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The region as xyxy picture pixels."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def to_image(self, boxes: FloatArray) -> FloatArray:
        """Map ``(N, 4)`` boxes from network pixels to picture pixels, cut to the region."""
        scale_x, scale_y = self.width / self.out_width, self.height / self.out_height
        scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float64)
        offset = np.array([self.x, self.y, self.x, self.y], np.float64)
        limit = np.array([self.width, self.height, self.width, self.height], np.float64)
        return (np.clip(boxes * scale, 0, limit) + offset).astype(np.float32)

    def to_tile(self, boxes: FloatArray) -> FloatArray:
        """Map ``(N, 4)`` boxes from picture pixels to network pixels, uncut."""
        scale_x, scale_y = self.out_width / self.width, self.out_height / self.height
        scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float64)
        offset = np.array([self.x, self.y, self.x, self.y], np.float64)
        return ((boxes - offset) * scale).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TiledDetections:
    """What the tiles of one picture gave, before merging.

    Attributes:
        detections: All boxes of all tiles, picture pixels. N = their number.
        tile_index: ``(N,)`` int64: row of `regions` that each box came from.
        regions: ``(T, 4)`` float32: every tile's region, xyxy picture pixels.
        image_size: Width and height of the picture in pixels.
    """

    detections: Detections
    tile_index: IntArray
    regions: FloatArray
    image_size: tuple[int, int]

    @classmethod
    def gather(
        cls,
        parts: Sequence[Detections],
        tiles: Sequence[Tile],
        image_size: tuple[int, int],
    ) -> TiledDetections:
        """Join one `Detections` a tile, already in picture pixels."""
        counts = [len(part) for part in parts]
        return cls(
            Detections.concatenate(parts),
            np.repeat(np.arange(len(parts)), counts),
            np.array([tile.box for tile in tiles], np.float32).reshape(-1, 4),
            image_size,
        )

    def cut_sides(self, tolerance: float | FloatArray) -> BoolArray:
        """Which sides (left, top, right, bottom) of each box touch an inner tile edge, ``(N, 4)``.

        An edge of the picture is no inner edge: an object there is as whole as it will get.

        Args:
            tolerance: How near, in picture pixels, counts as touching; or ``(N, 2)``, for every
                box along x and along y.
        """
        width, height = self.image_size
        inner = np.empty((len(self.regions), 4), bool)
        inner[:, :2] = self.regions[:, :2] > 0
        inner[:, 2:] = self.regions[:, 2:] < np.array([width, height], np.float32)
        edges = self.regions[self.tile_index]  # (N, 4)
        boxes = self.detections.boxes
        near = np.empty((len(boxes), 4), bool)
        near[:, :2] = boxes[:, :2] - edges[:, :2] <= tolerance
        near[:, 2:] = edges[:, 2:] - boxes[:, 2:] <= tolerance
        return near & inner[self.tile_index]
