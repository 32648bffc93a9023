"""`GeoReference`: where on the ground a picture's pixels lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from foveate.structures.types import FloatArray

Coordinates: TypeAlias = NDArray[np.float64]
"""``(..., 2)`` x and y: easting and northing, or longitude and latitude."""


@dataclass(frozen=True, slots=True)
class GeoReference:
    """A coordinate reference system and the affine map from pixels to it.

    Attributes:
        crs: As well-known text, or as an authority's code such as ``EPSG:32632``.
        transform: a, b, c, d, e, f of ``x = a * column + b * row + c`` and
            ``y = d * column + e * row + f``, measured from the outer corner of the first pixel.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]

    def to_ground(self, points: Coordinates) -> Coordinates:
        """Map pixels to coordinates.

        Args:
            points: ``(..., 2)`` column and row, picture pixels; a pixel's corner is whole numbers.
        """
        a, b, c, d, e, f = self.transform
        column, row = points[..., 0], points[..., 1]
        return np.stack([a * column + b * row + c, d * column + e * row + f], axis=-1)

    def corners(self, boxes: FloatArray) -> Coordinates:
        """The four corners of boxes, ``(N, 4, 2)``: a ring from top left, clockwise in pixels."""
        exact = boxes.astype(np.float64)
        return self.to_ground(exact[:, [[0, 1], [2, 1], [2, 3], [0, 3]]])
