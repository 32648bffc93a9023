"""A pinhole camera on the stand, in metres.

World: x along the pitch, y across it away from the camera, z up; the centre spot is the origin,
so the touchlines are y = -34 and y = 34 and the goal lines x = -52.5 and x = 52.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from foveate.data.pitch.config import PitchConfig

Points: TypeAlias = NDArray[np.float64]
"""``(..., 3)`` metres in the world or ``(..., 2)`` pixels in the picture."""

NEAR = 1.0
"""Nothing nearer to the camera than this many metres is drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Where the camera is and how it looks.

    Attributes:
        position: ``(3,)`` metres.
        axes: ``(3, 3)`` rows: right, down, forward, unit vectors in the world.
        focal: Focal length in pixels.
        width: Pixels.
        height: Pixels.
    """

    position: Points
    axes: Points
    focal: float
    width: int
    height: int

    @classmethod
    def look(
        cls,
        position: Points,
        yaw: float,
        pitch: float,
        roll: float,
        focal: float,
        config: PitchConfig,
    ) -> Camera:
        """Place a camera that looks along +y, turned by ``yaw``, down by ``pitch`` (radians)."""
        forward = np.array(
            [np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), -np.sin(pitch)]
        )
        right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
        down = np.cross(forward, right)
        turned = np.cos(roll) * right + np.sin(roll) * down
        axes = np.stack([turned, np.cross(forward, turned), forward])
        return cls(position, axes, focal, config.width, config.height)

    def view(self, points: Points) -> Points:
        """World to camera coordinates (right, down, forward), metres."""
        seen: Points = (np.asarray(points, np.float64) - self.position) @ self.axes.T
        return seen

    def project(self, points: Points) -> Points:
        """World metres to picture pixels, ``(..., 2)``; points must lie before the camera."""
        seen = self.view(points)
        centre = np.array([self.width / 2, self.height / 2])
        pixels: Points = self.focal * seen[..., :2] / np.maximum(seen[..., 2:], 1e-6) + centre
        return pixels

    def scale(self, points: Points) -> Points:
        """Pixels a metre at these points, ``(...)``."""
        scale: Points = self.focal / np.maximum(self.view(points)[..., 2], NEAR)
        return scale

    def outline(self, polygon: Points) -> Points:
        """Project a flat convex polygon ``(N, 3)``, cut to what the camera can see, ``(M, 2)``.

        The cut leaves a margin of half a picture on each side, so that no cut edge is seen.
        """
        seen = self.view(polygon)
        reach_x, reach_y = self.width / self.focal, self.height / self.focal
        planes = [[0, 0, 1], [1, 0, reach_x], [-1, 0, reach_x], [0, 1, reach_y], [0, -1, reach_y]]
        for plane, offset in zip(np.array(planes, np.float64), (NEAR, 0, 0, 0, 0), strict=True):
            seen = _cut(seen, plane, offset)
        if len(seen) < 3:
            return np.zeros((0, 2))
        centre = np.array([self.width / 2, self.height / 2])
        pixels: Points = self.focal * seen[:, :2] / seen[:, 2:] + centre
        return pixels

    def plane(self, origin: Points, along: Points, up: Points) -> Points:
        """Homography ``(3, 3)`` from (u, v, 1) to the pixels of ``origin + u * along + v * up``."""
        columns = np.stack([along, up, origin - self.position], axis=1)  # (3, 3)
        centre = np.array(
            [
                [self.focal, 0.0, self.width / 2],
                [0.0, self.focal, self.height / 2],
                [0.0, 0.0, 1.0],
            ]
        )
        homography: Points = centre @ self.axes @ columns
        return homography


def _cut(polygon: Points, plane: Points, offset: float) -> Points:
    """Keep the part of a polygon where ``plane @ point >= offset`` (Sutherland and Hodgman)."""
    inside = polygon @ plane - offset
    if (inside >= 0).all():
        return polygon
    kept: list[Points] = []
    for index, value in enumerate(inside):
        after = (index + 1) % len(polygon)
        if value >= 0:
            kept.append(polygon[index])
        if (value >= 0) != (inside[after] >= 0):
            part = value / (value - inside[after])
            kept.append(polygon[index] + part * (polygon[after] - polygon[index]))
    return np.array(kept).reshape(-1, 3)


def place_camera(rng: np.random.Generator, config: PitchConfig) -> Camera:
    """Draw a camera on the main stand that sees most of the pitch, and not too much else."""
    camera = _draw_camera(rng, config)
    for _ in range(200):
        far_line = camera.project(np.array([0.0, 34.0, 0.0]))[1] / config.height
        if 0.15 <= far_line <= 0.36:
            break
        camera = _draw_camera(rng, config)
    return camera


def _draw_camera(rng: np.random.Generator, config: PitchConfig) -> Camera:
    size = config.width / 2560
    height = rng.uniform(16.0, 28.0)
    back = rng.uniform(14.0, 26.0)
    side = rng.uniform(-16.0, 16.0)
    focal = rng.uniform(1200.0, 1620.0) * size
    foreground = rng.uniform(1.5, 5.5)
    half_view = np.arctan(config.height / 2 / focal)
    pitch = np.arctan(height / (back - foreground)) - half_view
    yaw = np.arctan(-side * rng.uniform(0.0, 1.0) / (back + 34.0)) + rng.normal(0, 0.04)
    roll = rng.normal(0, 0.006)
    position = np.array([side, -34.0 - back, height])
    return Camera.look(position, float(yaw), float(pitch), float(roll), float(focal), config)
