"""Run a detector over the frames of a video: in tiles, with the motion channels it asks for.

Three things happen at once: one thread decodes (`VideoReader`), one computes motion and joins it
to the frame, and the caller's runs the detector, which works on several tiles side by side. A few
frames are in memory, however long the video is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from foveate.data.ahead import ahead
from foveate.data.motion import MotionConfig, MotionStream
from foveate.data.video import VideoFrame
from foveate.errors import FoveateError
from foveate.inference.folder import Runner
from foveate.inference.gate import MotionGate
from foveate.inference.layers import LayeredSource
from foveate.structures import Detections

_WAITING = 2
"""Frames with their motion that wait for the detector."""
_PACE_FRAMES = 50
"""The latest so many frames say how fast a run is."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What was found in one frame: a line of the results.

    Attributes:
        index: Of the frame in its video, from 0.
        time: Seconds since the first frame.
        detections: Merged, in picture pixels, best first; rounded as they are written, so that
            a run that goes on from a file goes on from the same.
        tiles: That the network was shown.
        skipped_tiles: That it was not shown, since nothing changed in them.
        capped_tiles: That gave as many boxes as the model can give one.
        seconds: Wall time of tiling, detection and merging.
    """

    index: int
    time: float
    detections: Detections
    tiles: int
    skipped_tiles: int
    capped_tiles: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As plain data; `boxes` are xyxy pixels."""
        found = self.detections
        return {
            "frame": self.index,
            "time": round(self.time, 6),
            "boxes": np.round(found.boxes.astype(np.float64), 3).tolist(),
            "scores": np.round(found.scores.astype(np.float64), 6).tolist(),
            "labels": found.labels.tolist(),
            "tiles": self.tiles,
            "skipped_tiles": self.skipped_tiles,
            "capped_tiles": self.capped_tiles,
            "seconds": round(self.seconds, 4),
        }

    @classmethod
    def from_dict(cls, values: Any) -> FrameResult:
        """Read what `to_dict` gave.

        Raises:
            ValueError: If it is something else.
        """
        try:
            found = Detections(
                np.array(values["boxes"], np.float32).reshape(-1, 4),
                np.array(values["scores"], np.float32),
                np.array(values["labels"], np.int64),
            )
            return cls(
                int(values["frame"]),
                float(values["time"]),
                found,
                int(values["tiles"]),
                int(values["skipped_tiles"]),
                int(values["capped_tiles"]),
                float(values["seconds"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no result of a frame: {error}") from None


class _Layered(NamedTuple):
    """A frame, and what the detector is shown of it; None if it was done before."""

    frame: VideoFrame
    source: LayeredSource | None


class VideoDetector:
    """Detects in the frames of one video, in turn.

    Args:
        run: Detects in one frame: `settings.frame_runner`.
        motion: The motion channels that the model sees, if any.
        name: Of the video, for messages.
        gate: Says where a frame is looked at again.

    Attributes:
        stream: The motion channels at work; None without.
    """

    def __init__(
        self,
        run: Runner,
        motion: MotionConfig | None,
        name: str = "video",
        gate: MotionGate | None = None,
    ) -> None:
        self._run, self._name, self._gate = run, name, gate
        self.stream = None if motion is None else MotionStream(motion)

    def over(
        self, frames: Iterable[VideoFrame], done: Sequence[FrameResult] = ()
    ) -> Generator[tuple[VideoFrame, FrameResult]]:
        """Detect in frames as they come.

        Args:
            frames: Of one size, from a video's first frame on.
            done: Results of the first frames, from a run before: they are given again, not made
                again. The frames after them come out as if there had been no interruption; but a
                gate begins anew, with a look at every tile.

        Yields:
            Each frame and what was found in it.

        Raises:
            FoveateError: What reading a frame or detecting in it raises, named by the frame.
        """
        line = ahead(self._layered(frames, len(done)), _WAITING, "foveate-motion")
        with closing(line):
            for position, (frame, source) in enumerate(line):
                if source is None:
                    yield frame, self._earlier(frame, done[position])
                else:
                    yield frame, self._detected(frame, source)

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known of the run so far."""
        stream = self.stream
        if stream is None or not stream.moving or stream.config.stabilise != "none":
            return ()
        hint = (
            "; --stabilise features aligns frames"
            if not stream.config.remembers_all
            else "; this model is for fixed cameras"
        )
        return (
            f"the camera moves, {stream.camera_motion:.1f} pixels a frame: all that stands still "
            f"seems to move, and the model sees motion{hint}",
        )

    @property
    def shortage(self) -> str | None:
        """Said at a video's end if it was too short for its motion to be told; otherwise None."""
        stream = self.stream
        if stream is None or stream.settled:
            return None
        config = stream.config
        return (
            f"the video is too short: {config.mode} wants {config.frames_before} frames before one "
            "whose motion it tells, so the model saw little of it or none"
        )

    def _layered(self, frames: Iterable[VideoFrame], done: int) -> Iterator[_Layered]:
        """Motion and all, in a thread of its own."""
        stream = self.stream
        warm = 0 if stream is None else stream.config.frames_before
        from_here = 0 if stream is not None and stream.config.remembers_all else done - warm
        iterator = iter(frames)
        try:
            for position, frame in enumerate(iterator):
                wanted = stream is not None and position >= from_here
                channels = stream.push(frame.image) if stream is not None and wanted else None
                if position < done:
                    yield _Layered(frame, None)
                    continue
                name = f"{self._name}, frame {frame.index}"
                yield _Layered(frame, LayeredSource.of(name, frame.image, channels))
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    def _detected(self, frame: VideoFrame, source: LayeredSource) -> FrameResult:
        found = self._run(source) if self._gate is None else self._gate.detect(self._run, source)
        result = FrameResult(
            frame.index,
            float(frame.time),
            found.detections,
            len(found.tiles),
            found.skipped_tiles,
            found.capped_tiles,
            found.seconds,
        )
        return FrameResult.from_dict(result.to_dict())

    def _earlier(self, frame: VideoFrame, result: FrameResult) -> FrameResult:
        if result.index != frame.index:
            raise FoveateError(
                f"{self._name}: the results before are of frame {result.index} where the video "
                f"has frame {frame.index}; begin again in another folder"
            )
        return result


class Pace:
    """How fast a run is, and how long it will take yet.

    Args:
        total: Frames in all, if that is known.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.done = 0
        self._times: deque[float] = deque(maxlen=_PACE_FRAMES + 1)
        self._times.append(time.monotonic())

    def step(self) -> None:
        """A frame is done."""
        self.done += 1
        self._times.append(time.monotonic())

    @property
    def rate(self) -> float:
        """Frames a second, of late; 0 before there is one."""
        spent = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / spent if spent > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the end; None if that is not known."""
        if self.total is None or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate

    def __str__(self) -> str:
        """Such as ``120 of 3000, 4.1 a second, 12 min left``."""
        total = "" if self.total is None else f" of {max(self.total, self.done)}"
        left = self.seconds_left
        ending = "" if left is None else f", {_duration(left)} left"
        return f"{self.done}{total}, {self.rate:.1f} a second{ending}"


def _duration(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
