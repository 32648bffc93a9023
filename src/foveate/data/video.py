"""Video in: frames of any file that FFmpeg reads, of a network address or of a camera.

Through PyAV, which is optional (``pip install foveate[video]``). Frames are decoded in a thread of
their own; each keeps its own time, so that a variable frame rate stays what it is. They come as
they are viewed: the rotation that telephones write is applied.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from foveate.data.ahead import Dropped, ahead
from foveate.data.files import open_file
from foveate.errors import FoveateError, UsageError
from foveate.libraries import import_library, one_line
from foveate.structures import UInt8Image

VIDEO_ENDINGS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".wmv", ".flv", ".3gp", ".ogv", ".y4m", ".mxf",
)  # fmt: skip
"""File endings by which a video is told from a picture; any other opens with `VideoReader`."""

_ADDRESS = re.compile(r"^(rtsps?|rtmps?|https?|udp|rtp|srt|tcp)://", re.IGNORECASE)
_CAMERA = re.compile(r"^camera:(\d+)$")
_CAMERAS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}", "avfoundation")}
"""By platform: what FFmpeg calls a camera, and the device that opens it."""
_PICTURES = re.compile(r"^https?://.*(\.jpe?g|\.png|\.webp|\.bmp|\.tiff?|\.jp2|\.j2k|/)$", re.I)
"""Addresses that name pictures, or a folder of them."""
_NO_VIDEO = ("tty", "ass", "srt", "webvtt")
"""What FFmpeg makes of a text; it would render it."""
_WAIT = (10.0, 10.0)
"""Seconds to open an address, and to wait for its next packet."""
_WAITING = 4
"""Decoded frames that wait to be taken: bounds the memory."""
_SHORT_FRAMES, _SHORT_SHARE = 4, 0.02
"""A video that ends so many frames and such a share early was cut short."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame.

    Attributes:
        index: Of the video, counted from 0, frames that a stride leaves out included.
        time: Seconds since the video's first frame, exactly as the file has it.
        image: ``(H, W, 3)`` uint8 RGB.
    """

    index: int
    time: Fraction
    image: UInt8Image


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says of itself.

    Attributes:
        name: File name or address.
        rate: Frames a second, on average; None if unknown.
        seconds: Length; None if unknown, as of a live stream.
        frames: About how many; None if unknown.
        live: Whether frames come when they come, and do not wait.
    """

    name: str
    rate: Fraction | None
    seconds: float | None
    frames: int | None
    live: bool


def is_video(source: str | Path) -> bool:
    """Whether a source is a video by its name: an address, a camera or a file's ending."""
    text = str(source)
    if _PICTURES.match(text):
        return False
    live = _ADDRESS.match(text) or _CAMERA.match(text)
    return bool(live) or Path(text).suffix.lower() in VIDEO_ENDINGS


