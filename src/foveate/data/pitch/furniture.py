"""Round the pitch: advertising boards, goals, corner flags, and scraps that resemble the ball."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.data.pitch.camera import Camera, Points
from foveate.data.pitch.ground import HALF_LENGTH, HALF_WIDTH
from foveate.data.pitch.paint import Canvas, bar_outline, fill, paste_plane
from foveate.data.pitch.world import KIT_COLOURS, World
from foveate.structures import UInt8Image

BOARD_HEIGHT = 0.95
BOARD_TEXELS = 22
"""Pixels a metre of the boards' texture."""

GLYPHS = {
    "A": "2557555", "B": "6556556", "C": "3444443", "D": "6555556", "E": "7446447", "F": "7446444",
    "G": "3445553", "H": "5557555", "I": "7222227", "K": "5564655", "L": "4444447", "M": "5775555",
    "N": "6555555", "O": "2555552", "P": "6556444", "R": "6556555", "S": "3442116", "T": "7222222",
    "U": "5555557", "V": "5555522", "X": "5522255", "Z": "7112447",
    "0": "2555552", "1": "2622227", "2": "6112447", "3": "6112116", "4": "5557111", "5": "7446116",
    "6": "3446552", "7": "7112222", "8": "2552552", "9": "2553116",
}  # fmt: skip
"""Letters three wide and seven high: one octal digit a row, its bits from left to right."""
NAMES = (
    "FOVEA", "NORDLICHT", "TESSERA", "KAPTOR", "SILVA", "ORBITAL", "PELIKAN", "MIRADOR", "ZENIT",
    "HELIX", "CALDERA", "BRIO", "LUMEN", "TRAVERSE", "GRANIT", "SOLENA", "VARGO", "MAREVA",
)  # fmt: skip


def glyphs(text: str) -> NDArray[np.bool_]:
    """A line of letters as pixels, ``(7, 4 * len(text))``; unknown ones stay blank."""
    picture = np.zeros((7, 4 * len(text)), bool)
    for index, letter in enumerate(text):
        for row, digit in enumerate(GLYPHS.get(letter, "0000000")):
            for column in range(3):
                picture[row, 4 * index + column] = bool(int(digit) >> (2 - column) & 1)
    return picture


def draw_furniture(image: UInt8Image, world: World, rng: np.random.Generator) -> None:
    """Draw all of it, far to near, in place."""
    _draw_boards(image, world, rng)
    for side in (-1, 1):
        _draw_goal(image, world.camera, side)
        for flank in (-1, 1):
            _draw_flag(image, world, side * HALF_LENGTH, flank * HALF_WIDTH)
    _draw_litter(image, world.camera, rng)


def _draw_boards(image: UInt8Image, world: World, rng: np.random.Generator) -> None:
    far = HALF_WIDTH + world.stadium.margin
    end = HALF_LENGTH + world.stadium.margin + 0.8
    glow = 1.15 if world.light.kind == "flood" and rng.random() < 0.6 else rng.uniform(0.72, 0.95)
    up = np.array([0.0, 0.0, BOARD_HEIGHT])
    for origin, along in (
        (np.array([-end, -far, 0.0]), np.array([0.0, 2 * far, 0.0])),
        (np.array([end, far, 0.0]), np.array([0.0, -2 * far, 0.0])),
        (np.array([-end, far, 0.0]), np.array([2 * end, 0.0, 0.0])),
    ):
        texture = _paint_boards(rng, float(np.abs(along).sum()), float(glow))
        paste_plane(image, world.camera, texture, origin, (along, up))
    foot = np.array([[-end, far, 0], [end, far, 0], [end, far - 0.35, 0], [-end, far - 0.35, 0]])
    fill(image, [world.camera.outline(foot)], np.array([24.0, 34.0, 20.0]), 0.45)


def _paint_boards(rng: np.random.Generator, length: float, level: float) -> UInt8Image:
    """A row of boards with names and dots, ``(H, W, 3)``."""
    size = (round(BOARD_HEIGHT * BOARD_TEXELS), round(length * BOARD_TEXELS))
    strip = np.zeros((*size, 3), np.float32)
    at = 0
    while at < size[1]:
        width = round(float(rng.uniform(5.0, 9.0)) * BOARD_TEXELS)
        ground, ink = KIT_COLOURS[rng.choice(len(KIT_COLOURS), 2, replace=False)]
        if np.abs(ground - ink).sum() < 180:
            ink = KIT_COLOURS[0] if ground.mean() < 128 else KIT_COLOURS[1]
        board = strip[:, at : at + width]
        board[:] = ground
        _write(board, NAMES[int(rng.integers(len(NAMES)))], ink)
        if rng.random() < 0.6:
            y, x = np.mgrid[0 : size[0], 0 : board.shape[1]].astype(np.float32)
            spot = x - np.float32(rng.uniform(0.04, 0.96) * width), y - np.float32(size[0] / 2)
            part = np.clip(np.float32(rng.uniform(3, 8)) - np.hypot(*spot), 0, 1)[..., None]
            board += part * (ink.astype(np.float32) - board)
        at += width
        strip[:, max(at - 2, 0) : at] = 30
    strip[:2] *= 0.7
    lit: UInt8Image = np.clip(strip * np.float32(level), 0, 255).astype(np.uint8)
    return lit


