"""Motion channels: what moves in a scene, as further channels of the picture.

A ball of a few pixels looks like a line's end, a sock, a speck of paint; what tells it is that it
moves. A `MotionStream` is handed the frames of one video in turn and gives ``(H, W, m)`` uint8
that goes with the frame at hand, once a frame: tiles are cut from both alike, so that nothing is
computed twice. Training, validation and run time go through the same class. Only frames of the
past are used, so that a live camera is served as a file is.

The modes, rows of `MOTION` (METHODS section 4 [D]): the absolute difference of grey values to
earlier frames; the mask of a mixture of Gaussians; the difference to a running median; grey
frames themselves. Lags count the frames that are pushed: a model wants the frame rate it was
trained at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator, model_validator

from foveate.config import Config
from foveate.data.camera import (
    ALIGNMENTS,
    Alignment,
    GreyImage,
    aligned,
    camera_motion,
    displacement,
    moves,
)
from foveate.errors import FoveateError
from foveate.structures import UInt8Image

MotionMode = Literal["difference", "mog2", "median", "grey-stack"]

_MEASURED_EVERY = 5
"""Frames between two measurements of the camera's motion, where it is not aligned anyhow."""
_LEAST_MEASUREMENTS = 2
"""A single one may be of a cut or a shock."""
_MEASUREMENTS = 15
"""The latest so many decide whether the camera moves."""


class MotionConfig(Config):
    """Which motion channels a model sees; travels in its file.

    Attributes:
        mode: A row of `MOTION`.
        lags: How many frames back `difference` and `grey-stack` look, a channel each.
        history: Frames that `mog2` remembers.
        var_threshold: Squared distance, in variances, from which a pixel is foreground to `mog2`.
        warm_up: Frames that `mog2` and `median` should have seen before what they give is used
            for training.
        stabilise: Align earlier frames to the present one, for a camera that moves: `features`
            follows corners, `ecc` correlates. Of `difference` and `grey-stack` only, since the
            other two keep a background that only a fixed camera has.
    """

    mode: MotionMode = "difference"
    lags: tuple[Annotated[int, Field(ge=1, le=250)], ...] = Field(default=(1, 3), min_length=1)
    history: int = Field(default=500, ge=2)
    var_threshold: float = Field(default=16.0, gt=0)
    warm_up: int = Field(default=30, ge=1)
    stabilise: Literal["none", "ecc", "features"] = "none"

    @field_validator("lags")
    @classmethod
    def _nearest_first(cls, lags: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(lags)))

    @model_validator(mode="after")
    def _only_frames_are_aligned(self) -> MotionConfig:
        if self.stabilise != "none" and not MOTION[self.mode].aligns:
            able = " or ".join(name for name, row in MOTION.items() if row.aligns)
            raise ValueError(
                f"stabilise: {self.mode} keeps the background of a fixed camera; choose {able}"
            )
        return self

    @property
    def channels(self) -> int:
        """How many channels m there are beside the picture's own."""
        return MOTION[self.mode].channels(self)

    @property
    def frames_before(self) -> int:
        """Frames to push before the one whose channels are wanted."""
        return max(self.lags) if MOTION[self.mode].aligns else self.warm_up

    @property
    def remembers_all(self) -> bool:
        """Whether a frame's channels depend on every frame before it, not only on the latest."""
        return not MOTION[self.mode].aligns


class Motion(ABC):
    """One mode at work on one stream: it is handed every frame, and keeps what it needs.

    Attributes:
        aligns: Whether it compares frames, which can be aligned.
    """

    aligns = False

    def __init__(self, config: MotionConfig) -> None:
        self.config = config

    @staticmethod
    def channels(config: MotionConfig) -> int:
        """How many channels it gives."""
        return 1

    @abstractmethod
    def push(self, grey: GreyImage, step: Alignment | None) -> UInt8Image:
        """The channels of a frame.

        Args:
            grey: ``(H, W)``; not written to, and kept.
            step: To the frame before, if frames are aligned.

        Returns:
            ``(H, W, m)``; zero motion where there is nothing to compare with.
        """

    def still(self, grey: GreyImage) -> UInt8Image:
        """The channels of a frame in which nothing moves, ``(H, W, m)``."""
        return np.zeros((*grey.shape, self.channels(self.config)), np.uint8)


