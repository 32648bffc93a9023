"""People as articulated figures: limbs with volume, a kit, and light from above."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.data.pitch import pose
from foveate.data.pitch.camera import Camera, Points
from foveate.data.pitch.cutout import MARGIN, Cutout, capsules, fill, shrink
from foveate.data.pitch.furniture import glyphs
from foveate.data.pitch.world import Person

LAYERS = ((0.70, 1.0, 0.0), (0.98, 0.80, 0.16), (1.14, 0.42, 0.42))
"""A limb is painted thrice: brightness, share of its radius, shift towards the light in radii."""


@dataclass(slots=True, eq=False)
class _Limbs:
    """P round limbs to paint."""

    starts: list[Points]
    ends: list[Points]
    radii: list[tuple[float, float]]
    colours: list[Points]

    def add(self, start: Points, end: Points, radii: tuple[float, float], colour: Points) -> None:
        self.starts.append(start)
        self.ends.append(end)
        self.radii.append(radii)
        self.colours.append(colour)


def _legs(limbs: _Limbs, joints: Points, person: Person) -> None:
    kit = person.kit
    for index in (0, 1):
        hip, knee = joints[pose.HIPS[index]], joints[pose.KNEES[index]]
        ankle, toe = joints[pose.ANKLES[index]], joints[pose.TOES[index]]
        limbs.add(hip + 0.4 * (knee - hip), knee, (0.078, 0.056), person.skin)
        limbs.add(knee, knee + 0.25 * (ankle - knee), (0.056, 0.055), person.skin)
        limbs.add(knee + 0.2 * (ankle - knee), ankle, (0.060, 0.042), kit.socks)
        limbs.add(ankle, toe, (0.045, 0.036), person.boots)
        limbs.add(hip, hip + 0.62 * (knee - hip), (0.100, 0.105), kit.shorts)


def _arms(limbs: _Limbs, joints: Points, person: Person) -> None:
    kit = person.kit
    sleeve = kit.second if kit.pattern == "sleeves" else kit.shirt
    for index in (0, 1):
        shoulder, elbow = joints[pose.SHOULDERS[index]], joints[pose.ELBOWS[index]]
        wrist = joints[pose.WRISTS[index]]
        covered = sleeve if person.long_sleeves else person.skin
        limbs.add(shoulder + 0.4 * (elbow - shoulder), elbow, (0.046, 0.042), covered)
        limbs.add(elbow, wrist, (0.043, 0.034), covered)
        limbs.add(wrist, wrist + 0.3 * (wrist - elbow), (0.042, 0.036), person.skin)
        limbs.add(shoulder, shoulder + 0.55 * (elbow - shoulder), (0.068, 0.062), sleeve)


def _head(limbs: _Limbs, joints: Points, person: Person, facing: Points) -> None:
    head, crown = joints[pose.HEAD], joints[pose.CROWN]
    limbs.add(joints[pose.NECK], head, (0.055, 0.055), person.skin)
    limbs.add(head + 0.02 * facing, head - 0.3 * (crown - head), (0.098, 0.08), person.skin)
    if person.hair_size > 0:
        top = head + 0.35 * (crown - head)
        limbs.add(
            top - 0.03 * facing, top - 0.015 * facing, (0.1 * person.hair_size,) * 2, person.hair
        )


def _torso(joints: Points) -> list[tuple[Points, Points, tuple[float, float]]]:
    """Round bars whose hull is the torso: across the shoulders, the chest and the waist."""
    left, right = joints[pose.SHOULDERS[0]], joints[pose.SHOULDERS[1]]
    pelvis, neck = joints[pose.PELVIS], joints[pose.NECK]
    across = (left - right) / max(float(np.linalg.norm(left - right)), 1e-6)
    waist = pelvis + 0.08 * (neck - pelvis)
    return [
        (left, right, (0.070, 0.070)),
        (
            pelvis + 0.62 * (neck - pelvis) + 0.07 * across,
            pelvis + 0.62 * (neck - pelvis) - 0.07 * across,
            (0.125, 0.125),
        ),
        (waist + 0.065 * across, waist - 0.065 * across, (0.112, 0.112)),
    ]


def draw_figure(camera: Camera, joints: Points, person: Person, lamp: Points) -> Cutout:
    """Paint one person.

    Args:
        camera: The camera.
        joints: ``(JOINTS, 3)`` metres.
        person: Looks.
        lamp: ``(3,)`` unit vector towards the brightest light.

    Returns:
        The figure, without blur, lit as in full light.
    """
    painter = _Painter.around(camera, joints, person, lamp)
    facing = np.cross(joints[pose.SHOULDERS[1]] - joints[pose.SHOULDERS[0]], np.array([0, 0, 1.0]))
    facing = -facing / max(float(np.linalg.norm(facing)), 1e-6)
    limbs = _Limbs([], [], [], [])
    _legs(limbs, joints, person)
    _arms(limbs, joints, person)
    body = len(limbs.starts)
    _head(limbs, joints, person, facing)
    starts, ends = np.array(limbs.starts), np.array(limbs.ends)
    away = np.linalg.norm((starts + ends) / 2 - camera.position, axis=1)
    middle = np.linalg.norm((joints[pose.PELVIS] + joints[pose.NECK]) / 2 - camera.position)
    order = np.argsort(-away[:body], kind="stable")
    outlines = painter.outlines(starts, ends, np.array(limbs.radii))
    levels = np.array([level for level, _, _ in LAYERS])
    colours = np.array(limbs.colours)[:, None] * levels[:, None]  # (P, 3, 3)
    painter.limbs(outlines, colours, [i for i in order if away[i] > middle])
    painter.torso(joints, person, facing)
    painter.limbs(outlines, colours, [i for i in order if away[i] <= middle])
    painter.limbs(outlines, colours, list(range(body, len(starts))))
    return painter.cutout()


@dataclass(slots=True, eq=False)
class _Painter:
    """A canvas ``scale`` times finer than the picture, about one person."""

    camera: Camera
    canvas: NDArray[np.uint8]
    corner: Points
    scale: int
    metre: float
    towards: Points
    build: float

    @classmethod
    def around(cls, camera: Camera, joints: Points, person: Person, lamp: Points) -> _Painter:
        size = person.height / 1.8
        metre = float(camera.scale(joints.mean(axis=0)))
        pixels = camera.project(joints)
        low = np.floor(pixels.min(axis=0) - 0.16 * size * metre).astype(int) - MARGIN
        high = np.ceil(pixels.max(axis=0) + 0.16 * size * metre).astype(int) + MARGIN
        scale = int(np.clip(round(260 / max(metre * 1.8, 1)), 3, 8))
        width, height = (high - low) * scale
        centre = joints[pose.PELVIS]
        step = camera.project(np.stack([centre, centre + 0.2 * lamp]))
        towards = (step[1] - step[0]) / max(float(np.hypot(*(step[1] - step[0]))), 1e-6)
        towards = 0.75 * towards + np.array([0, -0.5])
        canvas = np.zeros((height, width, 4), np.uint8)
        return cls(
            camera, canvas, low.astype(np.float64), scale, metre, towards, size * person.build
        )

    def place(self, points: Points) -> Points:
        """World metres to canvas pixels."""
        pixels: Points = (self.camera.project(points) - self.corner) * self.scale
        return pixels

    def outlines(self, starts: Points, ends: Points, radii: Points) -> Points:
        """Every layer of every limb on the canvas, ``(P, layers, 16, 2)``."""
        begin, end = self.place(starts), self.place(ends)
        size = radii * self.build * self.metre * self.scale  # (P, 2)
        share = np.array([layer[1] for layer in LAYERS])
        shift = np.array([layer[2] for layer in LAYERS])[:, None] * self.towards  # (layers, 2)
        begins = begin[:, None] + shift * size[:, None, :1]
        stops = end[:, None] + shift * size[:, None, 1:]
        shrunk = (size[:, None] * share[:, None]).reshape(-1, 2)
        flat = capsules(begins.reshape(-1, 2), stops.reshape(-1, 2), shrunk[:, 0], shrunk[:, 1])
        return flat.reshape(len(starts), len(LAYERS), -1, 2)

    def limbs(self, outlines: Points, colours: Points, order: list[int]) -> None:
        """Paint limbs in this order, each from its rim to its bright side."""
        for index in order:
            for outline, colour in zip(outlines[index], colours[index], strict=True):
                self.paint(outline, colour)

    def paint(self, outline: Points, colour: Points) -> None:
        """Fill a convex polygon of canvas pixels."""
        red, green, blue = colour.tolist()
        fill(self.canvas, outline, (min(red, 255.0), min(green, 255.0), min(blue, 255.0), 255.0))

    def torso(self, joints: Points, person: Person, facing: Points) -> None:
        """Paint pelvis and shirt with its pattern, and the number on the back."""
        kit = person.kit
        bars = _torso(joints)
        hips = (joints[pose.HIPS[0]], joints[pose.HIPS[1]], (0.112, 0.112))
        self._hull([hips], kit.shorts)
        self._hull(bars, kit.shirt)
        self._pattern(joints, person)
        towards = self.camera.position - joints[pose.PELVIS]
        if facing @ towards < 0 and self.metre * 1.8 > 38:
            self._number(joints, person)

    def _hull(self, bars: list[tuple[Points, Points, tuple[float, float]]], colour: Points) -> None:
        starts = self.place(np.array([bar[0] for bar in bars]))
        ends = self.place(np.array([bar[1] for bar in bars]))
        radii = np.array([bar[2] for bar in bars]) * self.build * self.metre * self.scale
        for level, share, shift in LAYERS[:2]:
            move = shift * radii.mean() * self.towards
            inset = radii - radii.mean() * (1 - share) * 0.7
            outlines = capsules(starts + move, ends + move, inset[:, 0], inset[:, 1])
            points = outlines.reshape(-1, 2).astype(np.float32)
            hull = np.asarray(cv2.convexHull(points), np.float64).reshape(-1, 2)
            self.paint(hull, colour * level)

    def _grid(self, joints: Points) -> Points:
        """Corners of the shirt on the canvas, ``(2, 2, 2)``: top and bottom, left and right."""
        left, right = joints[pose.SHOULDERS[0]], joints[pose.SHOULDERS[1]]
        hips = joints[pose.HIPS[0]] - joints[pose.HIPS[1]]
        waist = joints[pose.PELVIS] + 0.05 * (joints[pose.NECK] - joints[pose.PELVIS])
        spread = hips * 0.85
        return self.place(np.array([[left, right], [waist + spread, waist - spread]]))

    def _quad(self, grid: Points, u1: float, v1: float, u2: float, v2: float) -> Points:
        """Part of the shirt: u from left to right, v from the shoulders down, 0 to 1."""

        def point(u: float, v: float) -> Points:
            top, bottom = (
                grid[0, 0] + u * (grid[0, 1] - grid[0, 0]),
                grid[1, 0] + u * (grid[1, 1] - grid[1, 0]),
            )
            place: Points = top + v * (bottom - top)
            return place

        return np.stack([point(u1, v1), point(u2, v1), point(u2, v2), point(u1, v2)])

    def _pattern(self, joints: Points, person: Person) -> None:
        kit, grid = person.kit, self._grid(joints)
        quads = {
            "stripes": [(u - 0.1, -0.06, u + 0.1, 1.0) for u in (0.1, 0.5, 0.9)],
            "hoops": [(-0.12, v, 1.12, v + 0.17) for v in (0.12, 0.46, 0.8)],
            "halves": [(0.5, -0.06, 1.12, 1.0)],
        }
        for quad in quads.get(kit.pattern, []):
            self.paint(self._quad(grid, *quad), kit.second * 0.96)
        if kit.pattern == "sash":
            corners = [
                self._quad(grid, u, v, u, v)[0] for u, v in ((0, 0), (0.3, 0), (1, 0.9), (0.7, 0.9))
            ]
            self.paint(np.stack(corners), kit.second * 0.96)

    def _number(self, joints: Points, person: Person) -> None:
        grid = self._grid(joints)
        picture = glyphs(str(person.number))[:, :-1]
        rows, columns = picture.shape
        wide = 0.17 * columns / 3
        for row, column in zip(*np.nonzero(picture), strict=True):
            u, v = 0.5 + wide * (2 * column / columns - 1), 0.2 + 0.4 * row / rows
            step = 2 * wide / columns
            quad = self._quad(grid, u, v, u + step, v + 0.4 / rows)
            self.paint(quad, person.kit.number)

    def cutout(self) -> Cutout:
        """The figure at the picture's own size."""
        pixels = shrink(self.canvas, self.scale)
        pixels[..., 3] /= 255
        x, y = self.corner.astype(int)
        return Cutout(int(x), int(y), pixels)
