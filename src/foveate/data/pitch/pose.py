"""Poses: joints of a walking, running, waiting, kicking, leaping or falling person.

A joint's place comes from angles that follow the phase of the stride; N = people.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from foveate.data.pitch.camera import Points

PELVIS, NECK, HEAD, CROWN = 0, 1, 2, 3
SHOULDERS, ELBOWS, WRISTS = (4, 5), (6, 7), (8, 9)
HIPS, KNEES, ANKLES, TOES = (10, 11), (12, 13), (14, 15), (16, 17)
JOINTS = 18
"""Rows of a skeleton; pairs are left, right."""

SIDES = np.array([1.0, -1.0])
THIGH, SHIN, FOOT, UPPER_ARM, FOREARM = 0.43, 0.42, 0.17, 0.29, 0.25
"""Metres, of a person of 1.80 m."""


class Action(IntEnum):
    """What a person does beside walking or running."""

    MOVE = 0
    READY = 1
    KICK = 2
    LEAP = 3
    HIPS = 4
    POINT = 5
    DOWN = 6


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """How each person moves at one moment; every array is ``(N,)``.

    Attributes:
        position: ``(N, 2)`` metres.
        velocity: ``(N, 2)`` metres a second.
        facing: Radians, 0 along +x.
        phase: Of the stride, radians.
        action: `Action` values.
        progress: Of the action, 0 to 1.
        lift: Height above the ground, metres.
        height: Of the person, metres.
    """

    position: Points
    velocity: Points
    facing: Points
    phase: Points
    action: Points
    progress: Points
    lift: Points
    height: Points


@dataclass(slots=True, eq=False)
class _Angles:
    """Radians; ``(N, 2)`` left and right, but for the first two, ``(N,)``."""

    lean: Points
    tilt: Points
    thigh: Points
    knee: Points
    stance: Points
    arm: Points
    spread: Points
    elbow: Points
    fore_spread: Points


def pose(motion: Motion) -> Points:
    """Joints in the world, ``(N, JOINTS, 3)`` metres."""
    angles = _stride(motion)
    _act(angles, motion)
    local = _skeleton(angles, motion.phase)
    local = _tilt(local, angles.tilt)
    local[..., 2] -= local[..., 2].min(axis=1, keepdims=True) - 0.045
    local *= (motion.height / 1.80)[:, None, None]
    cos, sin = np.cos(motion.facing)[:, None], np.sin(motion.facing)[:, None]
    world = np.empty_like(local)
    world[..., 0] = cos * local[..., 0] - sin * local[..., 1] + motion.position[:, None, 0]
    world[..., 1] = sin * local[..., 0] + cos * local[..., 1] + motion.position[:, None, 1]
    world[..., 2] = local[..., 2] + motion.lift[:, None]
    return world


def _stride(motion: Motion) -> _Angles:
    """Angles of standing (speed 0) to sprinting (8 m/s)."""
    speed = np.hypot(motion.velocity[:, 0], motion.velocity[:, 1])
    pace = np.clip(speed / 7.5, 0, 1)[:, None]
    moving = np.clip(speed / 1.2, 0, 1)[:, None]
    phase = motion.phase[:, None] + np.array([0.0, np.pi])
    swing = np.maximum(np.cos(phase + 0.5), 0) ** 1.3
    ahead = (
        np.cos(motion.facing) * motion.velocity[:, 0]
        + np.sin(motion.facing) * motion.velocity[:, 1]
    )
    direction = np.where(ahead < -0.3, -1.0, 1.0)[:, None]
    return _Angles(
        lean=0.05 + 0.24 * pace[:, 0],
        tilt=np.zeros(len(speed)),
        thigh=moving * (0.10 + 0.22 * pace + direction * (0.30 + 0.52 * pace) * np.sin(phase)),
        knee=0.08 + moving * (0.10 + 0.18 * pace + (0.55 + 1.35 * pace) * swing),
        stance=np.where(moving < 0.5, 0.11, 0.03) * SIDES,
        arm=-moving * (0.25 + 0.55 * pace) * np.sin(phase),
        spread=(0.13 + 0.1 * pace) * SIDES,
        elbow=0.2 + 1.25 * pace + 0 * phase,
        fore_spread=0.05 * SIDES + 0 * phase,
    )


def _act(angles: _Angles, motion: Motion) -> None:
    """Replace the angles of those who do something special, in place."""
    action, done = motion.action, motion.progress
    ready = action == Action.READY
    angles.thigh[ready], angles.knee[ready], angles.lean[ready] = 0.45, 0.8, 0.32
    angles.stance[ready] = 0.24 * SIDES
    angles.arm[ready], angles.spread[ready], angles.elbow[ready] = 0.35, 0.6 * SIDES, 0.8
    kick = action == Action.KICK
    reach = done[kick]
    angles.thigh[kick, 1], angles.knee[kick, 1] = -0.7 + 1.9 * reach, 1.3 * (1 - reach)
    angles.thigh[kick, 0], angles.knee[kick, 0] = 0.1, 0.25
    angles.spread[kick], angles.lean[kick] = 0.8 * SIDES, 0.12 - 0.2 * reach
    leap = action == Action.LEAP
    angles.thigh[leap], angles.knee[leap] = np.array([0.25, -0.1]), np.array([0.7, 0.9])
    angles.arm[leap], angles.spread[leap], angles.elbow[leap] = 0.7, 0.9 * SIDES, 0.9
    hips = action == Action.HIPS
    angles.arm[hips], angles.spread[hips] = -0.25, 0.75 * SIDES
    angles.elbow[hips], angles.fore_spread[hips] = 0.45, -0.75 * SIDES
    point = action == Action.POINT
    angles.arm[point, 1], angles.elbow[point, 1] = 1.7 + 0.9 * done[point], 0.1
    down = action == Action.DOWN
    angles.tilt[down] = 1.45 * np.where(done[down] < 0.5, 1, -1)
    angles.arm[down], angles.thigh[down], angles.knee[down] = 1.5, 0.35, 0.6


def _skeleton(angles: _Angles, phase: Points) -> Points:
    """Joints with the pelvis at the origin: forward, left, up; metres."""
    count = len(phase)
    joints = np.zeros((count, JOINTS, 3))
    sin, cos = np.sin(angles.lean), np.cos(angles.lean)
    spine = np.stack([sin, 0 * sin, cos], axis=-1)  # (N, 3)
    upright = np.stack([np.sin(angles.lean / 3), 0 * sin, np.cos(angles.lean / 3)], axis=-1)
    joints[:, NECK] = 0.53 * spine
    joints[:, HEAD] = joints[:, NECK] + 0.155 * upright
    joints[:, CROWN] = joints[:, NECK] + 0.255 * upright
    twist = 0.10 * np.sin(phase) * np.clip(np.abs(angles.arm[:, 0]), 0, 1)
    for index, side in enumerate(SIDES):
        shoulder = 0.47 * spine
        shoulder[:, 1] += 0.185 * side
        shoulder[:, 0] -= side * twist
        elbow = shoulder + UPPER_ARM * _bone(angles.arm[:, index], angles.spread[:, index])
        bend = angles.arm[:, index] + angles.elbow[:, index]
        wrist = elbow + FOREARM * _bone(bend, angles.fore_spread[:, index])
        hip = np.zeros((count, 3))
        hip[:, 1] = 0.095 * side
        knee = hip + THIGH * _bone(angles.thigh[:, index], angles.stance[:, index])
        shin = angles.thigh[:, index] - angles.knee[:, index]
        ankle = knee + SHIN * _bone(shin, angles.stance[:, index] * 0.7)
        toe = ankle.copy()
        toe[:, 0] += FOOT * np.cos(0.8 * shin)
        toe[:, 2] += FOOT * np.sin(0.8 * shin) - 0.045
        toe[:, 1] += 0.03 * side
        chain = (SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES, TOES)
        for row, place in zip(chain, (shoulder, elbow, wrist, hip, knee, ankle, toe), strict=True):
            joints[:, row[index]] = place
    return joints


def _bone(swing: Points, spread: Points) -> Points:
    """Unit vector of a limb that hangs down, swung forward and spread to the left, ``(N, 3)``."""
    flat = np.cos(spread)
    return np.stack([np.sin(swing) * flat, np.sin(spread), -np.cos(swing) * flat], axis=-1)


def _tilt(joints: Points, angle: Points) -> Points:
    """Turn the whole body sideways about its feet."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = joints.copy()
    turned[..., 1] = cos * joints[..., 1] - sin * joints[..., 2]
    turned[..., 2] = sin * joints[..., 1] + cos * joints[..., 2]
    return turned
