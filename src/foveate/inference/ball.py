"""Ball mode: of all candidates in a clip, the one trajectory; gaps are bridged, and marked.

There is one ball. The best path through the candidates of all frames is found by dynamic
programming: a candidate earns its score, and pays for how far it lies from the one before and for
every frame between them in which the ball was not seen [D]. What flies falls in a parabola and
what rolls goes straight, so gaps are bridged by either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foveate.config import Config
from foveate.inference.video import FrameResult
from foveate.structures import BoolArray, FloatArray, IntArray

_CANDIDATES = 8
"""Of one frame, best first."""
_FITTED = 4
"""Positions on either side of a gap that a parabola is fitted to."""
_FIT_ERROR = 1.5
"""Pixels by which a parabola may miss those, root mean square; otherwise a line bridges."""


class BallConfig(Config):
    """What is plausible of a ball.

    Attributes:
        reach: Most pixels that it moves from one frame to the next; WASB's tracker takes 300 [S].
        gap: Most frames that are bridged.
        miss: What a frame costs in which it is not seen, in units of score.
        jump: What a move of `reach` pixels costs.
        restart: What it costs to lose it and begin elsewhere.
        decay: Of the confidence, for every frame away from where it was seen.
    """

    reach: float = Field(default=150.0, gt=0)
    gap: int = Field(default=20, ge=0)
    miss: float = Field(default=0.05, ge=0)
    jump: float = Field(default=0.5, ge=0)
    restart: float = Field(default=1.0, ge=0)
    decay: float = Field(default=0.93, gt=0, le=1)


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Where the ball was. F = frames in which that is known.

    Attributes:
        frames: ``(F,)`` int64, index of the frame in its video, rising.
        boxes: ``(F, 4)`` xyxy pixels.
        confidence: ``(F,)``: the detection's score where it was seen, less in a gap.
        seen: ``(F,)`` whether it was detected there; otherwise a gap was bridged.
    """

    frames: IntArray
    boxes: FloatArray
    confidence: FloatArray
    seen: BoolArray

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "frames": self.frames.tolist(),
            "boxes": np.round(self.boxes.astype(np.float64), 2).tolist(),
            "confidence": np.round(self.confidence.astype(np.float64), 4).tolist(),
            "seen": self.seen.tolist(),
        }


class _Candidate(NamedTuple):
    """A detection that may be the ball."""

    position: int  # of the frame among the results
    frame: int
    box: FloatArray
    score: float

    @property
    def centre(self) -> NDArray[np.float64]:
        return (self.box[:2].astype(np.float64) + self.box[2:]) / 2


def ball_trajectory(
    results: Sequence[FrameResult], label: int, config: BallConfig | None = None
) -> Trajectory:
    """The one trajectory through a clip's detections of a class.

    Args:
        results: Of frames in order; a stride between them is no gap.
        label: Of the ball.
        config: What is plausible.
    """
    config = config or BallConfig()
    path = _best_path(_candidates(results, label), config)
    if not path:
        none = np.zeros(0)
        return Trajectory(
            none.astype(np.int64),
            np.zeros((0, 4), np.float32),
            none.astype(np.float32),
            none.astype(bool),
        )
    known = {one.position: (one.box, one.score, True) for one in path}
    for number, (before, after) in enumerate(pairwise(path)):
        steps = after.position - before.position
        if 1 < steps <= config.gap + 1 and _reachable(before, after, config):
            near = path[max(0, number + 1 - _FITTED) : number + 1 + _FITTED]
            known |= _bridged(before, after, _together(near, before, config), config)
    order = sorted(known)
    return Trajectory(
        np.array([results[position].index for position in order], np.int64),
        np.stack([known[position][0] for position in order]).astype(np.float32),
        np.array([known[position][1] for position in order], np.float32),
        np.array([known[position][2] for position in order], bool),
    )


def _candidates(results: Sequence[FrameResult], label: int) -> list[list[_Candidate]]:
    frames = []
    for position, result in enumerate(results):
        found = result.detections[result.detections.labels == label].in_order()[:_CANDIDATES]
        frames.append(
            [
                _Candidate(position, result.index, box, score)
                for box, score in zip(found.boxes, found.scores.tolist(), strict=True)
            ]
        )
    return frames