class VideoReader:
    """Iterates over the frames of a video, which are decoded ahead.

    Args:
        source: A file in any container; an address, such as ``rtsp://...``; or ``camera:0``.
        stride: Every so many-th frame is given, from the first on.

    Attributes:
        info: What it says of itself.
        notes: What should be known of how it was read; complete when it was.

    Raises:
        FoveateError: If it cannot be opened or has no pictures, or PyAV is not installed.
        UsageError: If `stride` is below 1.
    """

    def __init__(self, source: str | Path, stride: int = 1) -> None:
        if stride < 1:
            raise UsageError(f"stride must be at least 1, got {stride}")
        self._av = import_library("av", f"video {source}", "foveate[video]")
        self._stride = stride
        self._name = str(source)
        self._live = bool(_ADDRESS.match(self._name) or _CAMERA.match(self._name))
        self._container = self._open()
        try:
            self._stream = self._pictures()
        except BaseException:
            self._container.close()
            raise
        self.info = self._described()
        self._damaged = 0
        self._dropped = Dropped()
        self._frames: Generator[VideoFrame] | None = None

    def __enter__(self) -> VideoReader:
        """Itself; closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames, once.

        Raises:
            FoveateError: In its turn: if frames change their size, the video was cut short, or it
                has no frame that can be decoded. The frames before are given first.
            ValueError: If it was iterated over before.
        """
        if self._frames is not None:
            raise ValueError(f"{self._name}: a reader is iterated over once; open another")
        dropped = self._dropped if self._live else None
        self._frames = ahead(self._decoded(), _WAITING, "foveate-decode", dropped)
        return self._frames

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known of how it was read."""
        notes = []
        if self._damaged:
            notes.append(f"{self._damaged} damaged parts were skipped or patched")
        if self._dropped.count:
            notes.append(f"{self._dropped.count} frames came faster than they could be worked on")
        return tuple(notes)

    def close(self) -> None:
        """End the thread and close the file; may be called twice."""
        if self._frames is not None:
            self._frames.close()
        self._container.close()

    def _open(self) -> Any:
        name, form = self._name, None
        options: dict[str, str] = {}
        camera = _CAMERA.match(name)
        if camera:
            device = _CAMERAS.get(sys.platform)
            if device is None:
                raise UsageError(f"{name}: cameras are read on Linux and macOS; give an address")
            name, form = device[0].format(camera[1]), device[1]
        elif not self._live:
            open_file(Path(name)).close()
            name = f"file:{name}"  # so that a colon in it is no protocol
        elif name.lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # UDP loses packets, and so pictures
        try:
            return self._av.open(name, format=form, options=options, timeout=_WAIT)
        except (self._av.FFmpegError, OSError) as error:
            raise FoveateError(f"{self._name} {self._why(error)}") from None

    def _why(self, error: BaseException) -> str:
        if isinstance(error, self._av.error.InvalidDataError):
            return "cannot be read as a video: it is none, or its end is missing"
        if isinstance(error, self._av.error.EOFError):
            return "has no frame"
        said = getattr(error, "strerror", None) or one_line(error)
        return f"cannot be read as a video: {said.lower()}"

    def _pictures(self) -> Any:
        streams = [s for s in self._container.streams.video if not _is_cover(s)]
        if self._container.format.name in _NO_VIDEO:
            raise FoveateError(f"{self._name} is a text and no video")
        if not streams:
            what = "has sound and no pictures" if self._container.streams.audio else "has no video"
            raise FoveateError(f"{self._name} {what}")
        streams[0].thread_type = "AUTO"
        return streams[0]

    def _described(self) -> VideoInfo:
        stream, container = self._stream, self._container
        rate = stream.average_rate or stream.guessed_rate
        seconds = None
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration:
            seconds = container.duration / self._av.time_base
        frames = stream.frames or (round(seconds * rate) if seconds and rate else None)
        name = self._name if self._live else Path(self._name).name
        return VideoInfo(name, rate, seconds, frames, self._live)

    def _decoded(self) -> Iterator[VideoFrame]:
        """The frames, in the decoder's thread."""
        first: Fraction | None = None
        end, size, index = Fraction(0), (0, 0), -1
        for index, frame in enumerate(self._raw_frames()):
            time = self._time(frame, end)
            first = time if first is None else first
            end = time + self._length(frame)
            if index % self._stride:
                continue
            image = _upright(frame)
            now = (image.shape[1], image.shape[0])
            if size not in ((0, 0), now):
                raise FoveateError(
                    f"{self._name} changes from {size[0]} x {size[1]} to {now[0]} x {now[1]} "
                    f"pixels at frame {index}; cut it there into two videos"
                )
            size = now
            yield VideoFrame(index, time - first, image)
        if index < 0:
            damaged = " that can be decoded" if self._damaged else ""
            raise FoveateError(f"{self._name} has no frame{damaged}")
        self._require_complete(float(end - (first or 0)), index + 1)

    def _raw_frames(self) -> Iterator[Any]:
        """FFmpeg's frames; damaged packets are passed over and counted."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except self._av.error.EOFError:
                return
            except self._av.error.InvalidDataError:
                self._damaged += 1
                continue
            except (self._av.FFmpegError, OSError) as error:
                raise FoveateError(f"{self._name} {self._why(error)}") from None
            for frame in frames:
                self._damaged += bool(frame.is_corrupt)
                yield frame

    def _time(self, frame: Any, end: Fraction) -> Fraction:
        """As the file says; otherwise when the frame before ends."""
        return end if frame.pts is None else Fraction(frame.pts * frame.time_base)

    def _length(self, frame: Any) -> Fraction:
        if frame.duration:
            return Fraction(frame.duration * frame.time_base)
        return 1 / self.info.rate if self.info.rate else Fraction(0)

    def _require_complete(self, end: float, frames: int) -> None:
        """See that the video goes on for as long as it says."""
        seconds, rate = self.info.seconds, self.info.rate
        if seconds is None or not rate or self._live:
            return
        missing = seconds - end
        if missing > max(_SHORT_FRAMES / float(rate), _SHORT_SHARE * seconds):
            raise FoveateError(
                f"{self._name} was cut short: it ends at {end:.1f} of {seconds:.1f} seconds, "
                f"after {frames} frames"
            )


def _is_cover(stream: Any) -> bool:
    """Whether a video stream is the one picture of a record's cover."""
    cover = getattr(stream.disposition, "attached_pic", 0)
    return bool(stream.disposition & cover)


def _upright(frame: Any) -> UInt8Image:
    """``(H, W, 3)`` RGB as it is viewed."""
    image = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4  # counter-clockwise, as numpy turns
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else np.asarray(image, np.uint8)
