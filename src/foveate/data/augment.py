"""Augmentation that respects small objects: one geometric warp, then colour, then paste.

A tile is cut from the full picture by a single affine map (scale, any-angle rotation, flip and
crop at once), so that pixels are resampled only once: a six-pixel object does not survive two.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foveate.config import Config
from foveate.structures import FloatArray, UInt8Image


class AugmentConfig(Config):
    """What is varied when a training tile is drawn. Probabilities are in ``[0, 1]``.

    Attributes:
        scale_low: Least enlargement, as a factor of the tile plan's scale.
        scale_high: Greatest enlargement, likewise; drawn log-uniformly.
        scales: Factors, one of which is drawn and multiplied with that, such as 0.5, 1, 2 for a
            method that is shown pictures at these scales; none if empty.
        flip: Probability of a mirror image.
        quarter_turn: Probability of a rotation by a random multiple of 90 degrees.
        any_turn: Probability of a rotation by any angle instead.
        turned_box: The box of a turned object: `ellipse` assumes that the object fills the ellipse
            in its box (cells, people, balls), `corners` its whole box (w' = w|cos| + h|sin|).
        contrast: Largest relative change of contrast, per picture.
        brightness: Largest change of brightness, relative to the tile's mean (or what is above it).
        gamma: Largest exponent of a gamma change; 1 is none.
        saturation: Largest relative change of colour saturation.
        tint: Largest relative change of each channel on its own.
        invert: Probability of a negative: dark objects on light become light on dark.
        blur: Probability of a slight defocus.
        noise: Probability of sensor noise.
        paste: Probability of pasting copies of small objects onto free ground.
    """

    scale_low: float = Field(default=0.7, gt=0)
    scale_high: float = Field(default=1.4, gt=0)
    scales: tuple[Annotated[float, Field(gt=0)], ...] = ()
    flip: float = Field(default=0.5, ge=0, le=1)
    quarter_turn: float = Field(default=0.5, ge=0, le=1)
    any_turn: float = Field(default=0.3, ge=0, le=1)
    turned_box: Literal["ellipse", "corners"] = "ellipse"
    contrast: float = Field(default=0.3, ge=0, lt=1)
    brightness: float = Field(default=0.15, ge=0, lt=1)
    gamma: float = Field(default=1.4, ge=1)
    saturation: float = Field(default=0.3, ge=0, le=1)
    tint: float = Field(default=0.1, ge=0, lt=1)
    invert: float = Field(default=0.0, ge=0, le=1)
    blur: float = Field(default=0.1, ge=0, le=1)
    noise: float = Field(default=0.15, ge=0, le=1)
    paste: float = Field(default=0.0, ge=0, le=1)


Matrix = NDArray[np.float64]

_WARPED = 4
"""Channels that OpenCV warps at once; of more it makes nonsense, and says nothing."""


def draw_linear_map(config: AugmentConfig, scale: float, rng: np.random.Generator) -> Matrix:
    """Draw the ``(2, 2)`` linear part of a tile's map: picture offsets to network offsets."""
    low, high = math.log(config.scale_low), math.log(config.scale_high)
    factor = scale * math.exp(rng.uniform(low, high))
    if config.scales:
        factor *= float(rng.choice(config.scales))
    kind = rng.random()
    if kind < config.any_turn:
        angle = rng.uniform(0, 2 * math.pi)
    elif kind < config.any_turn + config.quarter_turn:
        angle = rng.integers(4) * math.pi / 2
    else:
        angle = 0.0
    cos, sin = round(math.cos(angle), 12), round(math.sin(angle), 12)
    mirror = -1.0 if rng.random() < config.flip else 1.0
    return factor * np.array([[cos * mirror, -sin], [sin * mirror, cos]])


def warp_image(image: UInt8Image, linear: Matrix, centre: FloatArray, size: int) -> UInt8Image:
    """Show the surroundings of `centre` through `linear` in a square tile; outside is 0.

    Args:
        image: ``(H, W, C)`` uint8.
        linear: ``(2, 2)`` from `draw_linear_map`.
        centre: ``(2,)`` x, y picture pixels that fall on the tile's centre.
        size: Side of the tile, network pixels.
    """
    # Boxes measure from a pixel's corner, warpAffine from its centre: hence the halves.
    shift = size / 2 - linear @ centre + linear @ [0.5, 0.5] - 0.5
    factor = math.sqrt(abs(np.linalg.det(linear)))
    if factor < 0.8:
        image = _uint8(cv2.GaussianBlur(image, (0, 0), 0.4 / factor))
    matrix = np.concatenate([linear, shift[:, None]], axis=1)
    parts = [
        cv2.warpAffine(
            np.ascontiguousarray(image[..., first : first + _WARPED]),
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR,
        )
        for first in range(0, image.shape[2], _WARPED)
    ]
    warped = [_uint8(part).reshape(size, size, -1) for part in parts]
    return warped[0] if len(warped) == 1 else np.concatenate(warped, axis=2)


def warp_boxes(
    boxes: FloatArray,
    linear: Matrix,
    centre: FloatArray,
    size: int,
    shape: Literal["ellipse", "corners"],
) -> FloatArray:
    """Boxes of the warped objects, ``(N, 4)`` network pixels, uncut.

    For turns by multiples of 90 degrees both shapes give the exact box.
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2  # (N, 2)
    moved = (middle - centre) @ linear.T + size / 2
    if shape == "ellipse":
        extent = np.sqrt(np.square(half) @ np.square(linear).T)
    else:
        extent = half @ np.abs(linear).T
    return np.concatenate([moved - extent, moved + extent], axis=1).astype(np.float32)


def vary_colour(image: UInt8Image, config: AugmentConfig, rng: np.random.Generator) -> UInt8Image:
    """Change contrast, brightness, gamma, saturation, tint, focus and noise of a tile.

    Args:
        image: ``(H, W, C)`` uint8; saturation is changed only where C is 3.
        config: How much.
        rng: The tile's own generator.
    """
    channels = image.shape[2]
    if channels == 3 and config.saturation:
        keep = 1 + rng.uniform(-config.saturation, config.saturation)
        grey = np.full((3, 3), 1 / 3)
        image = _uint8(cv2.transform(image, keep * np.eye(3) + (1 - keep) * grey))
    mean = float(image.mean()) / 255
    image = _apply_curves(image, _draw_curves(channels, mean, config, rng))
    if rng.random() < config.blur:
        image = _uint8(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))).reshape(image.shape)
    if rng.random() < config.noise:
        strength = rng.uniform(0.02, 0.15) * float(image.std())
        noise = rng.standard_normal(image.shape, dtype=np.float32) * strength
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def _draw_curves(
    channels: int, mean: float, config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """One look-up curve a channel, ``(256, channels)`` uint8.

    Contrast turns about the tile's own mean and brightness moves in proportion to what is left
    below or above it: a dark picture must not be pushed into black.
    """
    ramp = np.linspace(0, 1, 256)[:, None]
    log_gamma = math.log(config.gamma)
    common = 1 + rng.uniform(-config.contrast, config.contrast)
    gain = common * (1 + rng.uniform(-config.tint, config.tint, channels))
    shift = rng.uniform(-config.brightness, config.brightness) * 2 * min(mean, 1 - mean)
    pivot = mean if rng.random() < 0.5 else 0.0
    curve = np.clip((ramp - pivot) * gain + pivot + shift, 0, 1)
    curve = curve ** math.exp(rng.uniform(-log_gamma, log_gamma))
    if rng.random() < config.invert:
        curve = 1 - curve
    return (curve * 255).round().astype(np.uint8)


def _apply_curves(image: UInt8Image, curves: NDArray[np.uint8]) -> UInt8Image:
    planes = [cv2.LUT(image[..., c], curves[:, c]) for c in range(image.shape[2])]
    return np.stack([plane.reshape(image.shape[:2]) for plane in planes], axis=2)


def _uint8(image: object) -> UInt8Image:
    """OpenCV's result for uint8 input, whose type its stubs leave open."""
    return np.asarray(image, dtype=np.uint8)
