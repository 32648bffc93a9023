"""Motion channels: right where something moves, zero where nothing does, the same everywhere."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from foveate.data.camera import (
    MOVING,
    align_by_ecc,
    align_by_features,
    aligned,
    camera_motion,
    displacement,
)
from foveate.data.camera import (
    moves as camera_moves,
)
from foveate.data.motion import (
    MOTION,
    MotionConfig,
    MotionMode,
    MotionStream,
    motion_channels,
    still_channels,
    to_grey,
)
from foveate.errors import FoveateError, UsageError
from foveate.structures import UInt8Image

MODES: list[MotionMode] = ["difference", "mog2", "median", "grey-stack"]


def _scene(width: int = 360, height: int = 240, seed: int = 0) -> UInt8Image:
    """A textured picture, larger than a frame, to move a camera over."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _walk(frames: int = 8, camera: tuple[float, float] = (0, 0)) -> list[UInt8Image]:
    """A white square that steps 6 pixels a frame over a scene that a camera may pan over."""
    scene = _scene()
    clip = []
    for index in range(frames):
        away = (-20 - camera[0] * index, -20 - camera[1] * index)
        shift = np.array([[1, 0, away[0]], [0, 1, away[1]]], np.float64)
        frame = cv2.warpAffine(scene, shift, (240, 160), flags=cv2.INTER_LINEAR)
        x = 40 + 6 * index
        frame[80:86, x : x + 6] = 255
        clip.append(np.asarray(frame, np.uint8))
    return clip


def _noise_free(channels: UInt8Image) -> UInt8Image:
    return channels[10:-10, 10:-10]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_as_many_channels_as_it_says(mode: MotionMode) -> None:
    config = MotionConfig(mode=mode)
    stream = MotionStream(config)
    for frame in _walk():
        channels = stream.push(frame)
        assert channels.shape == (160, 240, config.channels)
        assert channels.dtype == np.uint8


def test_the_table_has_every_mode() -> None:
    assert list(MOTION) == MODES


@pytest.mark.parametrize("mode", MODES)
def test_a_first_frame_and_a_single_picture_have_zero_motion(mode: MotionMode) -> None:
    frame, config = _walk(1)[0], MotionConfig(mode=mode)
    first = MotionStream(config).push(frame)
    np.testing.assert_array_equal(first, still_channels(frame, config))
    if mode == "grey-stack":
        assert (first == first[..., :1]).all()
    else:
        assert not first.any()


@pytest.mark.parametrize("mode", MODES)
def test_a_scene_where_nothing_moves_gives_zero_motion(mode: MotionMode) -> None:
    frame, config = _walk(1)[0], MotionConfig(mode=mode)
    still = still_channels(frame, config)
    stream = MotionStream(config)
    for _ in range(6):
        np.testing.assert_array_equal(stream.push(frame), still)


@pytest.mark.parametrize("mode", ["difference", "mog2", "median"])
def test_what_moves_is_seen_where_it_is(mode: MotionMode) -> None:
    stream = MotionStream(MotionConfig(mode=mode))
    for index, frame in enumerate(_walk()):
        channels = stream.push(frame)
        x = 40 + 6 * index
        if index >= 3:
            assert channels[80:86, x : x + 6].mean() > 40
    channels[80:86, 40 : x + 6] = 0
    assert not channels.any()


def test_difference_is_that_of_grey_values_at_each_lag() -> None:
    clip = _walk()
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(int) for frame in clip]
    channels = motion_channels(clip, MotionConfig(lags=(3, 1)))
    np.testing.assert_array_equal(channels[..., 0], abs(grey[-1] - grey[-2]))
    np.testing.assert_array_equal(channels[..., 1], abs(grey[-1] - grey[-4]))


def test_a_lag_is_zero_until_there_is_a_frame_so_far_back() -> None:
    stream = MotionStream(MotionConfig(lags=(1, 3)))
    seen = [stream.push(frame).any(axis=(0, 1)).tolist() for frame in _walk(4)]
    assert seen == [[False, False], [True, False], [True, False], [True, True]]


def test_a_grey_stack_holds_the_frames_themselves() -> None:
    clip = _walk()
    channels = motion_channels(clip, MotionConfig(mode="grey-stack", lags=(1, 2)))
    for index, frame in enumerate((clip[-1], clip[-2], clip[-3])):
        np.testing.assert_array_equal(channels[..., index], cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))


def test_the_running_median_settles_at_the_median() -> None:
    rng = np.random.default_rng(3)
    stream = MotionStream(MotionConfig(mode="median"))
    values = rng.choice([40, 60, 200], p=[0.2, 0.6, 0.2], size=400)
    for value in values:
        stream.push(np.full((4, 4, 1), value, np.uint8))
    assert stream.push(np.full((4, 4, 1), 60, np.uint8)).max() <= 3


