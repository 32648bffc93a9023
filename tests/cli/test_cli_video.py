"""``foveate detect`` on videos: results line by line, a video that plays, tracks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_files import write_sound, write_video

from foveate.cli import detect_video
from foveate.data.video import VideoReader
from foveate.inference.settings import frame_runner
from foveate.structures import Detections, UInt8Image

pytest.importorskip("av")

Call = Callable[..., Any]


@pytest.fixture
def clip(tmp_path: Path, paint_blobs: Callable[..., UInt8Image]) -> Path:
    """A warm blob that moves and a cold one that stays."""
    frames = [
        np.repeat(
            np.repeat(paint_blobs(220, 140, [(20 + 4 * t, 40), (150, 100)], (1,)), 2, 0), 2, 1
        )
        for t in range(12)
    ]
    return write_video(tmp_path / "night.mp4", frames)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _frames(path: Path) -> list[UInt8Image]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def test_a_video_gives_lines_and_a_video(foveate: Call, shelf: Path, clip: Path) -> None:
    done = foveate("detect", clip, "--model", "blob", "--scale", 0.5)
    assert done.code == 0, done.err
    assert done.out.startswith("night.mp4: 12 frames, ")
    lines = _lines(Path("out/frames.jsonl"))
    assert [line["frame"] for line in lines] == list(range(12))
    assert all(line["boxes"] for line in lines)
    assert done.out.strip().endswith(f"{sum(len(line['boxes']) for line in lines)} detections")
    assert [f.shape for f in _frames(Path("out/annotated/night.mp4"))] == [(280, 440, 3)] * 12
    assert not list(Path("out").rglob("*.part*"))


def test_an_interrupted_run_leaves_a_video_that_plays_and_goes_on(
    foveate: Call, shelf: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = foveate("detect", clip, "--model", "blob", "--scale", 0.5, "--out", "whole")
    assert whole.code == 0
    taken = 0
    take = detect_video._VideoJob.take

    def interrupted(self: Any, *arguments: Any, **named: Any) -> None:
        nonlocal taken
        taken += 1
        take(self, *arguments, **named)
        if taken == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(detect_video._VideoJob, "take", interrupted)
    done = foveate("detect", clip, "--model", "blob", "--scale", 0.5)
    assert done.code == 130
    assert "interrupted: 5 frames are done; the same command goes on from there" in done.err
    assert len(_frames(Path("out/annotated/night.mp4"))) == 5
    done = foveate("detect", clip, "--model", "blob", "--scale", 0.5)
    assert done.code == 0
    assert "5 frames are done already" in done.err

    def boxes(folder: str) -> list[Any]:
        return [line["boxes"] for line in _lines(Path(folder, "frames.jsonl"))]

    assert boxes("out") == boxes("whole")
    assert len(_frames(Path("out/annotated/night.mp4"))) == 12


def test_another_run_does_not_mix_in(foveate: Call, shelf: Path, clip: Path) -> None:
    assert foveate("detect", clip, "--model", "blob").code == 0
    done = foveate("detect", clip, "--model", "blob", "--stride", 2)
    assert done.code == 1
    assert done.line == "out holds results of another run (stride differ); " \
        "choose another folder with --out"  # fmt: skip


def test_gate_and_stride_and_json(foveate: Call, shelf: Path, clip: Path) -> None:
    done = foveate(
        "detect", clip, "--model", "blob", "--scale", 0.5, "--tile", 64, "--gate", "--json",
        "--stride", 2,
    )  # fmt: skip
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["frames"] == 6
    assert said["skipped_tiles"] > said["tiles"] > 0
    assert "of all tiles' pixels looked at" in done.err
    assert not Path("out").exists()


def test_tracks_are_written(foveate: Call, shelf: Path, clip: Path) -> None:
    pytest.importorskip("trackers")
    done = foveate("detect", clip, "--model", "blob", "--scale", 0.5, "--track")
    assert done.code == 0, done.err
    assert ", 2 tracks" in done.out
    tracks = json.loads(Path("out/tracks.json").read_text())
    assert [len(track["frames"]) for track in tracks["tracks"]] == [11, 11]
    assert tracks["ball"] is None
    mot = Path("out/tracks.txt").read_text().splitlines()
    assert len(mot) == 22
    assert all(len(line.split(",")) == 10 for line in mot)


def test_a_ball_is_one_trajectory(foveate: Call, shelf: Path, clip: Path) -> None:
    pytest.importorskip("trackers")
    done = foveate(
        "detect", clip, "--model", "blob", "--scale", 0.5, "--track", "--ball", "warm", "--json"
    )
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert len(said["tracks"]) == 1
    ball = said["ball"]
    assert ball["frames"] == list(range(12))
    x = [(box[0] + box[2]) / 2 for box in ball["boxes"]]
    np.testing.assert_allclose(np.diff(x), 8, atol=2)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("clip.mp4",), 1, "clip.mp4 does not exist"),
        (("text.mp4",), 1, "text.mp4 cannot be read as a video"),
        (("sound.mp4",), 1, "sound.mp4 has sound and no pictures"),
        (("night.mp4", "--stride", "0"), 2, "stride must be at least 1, got 0"),
        (("night.mp4", "--stabilise", "ecc"), 2, "the model sees no motion"),
        (("night.mp4", "--ball", "warm"), 2, "--ball goes with --track"),
        (("night.mp4", "--crops"), 2, "are for pictures, not for videos"),
        (("night.mp4", "--out", "text.mp4"), 1, "text.mp4: cannot be written to"),
        (("night.jpg", "--gate"), 2, "are for videos; night.jpg is none by its name"),
    ],
)
def test_what_cannot_be_is_one_line(
    foveate: Call, shelf: Path, clip: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    clip.rename("night.mp4")
    Path("text.mp4").write_text("no video")
    write_sound(Path("sound.mp4"))
    done = foveate("detect", *arguments, "--model", "blob")
    assert done.code == code
    assert message in done.line


def test_a_video_cut_short_keeps_what_was_done(
    foveate: Call, shelf: Path, clip: Path, tmp_path: Path
) -> None:
    import av

    path = tmp_path / "short.mov"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 440, 280, "yuvj420p"
        for image in _frames(clip) * 3:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    done = foveate("detect", path, "--model", "blob")
    assert done.code == 1
    assert "short.mov was cut short: it ends at" in done.line
    lines = _lines(Path("out/frames.jsonl"))
    assert 10 < len(lines) < 25
    assert len(_frames(Path("out/annotated/short.mp4"))) == len(lines)


def test_a_video_shorter_than_the_lags_is_told_of(
    foveate: Call, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foveate.data.motion import MotionConfig
    from foveate.inference.settings import run_settings

    def moved(*arguments: Any, **named: Any) -> Any:
        return replace(run_settings(*arguments, **named), motion=MotionConfig(lags=(1, 8)))

    def three_channels(detector: Any, settings: Any) -> Any:
        return frame_runner(lambda images: [Detections.empty() for _ in images], settings)

    monkeypatch.setattr(detect_video, "run_settings", moved)
    monkeypatch.setattr(detect_video, "frame_runner", three_channels)
    frames = [np.full((48, 64, 3), 40, np.uint8)] * 5
    done = foveate("detect", write_video(tmp_path / "brief.mp4", frames), "--model", "blob")
    assert done.code == 0, done.err
    assert "brief.mp4: the video is too short: difference wants 8 frames before one" in done.err
