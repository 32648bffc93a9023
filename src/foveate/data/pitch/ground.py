"""Grass, mowing, wear and lines: the ground, painted from above and seen in perspective."""

from __future__ import annotations

import cv2
import numpy as np

from foveate.data.pitch.camera import Camera, Points
from foveate.data.pitch.paint import (
    Canvas,
    add_grey,
    byte_noise,
    fill_mask,
    scale_light,
    smooth_noise,
)
from foveate.data.pitch.world import Light, Stadium, World
from foveate.structures import UInt8Image

HALF_LENGTH, HALF_WIDTH = 52.5, 34.0
LINE_WIDTH = 0.12
REACH_X, REACH_Y = 72.0, 52.0
"""Half size in metres of the painted ground."""
COARSE, FINE = 4, 8
"""Pixels a metre of its colours and of its tufts."""


def draw_ground(image: UInt8Image, world: World, rng: np.random.Generator) -> None:
    """Draw grass, its surroundings and the lines below the horizon, in place."""
    camera = world.camera
    corners = np.array([[-900, 900, 0], [900, 900, 0], [900, -90, 0], [-900, -90, 0]], np.float64)
    outline = camera.outline(corners)
    if len(outline) == 0:
        return
    top = int(np.clip(np.floor(outline[:, 1].min()), 0, camera.height - 1))
    to_world = np.array([[1 / FINE, 0, -REACH_X], [0, 1 / FINE, -REACH_Y], [0, 0, 1]])
    shift = np.array([[1.0, 0, 0], [0, 1, -top], [0, 0, 1]])
    homography = shift @ _ground_plane(camera) @ to_world
    size = (camera.width, camera.height - top)
    texture = paint_ground(rng, world.stadium, world.light)
    edge = texture[0].mean(axis=0).tolist()
    seen = cv2.warpPerspective(texture, homography, size, borderValue=edge)
    mask = fill_mask((size[1], size[0]), [outline - np.array([0, top])])
    cv2.copyTo(seen, mask, image[top:])
    _add_grain(image, camera, rng)
    _draw_lines(image, camera, world.stadium, rng)
    if len(world.light.shade):
        scale_light(image, _shade(camera, world.light))


def _ground_plane(camera: Camera) -> Points:
    return camera.plane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))