@pytest.mark.parametrize("mode", ["difference", "grey-stack"])
def test_the_latest_frames_are_all_that_counts_and_training_sees_what_a_stream_sees(
    mode: MotionMode,
) -> None:
    config, clip = MotionConfig(mode=mode), _walk()
    stream = MotionStream(config)
    for frame in clip:
        run_time = stream.push(frame)
    latest = clip[-1 - config.frames_before :]
    np.testing.assert_array_equal(motion_channels(latest, config), run_time)
    assert not config.remembers_all


def test_frames_are_never_written_to() -> None:
    for mode in MODES:
        clip = _walk()
        kept = [frame.copy() for frame in clip]
        motion_channels(clip, MotionConfig(mode=mode))
        for frame, copy in zip(clip, kept, strict=True):
            np.testing.assert_array_equal(frame, copy)


def test_grey_pictures_may_be_overwritten_after_they_were_pushed() -> None:
    stream = MotionStream(MotionConfig(lags=(1,)))
    memory = np.full((8, 8, 1), 10, np.uint8)
    stream.push(memory)
    memory[:] = 50
    assert (stream.push(memory) == 40).all()


@pytest.mark.parametrize("how", ["ecc", "features"])
def test_stabilising_undoes_the_camera_and_keeps_what_moves(how: str) -> None:
    clip = _walk(camera=(1.5, 0.5))
    config = MotionConfig.from_dict({"stabilise": how})
    shaken = _noise_free(motion_channels(clip, MotionConfig()))
    steady = _noise_free(motion_channels(clip, config))
    background = np.ones(steady.shape[:2], bool)
    background[60:90, 20:90] = False
    assert steady[background].mean() < shaken[background].mean() / 4
    ball = steady[72:74, 40 + 6 * 7 - 9 : 40 + 6 * 7 - 7]
    assert ball.mean() > 40


def test_alignments_find_a_known_shift() -> None:
    clip = _walk(2, camera=(3, -2))
    for align in (align_by_ecc, align_by_features):
        alignment = align(to_grey(clip[0]), to_grey(clip[1]))
        assert alignment is not None
        np.testing.assert_allclose(alignment[:2, 2], [3, -2], atol=0.3)
        assert displacement(alignment, 240, 160) == pytest.approx(np.hypot(3, 2), abs=0.3)


def test_where_the_earlier_frame_saw_nothing_nothing_moves() -> None:
    rng = np.random.default_rng(0)
    earlier, present = rng.integers(0, 255, (2, 40, 60), dtype=np.uint8)
    shift = np.array([[1, 0, 10], [0, 1, 0], [0, 0, 1]], float)
    warped = aligned(earlier, present, shift)
    np.testing.assert_array_equal(warped[:, :50], earlier[:, 10:])
    np.testing.assert_array_equal(warped[:, 50:], present[:, 50:])


def test_a_large_frame_is_measured_in_its_own_pixels() -> None:
    scene = cv2.resize(_scene(), (1800, 1200), interpolation=cv2.INTER_CUBIC)
    grey = to_grey(np.asarray(scene, np.uint8))
    moved = camera_motion(grey[100:1000, 100:1400], grey[104:1004, 103:1403])
    assert moved == pytest.approx(5, abs=0.4)


@pytest.mark.parametrize(("camera", "moves"), [((0, 0), False), ((1.5, 0), True)])
def test_a_moving_camera_is_told(camera: tuple[float, float], moves: bool) -> None:
    stream = MotionStream(MotionConfig())
    assert stream.camera_motion is None
    for frame in _walk(8, camera):
        stream.push(frame)
    assert stream.camera_motion is not None
    assert (stream.camera_motion >= MOVING) is moves is stream.moving


def test_large_frames_are_measured_less_finely() -> None:
    assert camera_moves(0.6, 640, 360)
    assert not camera_moves(0.4, 640, 360)
    assert not camera_moves(0.9, 2560, 1440)
    assert camera_moves(1.1, 2560, 1440)


def test_frames_without_texture_tell_nothing_of_the_camera() -> None:
    stream = MotionStream(MotionConfig(stabilise="features"))
    for _ in range(3):
        assert not stream.push(np.full((64, 64, 3), 90, np.uint8)).any()
    assert stream.camera_motion is None
    assert not stream.moving


def test_a_frame_of_another_size_is_one_line() -> None:
    stream = MotionStream(MotionConfig())
    stream.push(np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(FoveateError, match="frame 1 is 40 x 20 pixels, those before are 30 x 20"):
        stream.push(np.zeros((20, 40, 3), np.uint8))


def test_no_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        motion_channels([], MotionConfig())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "mog2", "stabilise": "ecc"}, "stabilise: mog2 keeps the background"),
        ({"lags": []}, "lags: "),
        ({"lags": [0]}, "lags.0: "),
        ({"laggs": [1]}, "did you mean 'lags'"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MotionConfig.from_dict(values)


def test_lags_are_held_nearest_first_and_once() -> None:
    assert MotionConfig(lags=(5, 1, 5)).lags == (1, 5)
