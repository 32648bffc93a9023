"""Videos through a detector: the same motion for every tile, and a run that goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from foveate import detect
from foveate.data.motion import MotionConfig, MotionMode, motion_channels
from foveate.data.video import VideoFrame
from foveate.errors import FoveateError, UsageError
from foveate.inference.frame_log import FrameLog, read_frames
from foveate.inference.model_info import ModelInfo
from foveate.inference.settings import Options, frame_runner, run_settings
from foveate.inference.video import FrameResult, Pace, VideoDetector
from foveate.structures import Detections, UInt8Image
from foveate.tiling import TilePlan


def info(motion: MotionConfig | None, channels: int) -> ModelInfo:
    return ModelInfo(
        name="mover",
        method="test",
        class_names=("mover",),
        channels=channels,
        motion=motion,
        strides=(4,),
        max_detections=10,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        tile_plan=TilePlan(size=64, overlap=24),
    )


class Movers:
    """Finds what moves: boxes what is bright in the first channel of motion."""

    def __init__(self, motion: MotionConfig | None = None) -> None:
        motion = motion or MotionConfig()
        self.info = info(motion, 3 + motion.channels)
        self.shown = 0

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        self.shown += len(images)
        return [self._one(image) for image in images]

    def _one(self, image: UInt8Image) -> Detections:
        assert image.shape[2] == self.info.channels
        rows, columns = np.nonzero((image[..., 3] > 100) & (image[..., 0] > 200))
        if not len(rows):
            return Detections.empty()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections(np.array([box], np.float32), np.array([0.9]), np.array([0]))


def ball_at(index: int) -> tuple[int, int, int, int]:
    x = 10 + 9 * index
    return x, 60, x + 6, 66


def clip(count: int = 14) -> list[UInt8Image]:
    """A white square that steps 9 pixels a frame, and a white square that stands still."""
    frames = []
    for index in range(count):
        frame = np.full((120, 160, 3), 20, np.uint8)
        x1, y1, x2, y2 = ball_at(index)
        frame[y1:y2, x1:x2] = 255
        frame[20:30, 20:30] = 255
        frames.append(frame)
    return frames


def numbered(frames: Sequence[UInt8Image], stride: int = 1) -> Iterator[VideoFrame]:
    for index, frame in enumerate(frames):
        yield VideoFrame(index * stride, Fraction(index, 25), frame)


def runs(motion: MotionConfig | None = None, **options: object) -> tuple[Movers, VideoDetector]:
    detector = Movers(motion)
    settings = run_settings(detector, Options(**options))  # type: ignore[typeddict-item]
    run = frame_runner(detector, settings)
    return detector, VideoDetector(run, settings.motion, "clip")


def found_in(results: Sequence[FrameResult]) -> list[list[list[float]]]:
    return [result.detections.boxes.tolist() for result in results]


def test_what_moves_is_found_in_tiles_and_nothing_in_the_first_frame() -> None:
    _, video = runs()
    results = [result for _, result in video.over(numbered(clip()))]
    assert [result.index for result in results] == list(range(14))
    assert [result.time for result in results] == pytest.approx([i / 25 for i in range(14)])
    assert len(results[0].detections) == 0
    for index, result in enumerate(results[1:], start=1):
        assert result.tiles > 4
        assert result.detections.boxes.tolist() == [list(ball_at(index))]


def test_channels_are_those_of_training() -> None:
    seen: list[UInt8Image] = []

    class Whole(Movers):
        def _one(self, image: UInt8Image) -> Detections:
            seen.append(image.copy())
            return Detections.empty()

    detector = Whole()
    settings = run_settings(detector, Options(tile=160, overlap=0))
    video = VideoDetector(frame_runner(detector, settings), settings.motion)
    list(video.over(numbered(clip())))
    for index, image in enumerate(seen):
        latest = clip()[max(0, index - 3) : index + 1]
        np.testing.assert_array_equal(image[:120, :160, :3], latest[-1])
        expected = motion_channels(latest, MotionConfig())
        np.testing.assert_array_equal(image[:120, :160, 3:], expected)


@pytest.mark.parametrize("mode", ["difference", "mog2", "median"])
@pytest.mark.parametrize("done", [1, 5, 14])
def test_a_run_that_goes_on_ends_as_one_without_interruption(mode: MotionMode, done: int) -> None:
    motion = MotionConfig(mode=mode)
    whole = [result for _, result in runs(motion)[1].over(numbered(clip()))]
    detector, video = runs(motion)
    rest = [result for _, result in video.over(numbered(clip()), whole[:done])]
    assert found_in(rest) == found_in(whole)
    assert rest[:done] == whole[:done]
    assert (detector.shown == 0) is (done == 14)


def test_results_do_not_depend_on_the_batch_size() -> None:
    one = [result for _, result in runs(batch_size=1)[1].over(numbered(clip()))]
    many = [result for _, result in runs(batch_size=7)[1].over(numbered(clip()))]
    assert found_in(one) == found_in(many)


def test_results_of_other_frames_are_one_line() -> None:
    whole = [result for _, result in runs()[1].over(numbered(clip()))]
    with pytest.raises(FoveateError, match="results before are of frame 1 where the video has fra"):
        list(runs()[1].over(numbered(clip(), stride=2), whole[:3]))


def test_few_frames_are_in_memory_and_no_thread_stays() -> None:
    taken = 0

    def counted() -> Iterator[VideoFrame]:
        nonlocal taken
        for frame in numbered(clip()):
            taken += 1
            yield frame

    results = runs()[1].over(counted())
    next(results)
    threading.Event().wait(0.3)
    assert taken <= 5
    results.close()
    assert "foveate-motion" not in [thread.name for thread in threading.enumerate()]


def test_a_clip_shorter_than_the_lag_is_done() -> None:
    _, video = runs(MotionConfig(lags=(5,)))
    results = [result for _, result in video.over(numbered(clip(3)))]
    assert found_in(results) == [[], [], []]


def test_what_reading_raises_comes_after_the_frames_before() -> None:
    def cut_short() -> Iterator[VideoFrame]:
        yield from numbered(clip(4))
        raise FoveateError("clip was cut short")

    results = runs()[1].over(cut_short())
    for _ in range(4):
        next(results)
    with pytest.raises(FoveateError, match="clip was cut short"):
        next(results)


@pytest.mark.parametrize(
    ("motion", "hint"),
    [
        (MotionConfig(), "--stabilise features aligns frames"),
        (MotionConfig(mode="median"), "this model is for fixed cameras"),
        (MotionConfig(stabilise="features"), None),
    ],
)
def test_a_model_of_motion_on_a_moving_camera_is_told_so(
    motion: MotionConfig, hint: str | None
) -> None:
    rng = np.random.default_rng(0)
    scene = np.repeat(np.repeat(rng.integers(0, 255, (60, 60, 3), dtype=np.uint8), 6, 0), 6, 1)
    frames = [scene[20 : 20 + 120, 3 * i : 3 * i + 160] for i in range(8)]
    _, video = runs(motion)
    list(video.over(numbered(frames)))
    if hint is None:
        assert video.notes == ()
    else:
        assert "the camera moves, 3.0 pixels a frame" in video.notes[0]
        assert hint in video.notes[0]
    _, still = runs(motion)
    list(still.over(numbered([frames[0]] * 8)))
    assert still.notes == ()


def test_a_single_picture_has_zero_motion_and_a_note() -> None:
    detector = Movers()
    result = detect(clip()[5], detector)
    assert detector.shown > 4
    assert len(result.detections) == 0
    assert any("a single picture has none" in note for note in result.notes)


def test_stabilise_is_for_models_that_see_motion() -> None:
    asked = run_settings(Movers(), Options(stabilise="ecc"))
    assert asked.motion == MotionConfig(stabilise="ecc")
    with pytest.raises(UsageError, match="the model sees no motion"):
        run_settings(lambda images: [], Options(stabilise="ecc"))
    with pytest.raises(UsageError, match="stabilise: "):
        run_settings(Movers(), Options(stabilise="glue"))


def test_channels_must_be_colours_and_motion() -> None:
    with pytest.raises(ValueError, match="3 colours and 2 channels of motion make 5, got 4"):
        info(MotionConfig(), 4)


def _results() -> list[FrameResult]:
    return [result for _, result in runs()[1].over(numbered(clip()))]


def test_results_are_lines_that_read_back(tmp_path: Path) -> None:
    results = _results()
    with FrameLog(tmp_path, {"source": "clip"}) as log:
        for result in results:
            log.append(result)
    lines = (tmp_path / "frames.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(14))
    assert [one.to_dict() for one in read_frames(log.path)] == [one.to_dict() for one in results]


@pytest.mark.parametrize("rest", [b"", b'{"frame":5,"ti'])
def test_what_a_kill_leaves_of_a_line_is_cut_off(tmp_path: Path, rest: bytes) -> None:
    results = _results()
    with FrameLog(tmp_path, {"source": "clip"}) as log:
        for result in results[:5]:
            log.append(result)
    with log.path.open("ab") as file:
        file.write(rest)
    with FrameLog(tmp_path, {"source": "clip"}) as log:
        assert len(log.done) == 5
        log.append(results[5])
    assert [one.index for one in read_frames(log.path)] == list(range(6))


def test_results_of_another_run_are_not_mixed_in(tmp_path: Path) -> None:
    with FrameLog(tmp_path, {"source": "clip", "stride": 1}) as log:
        log.append(_results()[0])
    with pytest.raises(FoveateError, match=r"holds results of another run \(stride differ\)"):
        FrameLog(tmp_path, {"source": "clip", "stride": 2})
    assert len(read_frames(log.path)) == 1


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    FrameLog(tmp_path, {}).close()
    (tmp_path / "frames.jsonl").write_text('{"frame": 0}\n')
    with pytest.raises(FoveateError, match="line 1 is no result of a frame"):
        FrameLog(tmp_path, {})


def test_a_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FoveateError, match="cannot be written to"):
        FrameLog(tmp_path / "file", {})


def test_the_pace_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("foveate.inference.video.time.monotonic", lambda: now)
    pace = Pace(3000)
    assert str(pace) == "0 of 3000, 0.0 a second"
    for _ in range(120):
        now += 0.25
        pace.step()
    assert pace.rate == pytest.approx(4)
    assert str(pace) == "120 of 3000, 4.0 a second, 12 min left"
    live = Pace(None)
    now += 1
    live.step()
    assert str(live) == "1, 1.0 a second"
