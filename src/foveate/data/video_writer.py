"""Video out: frames become a file that plays, also when writing it was interrupted."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np

from foveate.errors import FoveateError
from foveate.libraries import import_library, one_line
from foveate.structures import UInt8Image

_TICKS = 90_000
"""A second: what every container can hold, and every usual frame rate divides."""
_WAITING = 4
"""Frames that wait to be encoded: bounds the memory."""
_CODECS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "20", "g": "50", "bf": "0"}),
    ("mpeg4", {"qscale": "3", "flags": "+qscale"}),
)
"""The first one that this FFmpeg has, and how it is set. Frames in their order (`bf` 0), so that
an encoder's delay shifts no time; a key frame every 50, so that players find their way."""
_FLUSHED = {"flush_packets": "1"}
_MP4 = {"movflags": "frag_keyframe+delay_moov+default_base_moof"}
"""In parts that play by themselves, each on disk when it is whole: a process that is killed leaves
a file that plays."""


class VideoWriter:
    """Writes frames into a video file; they are encoded in a thread of its own.

    The file is written as ``NAME.part.ENDING`` and gets its name when it is closed, whole or
    interrupted; either plays. Frames with an odd side are encoded with their last row or column
    twice, since H.264 halves the colour.

    Args:
        path: Its ending says the container; ``.mp4`` is the one that plays everywhere.
        rate: Frames a second, for players that ask; the frames' own times decide.

    Raises:
        FoveateError: If the file cannot be written, or PyAV is not installed.
    """

    def __init__(self, path: str | Path, rate: Fraction | None = None) -> None:
        self.path = Path(path)
        self._av = import_library("av", f"video {path}", "foveate[video]")
        self._part = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
        self._rate = rate or Fraction(25)
        self._container = self._open()
        self._stream: Any = None
        self._size = (0, 0)
        self._tick = Fraction(1, _TICKS)
        self._last_tick = -1
        self._error: FoveateError | None = None
        self._queue: Queue[tuple[UInt8Image, Fraction] | None] = Queue(_WAITING)
        self._thread = Thread(target=self._work, name="foveate-encode", daemon=True)
        self._thread.start()
        self._closed = False

    def __enter__(self) -> VideoWriter:
        """Itself; closed at the end, also after an error."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def write(self, image: UInt8Image, time: Fraction) -> None:
        """Hand over the next frame; waits while too many are waiting.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, all of one size; must stay as it is.
            time: Seconds since the first frame; later than that of the frame before, or it is
                moved just behind it.

        Raises:
            FoveateError: If this frame or one before cannot be written.
        """
        if self._error is not None:
            raise self._error
        size = (image.shape[1], image.shape[0])
        if self._size not in ((0, 0), size):
            raise FoveateError(
                f"{self.path}: frames of one video have one size, got {size[0]} x {size[1]} "
                f"after {self._size[0]} x {self._size[1]}"
            )
        self._size = size
        self._queue.put((image, time))

    def close(self) -> None:
        """Encode what waits and finish the file; may be called twice.

        Raises:
            FoveateError: If a frame could not be written.
        """
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._stream is not None:
            self._part.replace(self.path)
        else:
            self._part.unlink(missing_ok=True)

    def _open(self) -> Any:
        parts = _MP4 if self.path.suffix.lower() in (".mp4", ".m4v", ".mov") else {}
        options = _FLUSHED | parts
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self._av.open(f"file:{self._part}", "w", options=options)
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise self._failure(error) from None

    def _failure(self, error: BaseException) -> FoveateError:
        said = (getattr(error, "strerror", None) or one_line(error)).lower()
        return FoveateError(f"{self.path}: this video cannot be written ({said})")

    def _work(self) -> None:
        """Encode until there is no more; after an error, only take what still comes."""
        try:
            while (item := self._queue.get()) is not None:
                self._encode(*item)
            self._finish()
        except Exception as error:
            self._error = error if isinstance(error, FoveateError) else self._failure(error)
            while item is not None:
                item = self._queue.get()
        finally:
            self._container_closed()

    def _container_closed(self) -> None:
        try:
            self._container.close()
        except Exception as error:
            self._error = self._error or self._failure(error)

    def _finish(self) -> None:
        if self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)

    def _encode(self, image: UInt8Image, time: Fraction) -> None:
        if self._stream is None:
            self._stream = self._started(image)
        frame = self._av.VideoFrame.from_ndarray(_even(image), format="rgb24")
        tick = max(round(time / self._tick), self._last_tick + 1)
        self._last_tick = tick
        frame.pts, frame.time_base = tick, self._tick
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _started(self, image: UInt8Image) -> Any:
        """The stream, when the size is known."""
        name, options = self._codec()
        stream = self._container.add_stream(name, rate=self._rate, options=options)
        stream.height, stream.width = (side + side % 2 for side in image.shape[:2])
        stream.pix_fmt = "yuv420p"
        if self.path.suffix.lower() == ".avi":
            self._tick = 1 / self._rate  # AVI only counts frames
        elif name == "mpeg4":
            self._tick = Fraction(1, 60_000)  # which counts time in 16 bits
        stream.codec_context.time_base = stream.time_base = self._tick
        return stream

    def _codec(self) -> tuple[str, dict[str, str]]:
        for name, options in _CODECS:
            try:
                self._av.codec.Codec(name, "w")
            except (self._av.FFmpegError, ValueError):
                continue
            return name, options
        raise FoveateError(f"{self.path}: this FFmpeg has no encoder for H.264 or MPEG-4")


def _even(image: UInt8Image) -> UInt8Image:
    """With even sides: the last row, the last column are there twice if need be."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)
