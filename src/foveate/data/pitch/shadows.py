"""Shadows on the grass: each joint thrown along the light to the ground."""

from __future__ import annotations

import cv2
import numpy as np

from foveate.data.pitch import pose
from foveate.data.pitch.ball import RADIUS, Ball
from foveate.data.pitch.camera import Points
from foveate.data.pitch.cutout import capsules
from foveate.data.pitch.world import World
from foveate.structures import UInt8Image

_BARS = [
    *((pose.HIPS[i], pose.KNEES[i], 0.10, 0.06) for i in (0, 1)),
    *((pose.KNEES[i], pose.ANKLES[i], 0.06, 0.05) for i in (0, 1)),
    *((pose.ANKLES[i], pose.TOES[i], 0.05, 0.04) for i in (0, 1)),
    *((pose.SHOULDERS[i], pose.ELBOWS[i], 0.06, 0.05) for i in (0, 1)),
    *((pose.ELBOWS[i], pose.WRISTS[i], 0.05, 0.04) for i in (0, 1)),
    (pose.SHOULDERS[0], pose.HIPS[0], 0.10, 0.11),
    (pose.SHOULDERS[1], pose.HIPS[1], 0.10, 0.11),
    (pose.PELVIS, pose.NECK, 0.14, 0.13),
    (pose.NECK, pose.CROWN, 0.09, 0.08),
]
"""Joint, joint, radius, radius in metres: a body, roughly."""


def draw_shadows(image: UInt8Image, world: World, joints: Points, ball: Ball) -> None:
    """Darken the ground, in place.

    Args:
        image: The background.
        world: Camera and light.
        joints: ``(P, JOINTS, 3)`` metres.
        ball: Throws a shadow too, also in flight.
    """
    camera, light = world.camera, world.light
    mask: UInt8Image = np.zeros(image.shape[:2], np.uint8)
    rows = np.array([bar[:2] for bar in _BARS])
    radii = np.tile(np.array([bar[2:] for bar in _BARS]), (len(joints), 1))
    starts = np.concatenate([joints[:, rows[:, 0]].reshape(-1, 3), ball.position[None]])
    ends = np.concatenate([joints[:, rows[:, 1]].reshape(-1, 3), ball.position[None]])
    radii = np.concatenate([radii, np.full((1, 2), RADIUS)])
    for lamp in light.lamps:
        _throw(mask, world, (starts, ends, radii), lamp)
    middle = float(camera.scale(np.zeros(3)))
    sigma = max(light.softness * middle, world.softness, 0.4)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.uint8)
    touched = np.flatnonzero(mask.max(axis=1))
    if len(touched) == 0:
        return
    band = slice(int(touched[0]), int(touched[-1]) + 1)
    tint = light.shadow * np.array([1.06, 1.0, 0.9])
    levels = 1 - np.arange(256)[:, None] / 255 * tint  # (256, 3)
    table = np.round(levels * 255).astype(np.uint8)[None]
    factor = cv2.LUT(cv2.merge([mask[band]] * 3), table)
    image[band] = cv2.multiply(image[band], factor, scale=1 / 255)


def _throw(
    mask: UInt8Image, world: World, bars: tuple[Points, Points, Points], lamp: Points
) -> None:
    """Fill the shadows of round bars (starts, ends, radii) under one lamp, in place."""
    camera = world.camera
    starts, ends = (p - lamp * (p[:, 2:] / lamp[2]) for p in bars[:2])
    kept = (camera.view(starts)[:, 2] > 2) & (camera.view(ends)[:, 2] > 2)
    a, b = camera.project(starts[kept]), camera.project(ends[kept])
    flat = 0.72 * camera.scale(starts[kept])[:, None] * bars[2][kept]
    inside = ((a > -200) & (a < np.array([camera.width, camera.height]) + 200)).all(axis=1)
    outlines = capsules(a[inside], b[inside], flat[inside, 0], flat[inside, 1])
    fixed = np.round(outlines * 16 - 8).astype(np.int32)
    for outline in fixed:
        cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_AA, shift=4)
