"""``foveate detect`` for a video: frames in; boxes, tracks and an annotated video out."""

from __future__ import annotations

import json
import re
from collections import deque
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foveate.api.output import ANNOTATED, OutputFolder
from foveate.cli.terminal import note, running, show_json
from foveate.data.video import VideoFrame, VideoInfo, VideoReader
from foveate.data.video_writer import VideoWriter
from foveate.errors import UsageError
from foveate.inference.ball import Trajectory, ball_trajectory
from foveate.inference.frame_log import FrameLog
from foveate.inference.gate import MotionGate
from foveate.inference.model_info import ModelInfo
from foveate.inference.settings import Options, RunSettings, frame_runner, run_settings
from foveate.inference.tracking import (
    NO_TRACK,
    TrackConfig,
    TrackedFrame,
    Tracker,
    to_mot,
    to_tracks,
)
from foveate.inference.video import FrameResult, Pace, VideoDetector
from foveate.reports.draw import draw_detections, draw_trails
from foveate.structures import FloatArray, UInt8Image

if TYPE_CHECKING:
    from foveate.cli.detect import Detect

_DEFAULT_OUT = Path("out")
_TRAIL = 25
"""Frames that the line behind an object goes back."""
_BALL = "ball"


def detect_video(flags: Detect, source: str) -> None:
    """Run the command for a video.

    Args:
        flags: What was asked for.
        source: The video.

    Raises:
        FoveateError: If the video or its results cannot be read or written; what was done stays.
        KeyboardInterrupt: When interrupted, with what was done.
    """
    out = _out(flags)
    assert flags.model is not None
    detector, info = flags.run.load(flags.model)
    asked = Options(plain=flags.plain or None, stabilise=flags.video.stabilise)
    settings = run_settings(detector, flags.run.options() | asked)
    ball = _ball_label(flags, info)
    with ExitStack() as opened:
        reader = opened.enter_context(VideoReader(source, flags.video.stride))
        job = _VideoJob(flags, info, settings, reader.info, ball)
        gate = MotionGate() if flags.video.gate else None
        run = frame_runner(detector, job.settings)
        video = VideoDetector(run, settings.motion, reader.info.name, gate)
        done = job.open(out, opened)
        opened.callback(job.finish)
        _loop(job, video, reader, done, gate)
    shortage = [video.shortage] if video.shortage else []
    for text in (*reader.notes, *shortage, *([str(gate)] if gate else [])):
        note(f"{reader.info.name}: {text}")
    job.show()


def _loop(
    job: _VideoJob,
    video: VideoDetector,
    reader: VideoReader,
    done: list[FrameResult],
    gate: MotionGate | None,
) -> None:
    """Frame by frame, telling how far it is, and once what should be known of the camera."""
    told: set[str] = set()
    pace = Pace(_frames_in(reader.info, job.stride))
    try:
        with running("frames") as tell, closing(video.over(reader, done)) as results:
            for frame, result in results:
                job.take(frame, result, new=job.frames >= len(done))
                if gate is not None and job.tracker is not None:
                    gate.follow(job.tracker.expected())
                for text in set(video.notes[:1]) if not told else ():
                    told.add(text)
                    note(f"{reader.info.name}: {text}")
                pace.step()
                tell(pace)
    except KeyboardInterrupt:
        again = "" if reader.info.live else "; the same command goes on from there"
        raise KeyboardInterrupt(f"{job.frames} frames are done{again}") from None


