"""Small videos, good and bad, made when a test needs them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from foveate.data.video_writer import VideoWriter
from foveate.structures import UInt8Image


def grey_frames(count: int, width: int = 64, height: int = 48) -> list[UInt8Image]:
    """Frames of one grey value each, ten levels apart: a frame tells its number."""
    return [np.full((height, width, 3), 10 + 10 * (i % 20), np.uint8) for i in range(count)]


def number_of(image: UInt8Image) -> int:
    """Which of `grey_frames` it is, of the first twenty."""
    return round((float(image.mean()) - 10) / 10)


def write_video(
    path: Path, frames: Sequence[UInt8Image], times: Sequence[Fraction] | None = None
) -> Path:
    """Write frames, 25 a second or at the times given."""
    times = times or [Fraction(index, 25) for index in range(len(frames))]
    with VideoWriter(path) as writer:
        for frame, time in zip(frames, times, strict=True):
            writer.write(frame, time)
    return path


def write_sound(path: Path) -> Path:
    """A video file with sound and no pictures."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


def write_changing(path: Path) -> Path:
    """Ten frames of 64 x 48, then ten of 96 x 64, as a stream of JPEGs."""
    import cv2

    frames = [*grey_frames(10), *grey_frames(10, 96, 64)]
    path.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    return path
