"""Stands and their crowd: thousands of heads that are nobody to detect."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from foveate.data.pitch.camera import Points
from foveate.data.pitch.ground import HALF_LENGTH, HALF_WIDTH
from foveate.data.pitch.paint import Canvas, fill, paste_plane, smooth_noise
from foveate.data.pitch.world import KIT_COLOURS, SKIN, World
from foveate.structures import UInt8Image

SEAT, ROW_DEPTH, ROW_RISE = 0.52, 0.85, 0.46
GAP = 2.6
"""Metres: between seats, between rows, a row above the last; between boards and stand."""
CELL_X, CELL_Y = 8, 13
"""Pixels of a seat in the crowd's texture."""
ROWS, SEATS = 30, 250
"""Size of the one crowd that is painted; stands show parts of it."""


def draw_stands(image: UInt8Image, world: World, rng: np.random.Generator) -> None:
    """Draw the stands opposite and behind the goals, in place."""
    far = HALF_WIDTH + world.stadium.margin
    end = HALF_LENGTH + world.stadium.margin + 0.8
    shine = {"sun": 0.82, "cloud": 0.78, "flood": 0.62}[world.light.kind]
    crowd = paint_crowd(rng, world)
    for side, front, start, stop in (
        (-1, -end, -56.0, far + 3.0),
        (1, end, -56.0, far + 3.0),
        (0, far, -end - 3.0, end + 3.0),
    ):
        level = shine * float(rng.uniform(0.85, 1.1))
        _Stand(image, world, crowd, side, front, start, stop, level).draw(rng)


@dataclass(slots=True, eq=False)
class _Stand:
    """One stand: front wall, lower tier, fascia, upper tier, back wall and roof.

    ``side``: 0 opposite the camera, -1 and 1 behind the goals; ``front``: where it begins;
    ``start`` and ``stop``: its ends alongside the pitch, metres.
    """

    image: UInt8Image
    world: World
    crowd: UInt8Image
    side: int
    front: float
    start: float
    stop: float
    level: float

    def draw(self, rng: np.random.Generator) -> None:
        stadium, level = self.world.stadium, self.level
        concrete = np.array([120.0, 122.0, 126.0]) * level
        self.wall(0, 0, 1.15, concrete * 0.8)
        back, top = self.tier(rng, (0.0, 1.15), stadium.rows, ROW_RISE, level)
        if stadium.upper_rows:
            self.wall(back, top, top + 2.2, concrete * 0.42)
            fascia = self.world.people[1].kit.shirt * 0.5 * level
            self.wall(back - 0.8, top + 1.7, top + 2.7, fascia)
            corner = (back - 0.8, top + 2.7)
            back, top = self.tier(rng, corner, stadium.upper_rows, ROW_RISE * 1.3, level * 0.88)
        self.wall(back, top, top + 3.2, concrete * 0.45)
        if stadium.roof:
            self.roof(back, top)

    def corner(self, at: float, out: float, height: float) -> Points:
        """A point ``at`` metres alongside, ``out`` metres behind the front."""
        if self.side == 0:
            return np.array([at, self.front + GAP + out, height])
        return np.array([self.front + self.side * (GAP + out), at, height])

    def wall(self, out: float, low: float, high: float, colour: Points) -> None:
        shape = [self.corner(self.start, out, low), self.corner(self.stop, out, low)]
        shape += [self.corner(self.stop, out, high), self.corner(self.start, out, high)]
        fill(self.image, [self.world.camera.outline(np.array(shape))], colour)

    def roof(self, back: float, top: float) -> None:
        front = 0.45 * back
        shape = [
            self.corner(self.start, front, top + 4.4),
            self.corner(self.stop, front, top + 4.4),
        ]
        shape += [self.corner(self.stop, back, top + 3.2), self.corner(self.start, back, top + 3.2)]
        sheet = np.array([104.0, 107.0, 112.0]) * self.level
        fill(self.image, [self.world.camera.outline(np.array(shape))], sheet)
        self.wall(front, top + 4.0, top + 4.7, sheet * 1.5)

    def tier(
        self,
        rng: np.random.Generator,
        foot: tuple[float, float],
        rows: int,
        rise: float,
        shine: float,
    ) -> tuple[float, float]:
        """Draw rows of seats from ``foot`` (out, height) up; returns their upper edge."""
        out, height = foot
        back, top = out + rows * ROW_DEPTH, height + rows * rise
        seats = int((self.stop - self.start) / SEAT)
        first = int(rng.integers(SEATS))
        low = CELL_Y * int(rng.integers(max(ROWS - rows, 0) + 1))
        origin = self.corner(self.start, out, height)
        along, up = (
            self.corner(self.stop, out, height) - origin,
            self.corner(self.start, back, top) - origin,
        )
        lean = self.lean(origin + 0.6 * along + 0.5 * up, along, up, rows) if self.side else 0.0
        part = np.roll(self.crowd, -CELL_X * first, axis=1)[low:, : CELL_X * seats]
        part = _shear(part[: CELL_Y * rows], lean)
        aisles = (np.arange(seats) + int(rng.integers(20))) % int(rng.integers(24, 34)) < 2
        steps = 120 + 26 * (np.arange(len(part)) % CELL_Y < CELL_Y / 2)
        part[:, np.repeat(aisles, CELL_X)] = steps[:, None, None]
        texture = np.asarray(cv2.convertScaleAbs(part, alpha=shine), np.uint8)
        paste_plane(self.image, self.world.camera, texture, origin, (along, up))
        return back, top

    def lean(self, place: Points, along: Points, up: Points, rows: int) -> float:
        """Texture pixels to the side for one up, so that people stand upright in the picture."""
        across = along / np.linalg.norm(along)
        ends = np.stack([place, place + across, place + up / rows])
        pixels = self.world.camera.project(ends)
        jacobian = np.column_stack([pixels[1] - pixels[0], pixels[2] - pixels[0]])
        side, rise = np.linalg.solve(jacobian, np.array([0.0, -1.0]))
        return float(np.clip(side * CELL_X / SEAT / max(rise * CELL_Y, 1e-6), -2.5, 2.5))


