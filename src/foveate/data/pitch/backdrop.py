"""What lies behind the ground: sky, trees, floodlight masts."""

from __future__ import annotations

import cv2
import numpy as np

from foveate.data.pitch.camera import Camera, Points
from foveate.data.pitch.paint import bar_outline, fill, smooth_noise
from foveate.data.pitch.world import World
from foveate.structures import UInt8Image

BELTS = (
    (340.0, 26.0, 0.5),
    (215.0, 18.0, 0.32),
    (145.0, 14.0, 0.18),
    (102.0, 12.0, 0.08),
    (72.0, 10.0, 0.0),
)
"""Trees: how far away and how tall, metres; share of haze."""
SKY = {"sun": (122, 166, 216), "cloud": (186, 192, 200), "flood": (13, 16, 28)}


def draw_sky(image: UInt8Image, world: World, rng: np.random.Generator) -> None:
    """Fill the picture with sky and clouds, in place."""
    top = np.array(SKY[world.light.kind], np.float32) * np.float32(rng.uniform(0.88, 1.1))
    height, width = max(image.shape[0] // 16, 2), max(image.shape[1] // 16, 2)
    clouds = smooth_noise(rng, (height, width), 8) + 0.5 * smooth_noise(rng, (height, width), 20)
    lift = np.clip(0.25 * clouds, 0, 1)[..., None] * np.float32(rng.uniform(0.1, 0.9))
    white = np.float32(226 if world.light.kind != "flood" else 40)
    small = np.clip(top + lift * (white - top), 0, 255).astype(np.uint8)
    image[:] = cv2.resize(small, (image.shape[1], image.shape[0]))


def draw_outskirts(image: UInt8Image, world: World, rng: np.random.Generator) -> None:
    """Belts of trees and, for some, floodlight masts, in place."""
    dark = world.light.kind == "flood"
    leaf = np.array([15.0, 19, 18]) if dark else np.array([58.0, 80, 46]) * rng.uniform(0.75, 1.2)
    air = np.array([18.0, 21, 30]) if dark else np.array([150.0, 168, 182])
    for away, tall, haze in BELTS:
        _draw_trees(image, world.camera, rng, (away, tall), leaf + haze * (air - leaf))
    if dark or rng.random() < 0.4:
        _draw_floodlights(image, world, dark)


def _draw_trees(
    image: UInt8Image,
    camera: Camera,
    rng: np.random.Generator,
    belt: tuple[float, float],
    colour: Points,
) -> None:
    """A belt of crowns at a distance and of a height in metres, painted at half size."""
    away, tall = belt
    reach = 120.0
    foot = camera.project(np.array([[-reach, away, 0], [reach, away, 0]]))
    top = camera.project(np.array([[-reach, away, tall], [reach, away, tall]]))
    width = image.shape[1] // 2
    columns = (np.arange(width) + 0.5) * 2

    def row(line: Points) -> Points:
        slope = (line[1, 1] - line[0, 1]) / (line[1, 0] - line[0, 0])
        rows: Points = line[0, 1] + slope * (columns - line[0, 0])
        return rows

    size = (2, width)
    cells = max(4, int(width / (0.4 * (foot - top)[0, 1] + 4)))
    crowns = np.abs(_waves(rng, size, cells)) + 0.5 * np.abs(_waves(rng, size, 3 * cells))
    crest = row(top) + (row(foot) - row(top)) * np.clip(0.5 * crowns - 0.1, -0.2, 0.6)
    first = int(np.clip(np.floor(crest.min() / 2), 0, image.shape[0] // 2))
    last = int(np.clip(np.ceil(row(foot).max() / 2), 0, image.shape[0] // 2))
    if last - first < 2:
        return
    y = (np.arange(first, last)[:, None] + 0.5) * 2
    shape = (last - first, width)
    leaves = 1 + 0.16 * smooth_noise(rng, shape, max(2, shape[0] // 6))
    leaves += 0.1 * smooth_noise(rng, shape, max(2, shape[0] // 2))
    depth = np.clip((y - crest) / np.maximum(row(foot) - crest, 1), 0, 1)
    level = (leaves * (1.12 - 0.5 * depth)).astype(np.float32)[..., None]
    trees = np.clip(level * colour.astype(np.float32), 0, 255).astype(np.uint8)
    inside = np.clip((y - crest) / 2, 0, 1) * np.clip((row(foot) - y) / 2, 0, 1)
    band = image[2 * first : 2 * last, : 2 * width]
    full = (band.shape[1], band.shape[0])
    part = np.asarray(cv2.resize(inside.astype(np.float32), full), np.float32)
    band[:] = cv2.blendLinear(cv2.resize(trees, full), np.ascontiguousarray(band), part, 1 - part)


def _waves(rng: np.random.Generator, size: tuple[int, int], cells: int) -> Points:
    grid = rng.standard_normal((1, cells), np.float32)
    waves = cv2.resize(np.repeat(grid, 2, 0), (size[1], 2), interpolation=cv2.INTER_CUBIC)
    return np.asarray(waves[0], np.float64)


def _draw_floodlights(image: UInt8Image, world: World, lit: bool) -> None:
    """Four masts with their lamps."""
    for x, y in ((-84, 58), (84, 58), (-36, 74), (36, 74)):
        foot, top = np.array([x, y, 0.0]), np.array([x, y, 27.0])
        if world.camera.view(foot)[2] < 4:
            continue
        mast = np.array([74.0, 78, 84]) * (0.6 if lit else 1.0)
        fill(image, [bar_outline(world.camera, foot, top, 0.7)], mast, 1.0, 2)
        head = np.array([[-2.2, 0, -1.6], [2.2, 0, -1.6], [2.2, 0, 1.6], [-2.2, 0, 1.6]]) + top
        lamp = np.array([250.0, 250, 244]) if lit else np.array([120.0, 124, 130])
        around = np.linspace(0, 2 * np.pi, 24)
        for radius in np.linspace(12, 2.5, 10) if lit else ():
            glow = top + radius * np.column_stack([np.cos(around), 0 * around, np.sin(around)])
            fill(image, [world.camera.project(glow)], lamp, 0.025)
        fill(image, [world.camera.project(head)], lamp, 1.0, 2)