class _Earlier:
    """The latest frames, each with the way back to it."""

    def __init__(self, most: int) -> None:
        self._kept: deque[tuple[GreyImage, Alignment | None]] = deque(maxlen=most)

    def at(self, lag: int, grey: GreyImage, step: Alignment | None) -> GreyImage | None:
        """The frame `lag` pushes ago as seen by the present camera; None before there is one."""
        if lag > len(self._kept):
            return None
        frame, back = self._kept[-lag]
        if step is None:
            return frame
        return aligned(frame, grey, step if back is None else back @ step)

    def keep(self, grey: GreyImage, step: Alignment | None) -> None:
        """Remember the present frame."""
        if step is not None:
            for index, (frame, back) in enumerate(self._kept):
                self._kept[index] = frame, step if back is None else back @ step
        self._kept.append((grey, None))


class Difference(Motion):
    """Absolute difference of grey values to earlier frames, a channel a lag."""

    aligns = True

    def __init__(self, config: MotionConfig) -> None:
        super().__init__(config)
        self._earlier = _Earlier(max(config.lags))

    @staticmethod
    def channels(config: MotionConfig) -> int:
        """One a lag."""
        return len(config.lags)

    def push(self, grey: GreyImage, step: Alignment | None) -> UInt8Image:
        """As `Motion.push`."""
        channels = self.still(grey)
        for index, lag in enumerate(self.config.lags):
            earlier = self._earlier.at(lag, grey, step)
            if earlier is not None:
                channels[..., index] = cv2.absdiff(grey, earlier)
        self._earlier.keep(grey, step)
        return channels


class GreyStack(Motion):
    """The present frame in grey and earlier ones, a channel a lag: the network compares them.

    Temporal-YOLOv8 [2] stacks three grey frames, one of them of the future, instead of colours;
    here colours stay, and no frame is of the future.
    """

    aligns = True

    def __init__(self, config: MotionConfig) -> None:
        super().__init__(config)
        self._earlier = _Earlier(max(config.lags))

    @staticmethod
    def channels(config: MotionConfig) -> int:
        """The present frame, and one a lag."""
        return 1 + len(config.lags)

    def push(self, grey: GreyImage, step: Alignment | None) -> UInt8Image:
        """As `Motion.push`."""
        channels = self.still(grey)
        for index, lag in enumerate(self.config.lags, start=1):
            earlier = self._earlier.at(lag, grey, step)
            if earlier is not None:
                channels[..., index] = earlier
        self._earlier.keep(grey, step)
        return channels

    def still(self, grey: GreyImage) -> UInt8Image:
        """As `Motion.still`: every frame is like the present one."""
        return np.repeat(grey[..., None], self.channels(self.config), axis=2)


class Mog2(Motion):
    """Mask of what a mixture of Gaussians a pixel has not seen before: 0 or 255.

    Zivkovic 2004, OpenCV's own [M]; on grey values, which takes a third of the time [D].
    """

    def __init__(self, config: MotionConfig) -> None:
        super().__init__(config)
        self._model = cv2.createBackgroundSubtractorMOG2(
            config.history, config.var_threshold, detectShadows=False
        )
        self._began = False

    def push(self, grey: GreyImage, step: Alignment | None) -> UInt8Image:
        """As `Motion.push`."""
        mask = np.asarray(self._model.apply(grey), np.uint8)
        began, self._began = self._began, True
        return mask[..., None] if began else self.still(grey)


class RunningMedian(Motion):
    """Absolute difference to a background that steps a grey level a frame towards the present.

    It settles at the median of what a pixel was (McFarlane and Schofield 1995 [M]), and takes a
    frame's memory and no more. What stood in the first frame and left stays visible for as many
    frames as it differed in grey levels.
    """

    def __init__(self, config: MotionConfig) -> None:
        super().__init__(config)
        self._background: GreyImage | None = None

    def push(self, grey: GreyImage, step: Alignment | None) -> UInt8Image:
        """As `Motion.push`."""
        if self._background is None:
            self._background = grey.copy()
            return self.still(grey)
        channel = np.asarray(cv2.absdiff(grey, self._background), np.uint8)[..., None]
        above = (grey > self._background).view(np.uint8)
        below = (grey < self._background).view(np.uint8)
        self._background = self._background + above - below
        return channel