def paint_ground(rng: np.random.Generator, stadium: Stadium, light: Light) -> UInt8Image:
    """The ground from above without lines, ``(H, W, 3)`` RGB, `FINE` pixels a metre."""
    x = ((np.arange(2 * REACH_X * COARSE) + 0.5) / COARSE - REACH_X).astype(np.float32)
    y = ((np.arange(2 * REACH_Y * COARSE) + 0.5) / COARSE - REACH_Y).astype(np.float32)
    size = (len(y), len(x))
    blotches = 0.022 * smooth_noise(rng, size, 9) + 0.025 * smooth_noise(rng, size, 34)
    level = (1 + blotches + _mowing(stadium, x, y))[..., None]
    dry = np.clip(_wear(stadium, x, y) * (0.75 + 0.5 * smooth_noise(rng, size, 60)), 0, 0.85)
    dry += np.clip(0.05 * smooth_noise(rng, size, 20), 0, 1) * np.float32(0.4 + stadium.wear)
    soil = np.array([146.0, 124.0, 82.0]) * (stadium.grass.mean() / 88)
    grass = stadium.grass.astype(np.float32)
    colours = grass + dry[..., None] * (soil.astype(np.float32) - grass)
    out = np.maximum(np.abs(x)[None] - HALF_LENGTH, np.abs(y)[:, None] - HALF_WIDTH)  # metres
    street = np.array([34.0, 36, 38]) if light.kind == "flood" else np.array([76.0, 84, 66])
    margin = stadium.margin
    for start, colour in (
        (2.2, stadium.surround),
        (margin - 0.6, stadium.track),
        (margin + 2, street),
    ):
        part = np.clip((out - start) * COARSE + 0.5, 0, 1)[..., None]
        colours += part * (colour.astype(np.float32) - colours)
    coarse = np.clip(colours * level, 0, 255).astype(np.uint8)
    full = (len(x) * FINE // COARSE, len(y) * FINE // COARSE)
    texture = np.asarray(cv2.resize(coarse, full, interpolation=cv2.INTER_LINEAR), np.uint8)
    tufts = 4.0 * smooth_noise(rng, full[::-1], 220) + 3.8 * byte_noise(rng, full[::-1])
    add_grey(texture, tufts * np.float32(stadium.grass[1] / 118))
    return texture


def _mowing(stadium: Stadium, x: Canvas, y: Canvas) -> Canvas:
    bands = np.sign(np.sin(np.pi * (x + HALF_LENGTH) / stadium.band))[None]
    rows = np.sign(np.sin(np.pi * (y + HALF_WIDTH) / stadium.band))[:, None]
    pattern = {"bands": bands + 0 * rows, "along": rows + 0 * bands, "checks": (bands + rows) / 1.4}
    on_pitch = (np.abs(x)[None] < HALF_LENGTH + 1.5) & (np.abs(y)[:, None] < HALF_WIDTH + 1.5)
    stripes = pattern.get(stadium.mowing, np.zeros((len(y), len(x)), np.float32))
    return np.asarray(stripes * on_pitch * np.float32(stadium.mowing_strength), np.float32)


def _wear(stadium: Stadium, x: Canvas, y: Canvas) -> Canvas:
    """Bare ground in the goal mouths, the centre and along the assistants' paths."""
    across, along = y[:, None], x[None]
    wear = 0.5 * np.exp(-np.square(along / 6) - np.square(across / 5))
    for side in (-1, 1):
        goal = np.square((along - side * 51) / 3.5) + np.square(across / 3.2)
        spot = np.square((along - side * 41.5) / 1.2) + np.square(across / 1.2)
        path = np.abs(across - side * 34.8) / 0.5 + np.clip(side * along - 5, 0, None) * 0.1
        wear = wear + 0.9 * np.exp(-goal) + 0.4 * np.exp(-spot) + 0.3 * np.exp(-np.square(path))
    return np.asarray(wear * np.float32(stadium.wear), np.float32)


def _add_grain(image: UInt8Image, camera: Camera, rng: np.random.Generator) -> None:
    """Blades of grass: fine grain that grows towards the camera, in place."""
    grain = byte_noise(rng, (camera.height // 2 + 1, camera.width))
    grain = np.asarray(cv2.resize(grain, (camera.width, camera.height)), np.float32)
    rows = np.arange(camera.height)
    middle = np.column_stack([np.full(len(rows), camera.width / 2), rows, np.ones(len(rows))])
    inverse_depth = (middle @ np.linalg.inv(_ground_plane(camera)).T)[:, 2]
    per_metre = inverse_depth * camera.focal * 2560 / camera.width  # pixels, of a full picture
    near = np.clip(per_metre / 40, 0, 1).astype(np.float32)
    add_grey(image, grain * (5 * near)[:, None])


def pitch_lines() -> list[Points]:
    """The markings as flat polygons ``(N, 2)`` in metres (Laws of the Game, law 1)."""
    w, x, y = LINE_WIDTH, HALF_LENGTH, HALF_WIDTH
    lines = [_bar(-w / 2, -y, w / 2, y)]
    lines += _frame(-x, -y, x, y) + _ring(0, 0, 9.15, 0, 2 * np.pi) + [_disc(0, 0, 0.15)]
    for side in (-1, 1):
        for depth, half in ((16.5, 20.16), (5.5, 9.16)):
            inner = side * (x - depth)
            lines += _frame(min(inner, side * x), -half, max(inner, side * x), half)
        lines.append(_disc(side * (x - 11), 0, 0.15))
        reach = np.arccos(5.5 / 9.15)
        facing = np.pi if side > 0 else 0.0
        lines += _ring(side * (x - 11), 0, 9.15, facing - reach, facing + reach)
        for flank in (-1, 1):
            start = np.arctan2(-flank, -side) - np.pi / 4
            lines += _ring(side * x, flank * y, 1.0, start, start + np.pi / 2)
    return lines


def _bar(x1: float, y1: float, x2: float, y2: float) -> Points:
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)


def _frame(x1: float, y1: float, x2: float, y2: float) -> list[Points]:
    w = LINE_WIDTH
    return [
        _bar(x1, y1, x2, y1 + w),
        _bar(x1, y2 - w, x2, y2),
        _bar(x1, y1, x1 + w, y2),
        _bar(x2 - w, y1, x2, y2),
    ]


def _ring(x: float, y: float, radius: float, start: float, end: float) -> list[Points]:
    """An arc as short quadrilaterals, so that each is convex and can be cut at the camera."""
    angle = np.linspace(start, end, 2 + int(14 * radius * (end - start) / 9))
    unit = np.column_stack([np.cos(angle), np.sin(angle)])
    outer, inner = unit * (radius + LINE_WIDTH / 2), unit * (radius - LINE_WIDTH / 2)
    quads = np.stack([outer[:-1], outer[1:], inner[1:], inner[:-1]], axis=1)
    return [quad + np.array([x, y]) for quad in quads]


def _disc(x: float, y: float, radius: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])


def _draw_lines(
    image: UInt8Image, camera: Camera, stadium: Stadium, rng: np.random.Generator
) -> None:
    """Draw the markings, a little worn, in place."""
    outlines = [camera.outline(np.column_stack([p, np.zeros(len(p))])) for p in pitch_lines()]
    mask = fill_mask((camera.height, camera.width), outlines, scale=2)
    rows, columns = np.nonzero(mask)
    worn = rng.uniform(0.82, 1.0, len(rows)).astype(np.float32) * np.float32(stadium.line_level)
    part = (mask[rows, columns] / np.float32(255) * worn)[:, None]
    white = np.array([238, 240, 234], np.float32)
    under = image[rows, columns]
    image[rows, columns] = (under + part * (white - under) + np.float32(0.5)).astype(np.uint8)


def _shade(camera: Camera, light: Light, step: int = 8) -> Canvas:
    """The stand's shadow on the pitch at ``1 / step`` of the picture's size, ``(h, w)``."""
    size = (-(-camera.height // step), -(-camera.width // step))
    outline = camera.outline(np.column_stack([light.shade, np.zeros(len(light.shade))]))
    shade = fill_mask(size, [outline / step] if len(outline) else []).astype(np.float32) / 255
    shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), 0.8), np.float32)
    return np.asarray(1 - np.float32(1 - light.shade_level) * shade, np.float32)


def vignette(camera: Camera, light: Light, step: int = 8) -> Canvas:
    """The lens's loss of light towards the corners, ``(h, w)``, at ``1 / step`` of the size."""
    height, width = -(-camera.height // step), -(-camera.width // step)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5) / np.float32(0.5 * 2**0.5)
    return np.asarray(1 - np.float32(light.vignette) * radius**2.5, np.float32)


def light_field(camera: Camera, light: Light) -> Canvas:
    """The light that reaches the camera from something on the ground, at an eighth of the size."""
    field = vignette(camera, light)
    return field * _shade(camera, light) if len(light.shade) else field
