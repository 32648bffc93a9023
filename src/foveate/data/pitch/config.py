"""What can be set about the rendered football match; everything else follows from the seed."""

from __future__ import annotations

from pydantic import Field

from foveate.config import Config

CLASS_NAMES = ("player", "ball")
"""Every person on the pitch is a ``player``: field players, goalkeepers and officials."""


class PitchConfig(Config):
    """Size of the picture and strength of what the camera adds to it.

    Attributes:
        width: Pixels. People and ball keep their share of the picture at any width.
        height: Pixels.
        sensor_noise: Strength of the sensor's noise; 1 is a typical camera, 0 is none.
        jpeg_quality: Each frame goes once through JPEG at this quality; 0 leaves it as it is.
        extras: Whether coaches, stewards and ball kids stand off the pitch. They are people
            too, so they are annotated as ``player`` and marked ignore.
    """

    width: int = Field(2560, ge=64, le=16384)
    height: int = Field(1440, ge=64, le=16384)
    sensor_noise: float = Field(1.0, ge=0, le=10)
    jpeg_quality: int = Field(93, ge=0, le=100)
    extras: bool = True