MOTION: dict[str, type[Motion]] = {
    "difference": Difference,
    "mog2": Mog2,
    "median": RunningMedian,
    "grey-stack": GreyStack,
}
"""Every mode by its name."""


class MotionStream:
    """The motion channels of one stream; each stream has its own.

    Args:
        config: Which channels.
        measures: Whether the camera's motion is measured, which takes a little time.
    """

    def __init__(self, config: MotionConfig, *, measures: bool = True) -> None:
        self.config = config
        self._measures = measures
        self._motion = MOTION[config.mode](config)
        self._previous: GreyImage | None = None
        self._measured: deque[float] = deque(maxlen=_MEASUREMENTS)
        self._pushed = 0

    def push(self, frame: UInt8Image) -> UInt8Image:
        """The motion channels of the next frame.

        Args:
            frame: ``(H, W, 3)`` RGB or ``(H, W, 1)`` grey, all of one size.

        Returns:
            ``(H, W, m)`` uint8, m as `MotionConfig.channels` says; zero motion before there is
            a frame to compare with.

        Raises:
            FoveateError: If the size differs from that of the frames before.
        """
        grey = to_grey(frame)
        previous = self._previous
        if previous is not None and previous.shape != grey.shape:
            raise FoveateError(
                f"frame {self._pushed} is {grey.shape[1]} x {grey.shape[0]} pixels, those before "
                f"are {previous.shape[1]} x {previous.shape[0]}; motion needs frames of one size"
            )
        step = None if previous is None else self._step(previous, grey)
        self._previous = grey
        self._pushed += 1
        return self._motion.push(grey, step)

    @property
    def settled(self) -> bool:
        """Whether there were as many frames before the latest as its channels want."""
        return self._pushed > self.config.frames_before

    @property
    def camera_motion(self) -> float | None:
        """Pixels a frame that the camera moves, median of late; None where nothing tells it."""
        return median(self._measured) if self._measured else None

    @property
    def moving(self) -> bool:
        """Whether the camera moves, so that what stands still seems to move."""
        if self._previous is None or len(self._measured) < _LEAST_MEASUREMENTS:
            return False
        height, width = self._previous.shape
        return moves(median(self._measured), width, height)

    def _step(self, previous: GreyImage, grey: GreyImage) -> Alignment | None:
        """The way back to the previous frame, if frames are aligned; measures in passing."""
        if self.config.stabilise == "none":
            if self._measures and self._pushed % _MEASURED_EVERY == 1:
                moved = camera_motion(previous, grey)
                self._measured += [] if moved is None else [moved]
            return None
        step = ALIGNMENTS[self.config.stabilise](previous, grey)
        if step is None:  # no texture to align by, or a cut
            return np.eye(3)
        self._measured.append(displacement(step, grey.shape[1], len(grey)))
        return step


def motion_channels(frames: Iterable[UInt8Image], config: MotionConfig) -> UInt8Image:
    """The channels of the last of some frames that follow each other, ``(H, W, m)``.

    For training, which picks frames here and there: hand over `MotionConfig.frames_before` frames
    before the one wanted, or as many as the clip has.

    Raises:
        FoveateError: If they differ in size.
        ValueError: If there is none.
    """
    stream, channels = MotionStream(config, measures=False), None
    for frame in frames:
        channels = stream.push(frame)
    if channels is None:
        raise ValueError("motion channels need at least one frame")
    return channels


def still_channels(frame: UInt8Image, config: MotionConfig) -> UInt8Image:
    """The channels of a picture that is no part of a video: zero motion, ``(H, W, m)``."""
    return MOTION[config.mode](config).still(to_grey(frame))


def with_channels(image: UInt8Image, channels: UInt8Image) -> UInt8Image:
    """A picture ``(H, W, C)`` and its motion channels ``(H, W, m)`` as ``(H, W, C + m)``."""
    # In half the time that numpy takes.
    return np.asarray(cv2.merge([*cv2.split(image), *cv2.split(channels)]), np.uint8)


def to_grey(frame: UInt8Image) -> GreyImage:
    """``(H, W)`` of ``(H, W, 3)`` RGB or ``(H, W, 1)``."""
    if frame.shape[2] == 1:
        return frame[..., 0].copy()
    return np.asarray(cv2.cvtColor(frame[..., :3], cv2.COLOR_RGB2GRAY), np.uint8)
