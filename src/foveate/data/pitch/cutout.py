"""A `Cutout`: one object on its own small canvas, before it is laid into the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from foveate.data.pitch.camera import Points
from foveate.data.pitch.paint import Canvas

MARGIN = 4
"""Pixels kept free round an object for blur."""
_ARC = np.linspace(-1, 1, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """Pixels of one object.

    Attributes:
        x: Left edge in the picture, pixels.
        y: Top edge.
        pixels: ``(h, w, 4)`` RGBA, colour multiplied by alpha; RGB to 255, alpha to 1.
    """

    x: int
    y: int
    pixels: Canvas


def capsules(starts: Points, ends: Points, start_radii: Points, end_radii: Points) -> Points:
    """Outlines of limbs: hulls of two circles each.

    Args:
        starts: ``(P, 2)`` centres, pixels.
        ends: ``(P, 2)``.
        start_radii: ``(P,)`` pixels.
        end_radii: ``(P,)``.

    Returns:
        ``(P, 16, 2)`` convex polygons.
    """
    along = ends - starts
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)
    direction = np.arctan2(along[:, 1], along[:, 0])
    slant = np.arccos(np.clip((start_radii - end_radii) / length, -1, 1))  # of the tangents
    end_angle = direction[:, None] + _ARC * slant[:, None]
    start_angle = direction[:, None] + np.pi + _ARC * (np.pi - slant)[:, None]
    end_arc = np.stack([np.cos(end_angle), np.sin(end_angle)], -1) * end_radii[:, None, None]
    start_arc = (
        np.stack([np.cos(start_angle), np.sin(start_angle)], -1) * start_radii[:, None, None]
    )
    return np.concatenate([ends[:, None] + end_arc, starts[:, None] + start_arc], axis=1)


def fill(canvas: cv2.typing.MatLike, polygon: Points, colour: tuple[float, ...]) -> None:
    """Fill a convex polygon ``(N, 2)`` of canvas pixels, in place, to a sixteenth of a pixel."""
    fixed = np.round(polygon * 16 - 8).astype(np.int32)
    cv2.fillConvexPoly(canvas, fixed, colour, cv2.LINE_8, shift=4)


def shrink(canvas: cv2.typing.MatLike, scale: int) -> Canvas:
    """Average ``scale`` x ``scale`` canvas pixels to one, as float32."""
    height, width = canvas.shape[0] // scale, canvas.shape[1] // scale
    small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def blur_motion(pixels: Canvas, travel: Points) -> Canvas:
    """Smear by ``travel`` ``(2,)`` pixels: the object's way while the shutter is open."""
    length = float(np.hypot(*travel))
    if length < 0.3:
        return pixels
    steps = int(np.ceil(length * 2)) + 1
    total = np.zeros_like(pixels)
    size = (pixels.shape[1], pixels.shape[0])
    for part in np.linspace(-0.5, 0.5, steps):
        shift = np.array([[1, 0, part * travel[0]], [0, 1, part * travel[1]]])
        total += cv2.warpAffine(pixels, shift, size, flags=cv2.INTER_LINEAR)
    return np.asarray(total / np.float32(steps), np.float32)


def soften(pixels: Canvas, sigma: float) -> Canvas:
    """Blur by the lens."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.float32)


def alpha_box(alpha: Canvas) -> Points | None:
    """Box ``(4,)`` of an object in its own canvas from its alpha, to a part of a pixel.

    A side lies in the outermost row or column whose alpha passes a tenth of the largest, as far
    in as that alpha says; None for nothing visible.
    """
    peak = float(alpha.max(initial=0))
    if peak <= 0.02:
        return None
    sides: list[float] = []
    for axis in (0, 1):
        profile = alpha.max(axis=axis) / peak
        seen = np.flatnonzero(profile > 0.1)
        first, last = int(seen[0]), int(seen[-1])
        sides += [first + 1 - float(profile[first]), last + float(profile[last])]
    return np.array([sides[0], sides[2], sides[1], sides[3]])
