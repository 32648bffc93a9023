"""Painting into the picture: polygons, textured planes, noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.data.pitch.camera import Camera, Points
from foveate.structures import UInt8Image

Canvas: TypeAlias = NDArray[np.float32]
"""``(h, w)`` or ``(h, w, channels)`` of fractions or levels."""


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: int) -> Canvas:
    """Noise of about unit deviation, ``size`` = (height, width), ``cells`` waves high."""
    grid = rng.standard_normal((cells, max(2, cells * size[1] // size[0])), np.float32)
    noise = cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise, np.float32)


def byte_noise(rng: np.random.Generator, size: tuple[int, ...]) -> Canvas:
    """Fine noise of zero mean and unit deviation, nearly normal: a sum of three random bytes."""
    parts = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    total = parts.astype(np.uint16).sum(axis=0, dtype=np.uint16)
    noise: Canvas = (total.astype(np.float32) - np.float32(382.5)) / np.float32(128.0)
    return noise


def add_grey(image: UInt8Image, levels: Canvas) -> None:
    """Add grey levels ``(h, w)`` to all three channels, in place."""
    shifted = np.clip(levels + np.float32(128.5), 0, 255).astype(np.uint8)
    cv2.addWeighted(image, 1.0, cv2.merge([shifted] * 3), 1.0, -128.0, dst=image)


def scale_light(image: UInt8Image, level: Canvas) -> None:
    """Multiply the picture by a field of any smaller size, 0 to 1, in place."""
    size = (image.shape[1], image.shape[0])
    small = np.clip(level * 255 + 0.5, 0, 255).astype(np.uint8)
    full = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    cv2.multiply(image, cv2.merge([full] * 3), dst=image, scale=1 / 255)


def fill_mask(size: tuple[int, int], outlines: Sequence[Points], scale: int = 1) -> UInt8Image:
    """Union of polygons ``(N, 2)`` of pixels in ``size`` = (height, width); 0 to 255."""
    height, width = size
    mask = np.zeros((height * scale, width * scale), np.uint8)
    for outline in outlines:
        if len(outline) >= 3:
            fixed = np.round(outline * (scale * 16) - 8).astype(np.int32)
            cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, shift=4)
    if scale > 1:
        mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return mask


def bounds(outlines: Sequence[Points], image: UInt8Image) -> tuple[slice, slice] | None:
    """Rows and columns of the picture that polygons touch; None where they lie outside."""
    points = [outline for outline in outlines if len(outline) >= 3]
    if not points:
        return None
    joined = np.concatenate(points)
    limit = np.array([image.shape[1], image.shape[0]])
    x1, y1 = np.clip(np.floor(joined.min(axis=0)).astype(int) - 1, 0, limit)
    x2, y2 = np.clip(np.ceil(joined.max(axis=0)).astype(int) + 2, 0, limit)
    if x2 <= x1 or y2 <= y1:
        return None
    return slice(int(y1), int(y2)), slice(int(x1), int(x2))


def mix(region: UInt8Image, over: UInt8Image, mask: UInt8Image, opacity: float = 1.0) -> None:
    """Lay ``over`` on a region of the picture where ``mask`` (0 to 255) says so, in place."""
    part = mask * np.float32(opacity / 255)
    region[:] = cv2.blendLinear(over, np.ascontiguousarray(region), part, 1 - part)


def fill(
    image: UInt8Image,
    outlines: Sequence[Points],
    colour: Points,
    opacity: float = 1.0,
    scale: int = 1,
) -> None:
    """Fill the union of polygons of pixels with a colour, in place.

    ``scale`` > 1 draws finer than the picture first, for what is thinner than a pixel.
    """
    window = bounds(outlines, image)
    if window is None:
        return
    rows, columns = window
    region = image[rows, columns]
    shift = np.array([columns.start, rows.start])
    mask = fill_mask(region.shape[:2], [o - shift for o in outlines if len(o) >= 3], scale)
    level = np.clip(np.round(colour), 0, 255).astype(np.uint8)
    mix(region, np.full_like(region, level), mask, opacity)


def paste_plane(
    image: UInt8Image,
    camera: Camera,
    texture: UInt8Image,
    origin: Points,
    spans: tuple[Points, Points],
) -> None:
    """Lay a texture on a rectangle in the world, in place.

    Args:
        image: The picture.
        camera: The camera.
        texture: ``(h, w, 3)``; its lower left corner goes to ``origin``.
        origin: ``(3,)`` metres.
        spans: From the origin along the texture's foot, and up to its top; ``(3,)`` each.
    """
    along, up = spans
    corners = np.stack([origin, origin + along, origin + along + up, origin + up])
    outline = camera.outline(corners)
    window = bounds([outline], image)
    if window is None:
        return
    rows, columns = window
    region = image[rows, columns]
    height, width = texture.shape[:2]
    to_plane = np.array([[1 / width, 0, 0], [0, -1 / height, 1], [0, 0, 1]])
    shift = np.array([[1, 0, -float(columns.start)], [0, 1, -float(rows.start)], [0, 0, 1]])
    homography = shift @ camera.plane(origin, along, up) @ to_plane
    size = (region.shape[1], region.shape[0])
    seen = cv2.warpPerspective(texture, homography, size, borderMode=cv2.BORDER_REPLICATE)
    mask = fill_mask(region.shape[:2], [outline - np.array([columns.start, rows.start])])
    mix(region, np.asarray(seen, np.uint8), mask)


def bar_outline(camera: Camera, start: Points, end: Points, width: float) -> Points:
    """A straight round bar of ``width`` metres as a polygon of pixels, ``(4, 2)``."""
    ends = np.stack([start, end])
    pixels = camera.project(ends)
    half = camera.scale(ends)[:, None] * width / 2
    along = pixels[1] - pixels[0]
    across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    shift = half * across
    return np.concatenate([pixels + shift, (pixels - shift)[::-1]])