def _shear(texture: UInt8Image, lean: float) -> UInt8Image:
    """Shift each line of every row of seats sideways by ``lean`` pixels a line, as a copy."""
    sheared = texture.copy()
    for line in range(CELL_Y):
        shift = round(lean * (CELL_Y / 2 - line))
        sheared[line::CELL_Y] = np.roll(texture[line::CELL_Y], shift, axis=1)
    return sheared


def paint_crowd(rng: np.random.Generator, world: World) -> UInt8Image:
    """Seats and people, ``(ROWS * CELL_Y, SEATS * CELL_X, 3)``."""
    stadium, size = world.stadium, (ROWS, SEATS)
    y, x = np.mgrid[0:CELL_Y, 0:CELL_X].astype(np.float32) + np.float32(0.5)
    head, body = _silhouettes(rng, x, y)
    look = rng.integers(len(head), size=size)
    density = stadium.attendance * (1 + 0.22 * smooth_noise(rng, size, 3))
    taken = (rng.random(size) < density).astype(np.float32)[..., None, None]
    fans = world.people[1].kit.shirt if rng.random() < 0.7 else world.people[12].kit.shirt
    clothes = _clothes(rng, size, fans)
    skin = SKIN[np.searchsorted([0.34, 0.62, 0.78, 0.88, 0.95], rng.random(size))]
    skin = np.where((rng.random(size) < 0.3)[..., None], clothes * 0.8 + 20, skin)
    seat = stadium.seat * (0.55 + 0.4 * ((y > 5) & (y < 11)))[..., None]
    cells = np.empty((ROWS, CELL_Y, SEATS, CELL_X, 3), np.float32)
    cells[:] = seat[None, :, None]
    for mask, colour in ((body, clothes), (head, skin)):
        part = (mask[look] * taken).transpose(0, 2, 1, 3)[..., None]
        cells += part * (colour[:, None, :, None].astype(np.float32) - cells)
    picture = cells.reshape(ROWS * CELL_Y, SEATS * CELL_X, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _silhouettes(rng: np.random.Generator, x: Canvas, y: Canvas) -> tuple[Canvas, Canvas]:
    """Masks of a dozen seated people, heads and bodies, ``(12, CELL_Y, CELL_X)`` each."""
    centre = CELL_X / 2 + rng.uniform(-1.0, 1.0, (12, 1, 1)).astype(np.float32)
    raised = rng.uniform(-1.2, 1.2, (12, 1, 1)).astype(np.float32)
    head = np.clip(np.float32(2.1) - np.hypot(x - centre, y - 2.9 - raised), 0, 1)
    body = np.clip(3.6 - np.abs(x - centre) - np.clip(6.2 + raised - y, 0, 9), 0, 1)
    body = body * np.clip(y - 4.4 - raised, 0, 1)
    return head.astype(np.float32), body.astype(np.float32)


def _clothes(rng: np.random.Generator, size: tuple[int, int], fans: Points) -> Points:
    """Mostly dark, some in the team's colour, a few bright or light, ``(rows, seats, 3)``."""
    dice = rng.random(size)[..., None]
    dark = rng.uniform(22, 92, (*size, 1)) + rng.normal(0, 7, (*size, 3))
    light = rng.uniform(150, 226, (*size, 1)) + rng.normal(0, 6, (*size, 3))
    bright = KIT_COLOURS[rng.integers(len(KIT_COLOURS), size=size)] * 0.85
    team = fans * rng.uniform(0.7, 1.0, (*size, 1))
    warm = np.where(dice < 0.7, team, np.where(dice < 0.86, bright, light))
    return np.clip(np.where(dice < 0.44, dark, warm), 12, 235)