def _write(board: Canvas, name: str, ink: Points) -> None:
    """Write a name into the middle of a board, in place, where it fits."""
    letters = glyphs(name).astype(np.float32)
    wide = cv2.resize(letters, (letters.shape[1] * 4, 12), interpolation=cv2.INTER_AREA)
    top, left = (board.shape[0] - 12) // 2, (board.shape[1] - wide.shape[1]) // 2
    if left > 0:
        area = board[top : top + 12, left : left + wide.shape[1]]
        area += np.asarray(wide, np.float32)[..., None] * (ink.astype(np.float32) - area)


def _visible(camera: Camera, points: Points) -> bool:
    return bool((camera.view(points)[..., 2] > 4).all())


def _draw_goal(image: UInt8Image, camera: Camera, side: int) -> None:
    """Posts, bar and net of one goal."""
    x, half, height, depth = side * HALF_LENGTH, 3.66, 2.44, 2.0
    posts = np.array([[x, -half, 0], [x, half, 0], [x, half, height], [x, -half, height]])
    back = posts + np.array([side * depth, 0, 0]) * np.array([[1], [1], [0.45], [0.45]])
    back[2:, 2] = height - 0.1
    if not _visible(camera, np.concatenate([posts, back])):
        return
    net = np.array([226.0, 228.0, 228.0])
    threads = []
    for a, b, c, d in (
        (back[0], back[1], back[2], back[3]),
        (posts[2], posts[3], back[3], back[2]),
        (posts[0], back[0], back[3], posts[3]),
        (posts[1], back[1], back[2], posts[2]),
    ):
        fill(image, [camera.project(np.stack([a, b, c, d]))], net, 0.1)
        for part in np.linspace(0, 1, 13):
            threads.append(bar_outline(camera, a + part * (b - a), d + part * (c - d), 0.035))
            threads.append(bar_outline(camera, a + part * (d - a), b + part * (c - b), 0.035))
    fill(image, threads, net, 0.32, 4)
    bars = ((posts[0], posts[3]), (posts[1], posts[2]), (posts[3], posts[2]))
    outlines = [bar_outline(camera, start, end, 0.13) for start, end in bars]
    fill(image, outlines, np.array([242.0, 243.0, 242.0]), 1.0, 4)


def _draw_flag(image: UInt8Image, world: World, x: float, y: float) -> None:
    foot = np.array([x, y, 0.0])
    if not _visible(world.camera, foot[None]):
        return
    top = foot + np.array([0, 0, 1.55])
    fill(image, [bar_outline(world.camera, foot, top, 0.05)], np.array([236.0, 232, 210]), 1.0, 4)
    cloth = np.stack([top, top + np.array([0.45, 0.1, -0.16]), top - np.array([0, 0, 0.36])])
    fill(image, [world.camera.project(cloth)], world.people[1].kit.shirt, 1.0, 4)


def _draw_litter(image: UInt8Image, camera: Camera, rng: np.random.Generator) -> None:
    """White and bright scraps, bottles and marker cones: of the ball's size, and not the ball."""
    for _ in range(int(rng.integers(5, 26))):
        side = 1 if rng.random() < 0.7 else -1
        x, y = rng.uniform(-HALF_LENGTH, HALF_LENGTH), side * rng.uniform(32.0, 38.0)
        if rng.random() < 0.3:
            y = rng.uniform(-HALF_WIDTH, HALF_WIDTH)
        size = rng.uniform(0.05, 0.13)
        centre = np.array([x, y, 0.02])
        if not _visible(camera, centre[None]):
            continue
        angle = np.linspace(0, 2 * np.pi, 5, endpoint=False) + rng.uniform(0, 6)
        shape = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle]) * size
        shape[:, :2] *= rng.uniform(0.5, 1.3, (5, 2))
        shape[:, 2] = rng.uniform(0, size, 5)
        bright = np.array([[230, 232, 230], [236, 226, 90], [232, 120, 50]])[int(rng.integers(3))]
        fill(image, [camera.project(centre + shape)], bright, 0.9, 4)