class _VideoJob:
    """One run over a video, and what has come of it so far.

    Attributes:
        settings: Of the detector; with tracks, weak detections are asked for, too.
        tracker: None without tracks.
        frames: Done so far.
        stride: Between frames.
    """

    def __init__(
        self,
        flags: Detect,
        info: ModelInfo,
        settings: RunSettings,
        video: VideoInfo,
        ball: int | None,
    ) -> None:
        self.stride = flags.video.stride
        self.tracker: Tracker | None = None
        self.settings = settings
        self.frames = 0
        self._flags, self._info, self._video, self._ball = flags, info, video, ball
        self._threshold = settings.score_threshold
        if flags.video.track:
            config = TrackConfig()
            rate = None if video.rate is None else video.rate / self.stride
            self.tracker = Tracker(self._threshold, rate, config)
            weak = config.low * self._threshold
            self.settings = replace(settings, score_threshold=weak)
        self._out: OutputFolder | None = None
        self._log: FrameLog | None = None
        self._writer: VideoWriter | None = None
        self._tracked: list[TrackedFrame] = []
        self._balls: list[FrameResult] = []
        self._trails: dict[int, deque[FloatArray]] = {}
        self._labels: dict[int, int] = {}
        self._found = self._tiles = self._skipped = 0
        self._trajectory: Trajectory | None = None

    def open(self, out: Path | None, opened: ExitStack) -> list[FrameResult]:
        """Open what is written to; gives the results of a run before.

        Raises:
            FoveateError: If it cannot be written to, or holds something else.
        """
        if out is None:
            return []
        self._out = OutputFolder(out)
        self._log = opened.enter_context(FrameLog(out, self._run()))
        if self._log.done and self._video.live:
            raise UsageError(f"{out} holds a recording; choose another folder with --out")
        stem = re.sub(r"[^\w.-]+", "_", Path(self._video.name).stem).strip("._") or "video"
        rate = None if self._video.rate is None else self._video.rate / self.stride
        path = out / ANNOTATED / f"{stem}.mp4"
        self._writer = opened.enter_context(VideoWriter(path, rate))
        if self._log.done:
            gated = "; all is looked at once, for the gate" if self._flags.video.gate else ""
            note(f"{len(self._log.done)} frames are done already{gated}")
        return self._log.done

    def take(self, frame: VideoFrame, result: FrameResult, *, new: bool) -> None:
        """Write and count one frame; its result is in the log already unless it is `new`."""
        if self._log is not None and new:
            self._log.append(result)
        self.frames += 1
        self._found += int((result.detections.scores >= self._threshold).sum())
        self._tiles += result.tiles
        self._skipped += result.skipped_tiles
        tracked = self._track(result)
        if self._writer is not None:
            self._writer.write(self._drawn(frame.image, result, tracked), frame.time)

    def finish(self) -> None:
        """Write the tracks; also of a run that was interrupted."""
        if self.tracker is None:
            return
        if self._ball is not None:
            self._trajectory = ball_trajectory(self._balls, self._ball)
        if self._out is not None and self.frames:
            tracks = to_tracks(self._tracked, self._info.class_names, self._trajectory)
            self._out.write("tracks.json", json.dumps(tracks).encode())
            self._out.write("tracks.txt", to_mot(self._tracked, self._trajectory).encode())

    def show(self) -> None:
        """Print what was found, and where it is."""
        if self._flags.json:
            show_json(self._summary())
            return
        assert self._out is not None
        tracks = f", {len(self._labels)} tracks" if self.tracker is not None else ""
        print(f"{self._video.name}: {self.frames} frames, {self._found} detections{tracks}")
        files = "frames.jsonl, " + ("tracks.json, tracks.txt, " if tracks else "")
        note(f"{files.removesuffix(', ')} and {ANNOTATED}/ are in {self._out.path}")

    def _track(self, result: FrameResult) -> TrackedFrame | None:
        if self.tracker is None:
            return None
        found = result.detections
        others = found if self._ball is None else found[found.labels != self._ball]
        if self._ball is not None:
            self._balls.append(replace(result, detections=found[found.labels == self._ball]))
        tracked = self.tracker.update(result.index, others)
        kept = tracked.tracks != NO_TRACK
        tracked = TrackedFrame(tracked.index, others[kept], tracked.tracks[kept])
        self._tracked.append(tracked)
        centres = (tracked.detections.boxes[:, :2] + tracked.detections.boxes[:, 2:]) / 2
        for number, label, centre in zip(
            tracked.tracks.tolist(), tracked.detections.labels.tolist(), centres, strict=True
        ):
            self._labels[number] = label
            self._trails.setdefault(number, deque(maxlen=_TRAIL)).append(centre)
        return tracked

    def _drawn(
        self, image: UInt8Image, result: FrameResult, tracked: TrackedFrame | None
    ) -> UInt8Image:
        """The frame with its boxes, and a line behind every tracked object."""
        found = result.detections
        scale = self._flags.annotated_scale
        strong = found[found.scores >= self._threshold]
        drawn = draw_detections(image, strong, self._info.class_names, scale=scale)
        if tracked is None:
            return drawn
        live = [
            (self._labels[number], np.stack(self._trails[number]))
            for number in tracked.tracks.tolist()
        ]
        return draw_trails(drawn, live, scale=scale)

    def _run(self) -> dict[str, Any]:
        """What decides the results of a frame: a run goes on only with the same."""
        source = self._video.name
        size = None if self._video.live else Path(self._flags.source[0]).stat().st_size
        return {
            "source": source,
            "bytes": size,
            "model": self._info.model_dump(mode="json", include={"name", "recipe_hash", "created"}),
            "stride": self.stride,
            "gate": self._flags.video.gate,
            "flips": self._flags.run.flips,
            "settings": self.settings.to_dict(),
        }

    def _summary(self) -> dict[str, Any]:
        """For ``--json``."""
        tracked = self.tracker is not None
        return {
            **self._run(),
            "class_names": list(self._info.class_names),
            "frames": self.frames,
            "detections": self._found,
            "tiles": self._tiles,
            "skipped_tiles": self._skipped,
            **(
                to_tracks(self._tracked, self._info.class_names, self._trajectory)
                if tracked
                else {}
            ),
        }


def _out(flags: Detect) -> Path | None:
    """Where results go, if anywhere.

    Raises:
        UsageError: If something is asked for that a video does not have.
    """
    if flags.formats or flags.crops or flags.crs is not None or flags.profile:
        raise UsageError("--formats, --crops, --crs and --profile are for pictures, not for videos")
    if flags.annotated_scale <= 0 or flags.annotated_scale > 4:
        raise UsageError(
            f"--annotated-scale of a video is above 0 and at most 4, got {flags.annotated_scale:g}"
        )
    return flags.out or (None if flags.json else _DEFAULT_OUT)


def _ball_label(flags: Detect, info: ModelInfo) -> int | None:
    """The class of which there is one."""
    asked = flags.video.ball
    if asked is None:
        has_ball = flags.video.track and _BALL in info.class_names
        return info.class_names.index(_BALL) if has_ball else None
    if not flags.video.track:
        raise UsageError("--ball goes with --track; give both")
    if asked not in info.class_names:
        raise UsageError(f"--ball: expected one of {', '.join(info.class_names)}, got {asked!r}")
    return info.class_names.index(asked)


def _frames_in(video: VideoInfo, stride: int) -> int | None:
    """How many frames there are to do, if that is known."""
    return None if video.frames is None or video.live else -(-video.frames // stride)