def _reachable(before: _Candidate, after: _Candidate, config: BallConfig) -> bool:
    away = float(np.hypot(*(after.centre - before.centre)))
    return away <= config.reach * (after.position - before.position)


def _best_path(frames: Sequence[Sequence[_Candidate]], config: BallConfig) -> list[_Candidate]:
    """By dynamic programming over the candidates; ties go to the earlier and the better one."""
    nodes: list[_Candidate] = []
    values: list[float] = []
    previous: list[int] = []
    recent: list[int] = []  # nodes within reach of a bridge
    best = -1
    for candidates in frames:
        best_before = best
        added = []
        for one in candidates:
            value, link = 0.0, -1
            if best_before >= 0 and values[best_before] - config.restart > 0:
                value, link = values[best_before] - config.restart, best_before
            for index in recent:
                steps = one.position - nodes[index].position
                if steps > config.gap + 1 or not _reachable(nodes[index], one, config):
                    continue
                away = float(np.hypot(*(one.centre - nodes[index].centre)))
                pays = config.miss * (steps - 1) + config.jump * away / (config.reach * steps)
                if values[index] - pays > value:
                    value, link = values[index] - pays, index
            nodes.append(one)
            values.append(value + one.score)
            previous.append(link)
            added.append(len(nodes) - 1)
            if best < 0 or values[-1] > values[best]:
                best = len(nodes) - 1
        position = candidates[0].position if candidates else None
        if position is not None:
            recent = [i for i in recent if position - nodes[i].position <= config.gap] + added
    path = []
    while best >= 0:
        path.append(nodes[best])
        best = previous[best]
    return path[::-1]


def _together(
    near: Sequence[_Candidate], before: _Candidate, config: BallConfig
) -> list[_Candidate]:
    """Of positions around a gap those that hang together with its sides."""
    at = next(i for i, one in enumerate(near) if one is before)
    first, last = at, at + 1
    while first > 0 and near[first].position - near[first - 1].position <= 2:
        first -= 1
    while last < len(near) - 1 and near[last + 1].position - near[last].position <= 2:
        last += 1
    return list(near[first : last + 1])


def _bridged(
    before: _Candidate, after: _Candidate, near: Sequence[_Candidate], config: BallConfig
) -> dict[int, tuple[FloatArray, float, bool]]:
    """Boxes of the frames between two, by position: along a parabola if one fits, or a line."""
    inside = np.arange(before.position + 1, after.position)
    share = ((inside - before.position) / (after.position - before.position))[:, None]
    centres = before.centre + share * (after.centre - before.centre)
    parabola = _parabola(near, before.position)
    if parabola is not None:
        fitted = np.stack([np.polyval(p, inside - before.position) for p in parabola], axis=1)
        # Moved so that it meets both sides of the gap.
        ends = np.array([0, after.position - before.position])
        at_ends = np.stack([np.polyval(p, ends) for p in parabola], axis=1)
        off = np.stack([before.centre, after.centre]) - at_ends
        centres = fitted + off[0] + share * (off[1] - off[0])
    sizes = (before.box[2:] - before.box[:2]) * (1 - share) + (
        after.box[2:] - after.box[:2]
    ) * share
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)
    away = np.minimum(inside - before.position, after.position - inside)
    trust = min(before.score, after.score) * config.decay**away
    return {
        position: (box, confidence, False)
        for position, box, confidence in zip(inside.tolist(), boxes, trust.tolist(), strict=True)
    }


def _parabola(
    near: Sequence[_Candidate], origin: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Coefficients of x and y by position; None if too little is known, or it does not fit."""
    times = np.array([one.position - origin for one in near], np.float64)
    if (times <= 0).sum() < 2 or (times > 0).sum() < 2:
        return None
    centres = np.stack([one.centre for one in near]).astype(np.float64)
    curve = tuple(np.polyfit(times, centres[:, axis], 2) for axis in (0, 1))
    missed = np.stack([np.polyval(p, times) for p in curve], axis=1) - centres
    if np.sqrt(np.square(missed).sum(axis=1).mean()) > _FIT_ERROR:
        return None
    return curve[0], curve[1]
