"""The ball: its flight and how it looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveate.data.pitch.camera import Camera, Points
from foveate.data.pitch.cutout import MARGIN, Cutout, fill, shrink
from foveate.data.pitch.world import Colour

RADIUS = 0.11
GRAVITY, DRAG, ROLLING = 9.81, 0.0135, 1.25
"""m/s2; 1/m (drag over mass for a football); m/s2 on grass."""
BOUNCE = 0.58

_GOLDEN = (1 + 5**0.5) / 2
_CORNERS = np.array(
    [(0, a, b * _GOLDEN) for a in (-1, 1) for b in (-1, 1)]
    + [(a, b * _GOLDEN, 0) for a in (-1, 1) for b in (-1, 1)]
    + [(b * _GOLDEN, 0, a) for a in (-1, 1) for b in (-1, 1)]
) / np.sqrt(1 + _GOLDEN**2)  # fmt: skip
"""Centres of the twelve dark patches, ``(12, 3)`` on the unit sphere."""


@dataclass(slots=True, eq=False)
class Ball:
    """Place, speed and turn of the ball.

    Attributes:
        position: ``(3,)`` centre, metres.
        velocity: ``(3,)`` metres a second.
        turn: ``(3, 3)`` rotation.
    """

    position: Points
    velocity: Points
    turn: Points

    def step(self, seconds: float) -> None:
        """Fly, bounce or roll on, in place."""
        speed = float(np.linalg.norm(self.velocity))
        airborne = self.position[2] > RADIUS + 0.01 or self.velocity[2] > 0.3
        if airborne:
            self.velocity = self.velocity * (1 - DRAG * speed * seconds)
            self.velocity[2] -= GRAVITY * seconds
        elif speed > 0:
            self.velocity = self.velocity * max(1 - ROLLING * seconds / speed, 0.0)
            self.velocity[2] = 0.0
        self.position = self.position + self.velocity * seconds
        if self.position[2] < RADIUS:
            self.position[2] = RADIUS
            fall = -self.velocity[2]
            if fall > 0.8:
                self.velocity = self.velocity * 0.88
            self.velocity[2] = BOUNCE * fall if fall > 0.8 else 0.0
        self._spin(seconds)

    def _spin(self, seconds: float) -> None:
        """Turn as a ball does that rolls over the ground (Rodrigues)."""
        axis = np.array([-self.velocity[1], self.velocity[0], 0.0])
        speed = float(np.linalg.norm(axis))
        if speed < 0.05:
            return
        x, y, _ = axis / speed
        angle = min(speed / RADIUS, 60.0) * seconds
        cross = np.array([[0, 0, y], [0, 0, -x], [-y, x, 0.0]])
        turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        self.turn = turn @ self.turn


def draw_ball(camera: Camera, ball: Ball, colours: Points, lamp: Points, room: int) -> Cutout:
    """Paint the ball, without blur.

    Args:
        camera: The camera.
        ball: Where it is.
        colours: ``(2, 3)``: its own and that of its twelve patches, RGB.
        lamp: ``(3,)`` unit vector towards the brightest light.
        room: Pixels kept free round it, for its smear.
    """
    centre = camera.project(ball.position)
    radius = float(camera.scale(ball.position)) * RADIUS
    scale = 16 if radius < 4 else 8
    half = int(np.ceil(radius)) + MARGIN + room
    corner = np.floor(centre).astype(int) - half
    canvas = np.zeros((2 * half * scale + scale, 2 * half * scale + scale, 4), np.uint8)
    middle, size = (centre - corner) * scale, radius * scale
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    light = camera.axes @ lamp
    for level, share in ((0.6, 1.0), (0.79, 0.9), (0.95, 0.72), (1.0, 0.5)):
        move = (1 - share) * 0.8 * light[:2]
        red, green, blue = (level * colours[0]).tolist()
        fill(canvas, middle + size * (circle * share + move), (red, green, blue, 255.0))
    seen = _CORNERS @ ball.turn.T @ camera.axes.T  # (12, 3), z away from the camera
    for spot in seen[seen[:, 2] < -0.25]:
        _patch(canvas, middle, size, spot, colours[1])
    pixels = shrink(canvas, scale)
    pixels[..., 3] /= 255
    return Cutout(int(corner[0]), int(corner[1]), pixels)


def _patch(
    canvas: NDArray[np.uint8], middle: Points, size: float, spot: Points, colour: Colour
) -> None:
    """One dark pentagon, flattened towards the rim."""
    out = spot[:2] / max(float(np.hypot(*spot[:2])), 1e-6)
    side = np.array([-out[1], out[0]])
    angle = np.linspace(0, 2 * np.pi, 5, endpoint=False)
    shape = np.cos(angle)[:, None] * out * -spot[2] + np.sin(angle)[:, None] * side
    red, green, blue = colour.tolist()
    fill(canvas, middle + size * (spot[:2] + 0.33 * shape), (red, green, blue, 255.0))
