"""From a seed to pictures with exact boxes: the scene, its light, its camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from foveate.data.pitch import pose
from foveate.data.pitch.backdrop import draw_outskirts, draw_sky
from foveate.data.pitch.ball import draw_ball
from foveate.data.pitch.camera import Points
from foveate.data.pitch.config import PitchConfig
from foveate.data.pitch.cutout import Cutout, alpha_box, blur_motion, soften
from foveate.data.pitch.furniture import draw_furniture
from foveate.data.pitch.ground import draw_ground, light_field, vignette
from foveate.data.pitch.match import Match
from foveate.data.pitch.paint import Canvas, byte_noise, scale_light
from foveate.data.pitch.people import draw_figure
from foveate.data.pitch.scenes import start_match
from foveate.data.pitch.shadows import draw_shadows
from foveate.data.pitch.stands import draw_stands
from foveate.data.pitch.world import PEOPLE, World, make_world
from foveate.errors import UsageError
from foveate.structures import Annotations, IntArray, UInt8Image

HIDDEN = 0.25
"""An object of which a smaller share than this is seen is marked ignore."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture and what is known about it.

    Attributes:
        image: ``(H, W, 3)`` RGB.
        annotations: Objects at least partly in the picture, not behind it all.
        visible: ``(N,)`` share of each object that is seen, 0 to 1.
        people: ``(N,)`` row of each person in the match; -1 for the ball.
    """

    image: UInt8Image
    annotations: Annotations
    visible: Points
    people: IntArray


def render_still(seed: int, config: PitchConfig | None = None) -> tuple[UInt8Image, Annotations]:
    """Render one moment of one match.

    The seed decides everything: stadium, camera, light, kits, people and play. Two seeds share
    none of it, so a detector that was trained on some seeds is honestly tested on others.

    Args:
        seed: Any non-negative number.
        config: Size of the picture and strength of the noise.

    Returns:
        ``(H, W, 3)`` uint8 RGB, and boxes of people (class 0: players, keepers, officials) and
        ball (class 1). A box holds the whole object as far as it lies in the picture, also what
        is hidden by others; where less than a quarter is seen, ``ignore`` is set. So it is for
        the people off the pitch.
    """
    frame = next(render_frames(seed, 1, config=config))
    return frame.image, frame.annotations


def render_clip(
    seed: int, frames: int, fps: float = 25, config: PitchConfig | None = None
) -> Iterator[tuple[UInt8Image, Annotations]]:
    """Render a clip, one frame at a time; its first frame is `render_still` of the same seed.

    Args:
        seed: As for `render_still`.
        frames: Number of frames.
        fps: Frames a second.
        config: Size of the picture and strength of the noise.

    Yields:
        Picture and annotations; the camera stands still, the background is the same throughout.
    """
    for frame in render_frames(seed, frames, fps, config):
        yield frame.image, frame.annotations


def render_frames(
    seed: int, frames: int, fps: float = 25, config: PitchConfig | None = None
) -> Iterator[Frame]:
    """As `render_clip`, with each object's visible share and identity.

    Raises:
        UsageError: At once, for a negative seed, or a number that is not positive.
    """
    if seed < 0:
        raise UsageError(f"seed: must be 0 or more, got {seed}")
    if frames < 1 or fps <= 0:
        raise UsageError(f"a clip needs frames >= 1 and fps > 0, got {frames} and {fps}")
    return _play(seed, frames, fps, config or PitchConfig())


def _play(seed: int, frames: int, fps: float, config: PitchConfig) -> Iterator[Frame]:
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    world = make_world(streams[0], config)
    scene = Scene.build(world, config, streams[1])
    match = start_match(world, streams[2])
    steps = max(1, int(np.ceil(25 / fps)))
    for index in range(frames):
        for _ in range(steps if index else 0):
            match.step(1 / (fps * steps))
        yield scene.render(match, streams[3])


def encode_frame(image: UInt8Image, jpeg_quality: int) -> bytes:
    """A frame as a JPEG file of this quality, or as a PNG file where it is 0."""
    coded = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if jpeg_quality:
        _, code = cv2.imencode(".jpg", coded, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    else:
        _, code = cv2.imencode(".png", coded, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return code.tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A world made ready for rendering: its background and everything that stays as it is."""

    world: World
    config: PitchConfig
    background: UInt8Image
    light: Canvas
    noise: UInt8Image
    tone: UInt8Image

    @classmethod
    def build(cls, world: World, config: PitchConfig, rng: np.random.Generator) -> Scene:
        """Render the background once."""
        camera = world.camera
        image = np.empty((camera.height, camera.width, 3), np.uint8)
        draw_sky(image, world, rng)
        draw_ground(image, world, rng)
        draw_outskirts(image, world, rng)
        draw_stands(image, world, rng)
        draw_furniture(image, world, rng)
        scale_light(image, vignette(camera, world.light))
        background = np.asarray(cv2.GaussianBlur(image, (0, 0), world.softness), np.uint8)
        light = light_field(camera, world.light)
        return cls(world, config, background, light, _noise(rng, world, config), _tone(world))

    def render(self, match: Match, rng: np.random.Generator) -> Frame:
        """Render the match as it is now."""
        motion = match.motion()
        joints = pose.pose(motion)
        image = self.background.copy()
        draw_shadows(image, self.world, joints, match.ball)
        objects = self._objects(match, motion, joints)
        annotations, visible, people = _annotate(objects, image.shape[:2])
        for item in objects:
            self._compose(image, item.cutout)
        image = np.asarray(cv2.LUT(image, self.tone), np.uint8)
        return Frame(self._expose(image, rng), annotations, visible, people)

    def _objects(self, match: Match, motion: pose.Motion, joints: Points) -> list[_Object]:
        """Everybody and the ball that the camera sees, far to near."""
        camera, world = self.world.camera, self.world
        objects = []
        for who, person in enumerate(world.people):
            if not _in_view(self.world, joints[who].mean(axis=0)):
                continue
            cutout = draw_figure(camera, joints[who], person, world.light.lamps[0])
            speed = np.append(motion.velocity[who], 0.0)
            cutout = self._smear(cutout, joints[who].mean(axis=0), speed)
            distance = float(np.linalg.norm(np.append(motion.position[who], 0) - camera.position))
            objects.append(_Object(who, distance, cutout))
        place = match.ball.position
        if _in_view(self.world, place):
            travel = self._travel(place, match.ball.velocity)
            room = int(np.ceil(np.hypot(*travel)))
            cutout = draw_ball(camera, match.ball, world.ball, world.light.lamps[0], room)
            cutout = self._smear(cutout, place, match.ball.velocity)
            ground = np.append(place[:2], 0.0)
            objects.append(_Object(-1, float(np.linalg.norm(ground - camera.position)), cutout))
        return sorted(objects, key=lambda item: -item.distance)

    def _travel(self, place: Points, velocity: Points) -> Points:
        """Pixels that something moves while the shutter is open, ``(2,)``."""
        path = np.stack([place, place + velocity * self.world.shutter])
        ends = self.world.camera.project(path)
        travel: Points = ends[1] - ends[0]
        return travel

    def _smear(self, cutout: Cutout, place: Points, velocity: Points) -> Cutout:
        pixels = blur_motion(cutout.pixels, self._travel(place, velocity))
        return Cutout(cutout.x, cutout.y, pixels)

    def _compose(self, image: UInt8Image, cutout: Cutout) -> None:
        """Lay an object into the picture, in the light of its place, in place."""
        window = _window(cutout, image.shape[:2])
        if window is None:
            return
        rows, columns, inner_rows, inner_columns = window
        pixels = soften(cutout.pixels, self.world.softness)[inner_rows, inner_columns]
        foot = (min(rows.stop, image.shape[0]) - 1) // 8, (columns.start + columns.stop) // 16
        level = self.light[foot[0], min(foot[1], self.light.shape[1] - 1)]
        region = image[rows, columns]
        mixed = region * (1 - pixels[..., 3:]) + pixels[..., :3] * level
        region[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _expose(self, image: UInt8Image, rng: np.random.Generator) -> UInt8Image:
        """Add the sensor's noise and the camera's compression."""
        if self.config.sensor_noise > 0:
            height, width = image.shape[:2]
            top = int(rng.integers(self.noise.shape[0] - height + 1))
            left = int(rng.integers(self.noise.shape[1] - width + 1))
            noise = self.noise[top : top + height, left : left + width]
            image = np.asarray(cv2.addWeighted(image, 1.0, noise, 0.125, -16.0), np.uint8)
        if self.config.jpeg_quality:
            code = np.frombuffer(encode_frame(image, self.config.jpeg_quality), np.uint8)
            decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
            image = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
        return image


@dataclass(frozen=True, slots=True, eq=False)
class _Object:
    who: int
    distance: float
    cutout: Cutout


def _in_view(world: World, place: Points) -> bool:
    camera = world.camera
    depth = camera.view(place)[2]
    x, y = camera.project(place)
    room = 1.6 * camera.focal / max(depth, 1.0)
    return bool(depth > 2 and -room < x < camera.width + room and -room < y < camera.height + room)


def _window(cutout: Cutout, size: tuple[int, ...]) -> tuple[slice, slice, slice, slice] | None:
    """Rows and columns of the picture that a cutout covers, and of the cutout; None if outside."""
    height, width = cutout.pixels.shape[:2]
    x1, y1 = max(cutout.x, 0), max(cutout.y, 0)
    x2, y2 = min(cutout.x + width, size[1]), min(cutout.y + height, size[0])
    if x2 <= x1 or y2 <= y1:
        return None
    return (
        slice(y1, y2),
        slice(x1, x2),
        slice(y1 - cutout.y, y2 - cutout.y),
        slice(x1 - cutout.x, x2 - cutout.x),
    )


def _annotate(
    objects: list[_Object], size: tuple[int, ...]
) -> tuple[Annotations, Points, IntArray]:
    """Boxes from alpha, and how much of each object the nearer ones leave to be seen."""
    cover = np.ones(size[:2], np.float32)
    rows: list[tuple[Points, float, int]] = []
    for item in reversed(objects):
        window = _window(item.cutout, size)
        if window is None:
            continue
        alpha = item.cutout.pixels[..., 3]
        inside = alpha[window[2], window[3]]
        free = cover[window[0], window[1]]
        box = alpha_box(np.ascontiguousarray(inside))
        seen = float((inside * free).sum() / max(float(alpha.sum()), 1e-6))
        free *= 1 - inside
        if box is not None:
            corner = np.array([window[1].start, window[0].start] * 2, np.float64)
            rows.append((box + corner, seen, item.who))
    rows.sort(key=lambda row: row[2] if row[2] >= 0 else 10**6)
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    visible = np.array([row[1] for row in rows], np.float64)
    people = np.array([row[2] for row in rows], np.int64)
    labels = (people < 0).astype(np.int64)
    ignore = (visible < HIDDEN) | (people >= PEOPLE)
    return Annotations(boxes, labels, ignore), visible, people


def _noise(rng: np.random.Generator, world: World, config: PitchConfig) -> UInt8Image:
    """Noise times 8 about 128, larger than the picture: each frame shows another part."""
    height, width = config.height + 64, config.width + 64
    if config.sensor_noise == 0:
        return np.zeros((0, 0, 3), np.uint8)
    side = 640
    fine = byte_noise(rng, (side, side, 3)) + byte_noise(rng, (side, side, 1))
    fine = np.asarray(cv2.GaussianBlur(fine, (3, 3), 0.5), np.float32)
    tile = np.clip(128 + 8 * world.noise * config.sensor_noise * fine, 0, 255).astype(np.uint8)
    repeats = (-(-height // side), -(-width // side), 1)
    return np.ascontiguousarray(np.tile(tile, repeats)[:height, :width])


def _tone(world: World) -> UInt8Image:
    """The camera's curve for each channel, ``(1, 256, 3)``: exposure, white balance, haze."""
    light = world.light
    level = np.arange(256)[:, None] / 255 * light.gains  # (256, 3)
    level = 0.5 + (level - 0.5) * light.contrast
    shoulder = np.where(level > 0.8, 0.8 + 0.2 * np.tanh((level - 0.8) / 0.2), level)
    veiled = shoulder * (1 - light.haze) + 0.72 * light.haze
    return np.clip(np.round(veiled * 255), 0, 255).astype(np.uint8)[None]
