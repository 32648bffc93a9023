"""Videos in Python: what is found in each frame, as it comes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np

from foveate.data.video import VideoReader
from foveate.inference.gate import MotionGate
from foveate.inference.settings import (
    Options,
    RunSettings,
    class_names_of,
    frame_runner,
    run_settings,
)
from foveate.inference.tracking import NO_TRACK, TrackConfig, Tracker
from foveate.inference.video import FrameResult, VideoDetector
from foveate.structures import Detections, Detector, IntArray, UInt8Image


@dataclass(frozen=True, slots=True, eq=False)
class VideoResult:
    """What was found in one frame.

    Attributes:
        index: Of the frame in its video, from 0.
        time: Seconds since the first frame.
        image: ``(H, W, 3)`` RGB; drop it where many results are kept.
        detections: Merged, in picture pixels, best first.
        tracks: ``(N,)`` int64, the track of each detection from 1, -1 for none; None where tracks
            were not asked for.
        class_names: What the labels mean; empty if the detector does not say.
        tiles: That the network was shown.
        skipped_tiles: That it was not shown, since nothing changed in them.
        seconds: Wall time of tiling, detection and merging.
    """

    index: int
    time: float
    image: UInt8Image
    detections: Detections
    tracks: IntArray | None
    class_names: tuple[str, ...]
    tiles: int
    skipped_tiles: int
    seconds: float

    def __repr__(self) -> str:
        """Short: the arrays and the picture are left out."""
        return f"VideoResult(frame {self.index}, {len(self.detections)} detections)"


def detect_video(
    source: str | Path,
    detector: Detector,
    *,
    track: bool = False,
    gate: bool = False,
    stride: int = 1,
    on_note: Callable[[str], None] | None = None,
    **options: Unpack[Options],
) -> Generator[VideoResult]:
    """Detect objects in the frames of a video, with the motion that the model asks for.

    Frames are decoded and their motion is computed while the ones before are worked on; a few are
    in memory. Close what this returns, or use it up, to have the video closed.

    Args:
        source: A video file, an address such as ``rtsp://``, or ``camera:0``.
        detector: From `load`, or any callable ``images -> list[Detections]``.
        track: Give detections the numbers of their tracks. Those below the threshold are then
            given, too, where a track holds them.
        gate: On a fixed camera, look again only where something changed, or where a track is.
        stride: Take every so manieth frame.
        on_note: Told what should be known of the run: that the camera moves, what was damaged.
        **options: As for `detect`.

    Returns:
        An iterator over one result a frame. `foveate.inference.ball.ball_trajectory` makes one
        path of a ball's detections in all frames.

    Raises:
        FoveateError: At once, if ``av`` or, for tracks, ``trackers`` is not installed, or the
            video cannot be opened; later for a frame.
        UsageError: At once, if an option cannot be.
    """
    settings = run_settings(detector, options)
    reader = VideoReader(source, stride)
    try:
        rate = None if reader.info.rate is None else reader.info.rate / stride
        tracker = Tracker(settings.score_threshold, rate) if track else None
        run = _VideoRun(detector, settings, tracker, MotionGate() if gate else None, on_note)
    except BaseException:
        reader.close()
        raise
    return run.over(reader)


class _VideoRun:
    def __init__(
        self,
        detector: Detector,
        settings: RunSettings,
        tracker: Tracker | None,
        gate: MotionGate | None,
        on_note: Callable[[str], None] | None,
    ) -> None:
        self._names = class_names_of(detector)
        self._threshold = settings.score_threshold
        self._tracker, self._gate, self._on_note = tracker, gate, on_note
        least = TrackConfig().low * self._threshold if tracker else self._threshold
        self._run = frame_runner(detector, replace(settings, score_threshold=least))
        self._motion = settings.motion

    def over(self, reader: VideoReader) -> Generator[VideoResult]:
        name = reader.info.name
        video = VideoDetector(self._run, self._motion, name, self._gate)
        told = False
        with reader, closing(video.over(reader)) as frames:
            for frame, found in frames:
                yield self._result(frame.image, found)
                if video.notes and not told:
                    told = True
                    self._tell(name, *video.notes)
        self._tell(name, *reader.notes, *([video.shortage] if video.shortage else []))

    def _result(self, image: UInt8Image, found: FrameResult) -> VideoResult:
        detections, tracks = found.detections, None
        if self._tracker is not None:
            tracked = self._tracker.update(found.index, detections)
            kept = (detections.scores >= self._threshold) | (tracked.tracks != NO_TRACK)
            detections, tracks = detections[kept], tracked.tracks[np.flatnonzero(kept)]
            if self._gate is not None:
                self._gate.follow(self._tracker.expected())
        return VideoResult(
            found.index,
            found.time,
            image,
            detections,
            tracks,
            self._names,
            found.tiles,
            found.skipped_tiles,
            found.seconds,
        )

    def _tell(self, name: str, *texts: str) -> None:
        for text in texts if self._on_note else ():
            assert self._on_note is not None
            self._on_note(f"{name}: {text}")
