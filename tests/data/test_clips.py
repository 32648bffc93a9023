"""Clips to learn from: a frame's motion, near-duplicates left out, no clip in two splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.clips import ClipReader, drawn_frames, motion_remark, require_apart
from foveate.data.formats.coco_video import Clip
from foveate.data.motion import MotionConfig, motion_channels
from foveate.errors import FoveateError, UsageError
from foveate.inference.clips import labelled_sources
from foveate.structures import Annotations, Dataset, Sample, Tile

LAGS = MotionConfig(lags=(1, 3))


def _sample(folder: Path, number: int, width: int = 40) -> Sample:
    """Noise of its own: a frame is known by its pixels."""
    path = folder / f"{number}.png"
    rng = np.random.default_rng(number)
    cv2.imwrite(str(path), rng.integers(0, 256, (30, width, 3), dtype=np.uint8))
    return Sample(path, number, width, 30, Annotations.empty())


def _clip(folder: Path, indices: list[int], first_id: int = 1, name: str = "one") -> Clip:
    samples = tuple(_sample(folder, first_id + index) for index in indices)
    none = np.zeros(0, np.int64)
    return Clip(name, samples, np.array(indices, np.int64), (none,) * len(indices))


def _dataset(*clips: Clip, stills: tuple[Sample, ...] = ()) -> Dataset:
    samples = [*(sample for clip in clips for sample in clip.samples), *stills]
    return Dataset("noise", ("thing",), (1,), tuple(samples))


def _pixels(sample: Sample) -> np.ndarray:
    return np.asarray(cv2.imread(str(sample.path)), np.uint8)[..., ::-1].copy()


@pytest.mark.parametrize("mode", ["difference", "mog2", "median", "grey-stack"])
def test_training_and_validation_see_the_same_motion(tmp_path: Path, mode: str) -> None:
    motion = MotionConfig.from_dict({"mode": mode, "lags": (1, 2), "warm_up": 8})
    clip = _clip(tmp_path, [0, 1, 2, 3, 4])
    still = _sample(tmp_path, 99)
    dataset = _dataset(clip, stills=(still,))
    read = ClipReader(motion, (clip,))
    whole = Tile(0, 0, 40, 30, 40, 30)
    shown = {
        sample.image_id: source.read(whole)
        for sample, source in labelled_sources(dataset, (clip,), motion)
    }
    assert len(shown) == 6
    for position, sample in enumerate(dataset.samples):
        seen = read(sample)
        np.testing.assert_array_equal(seen, shown[sample.image_id])
        np.testing.assert_array_equal(seen[..., :3], _pixels(sample))
        frames = [still] if sample is still else clip.samples[: position + 1]
        wanted = motion_channels(map(_pixels, frames), motion)
        np.testing.assert_array_equal(seen[..., 3:], wanted)
    assert (shown[99][..., 3:] == 0).all() or mode == "grey-stack"  # type: ignore[index]


def test_sparse_validation_reads_no_more_than_the_lags(tmp_path: Path) -> None:
    clip = _clip(tmp_path, list(range(12)))
    few = replace(_dataset(clip), samples=(clip.samples[4], clip.samples[11]))
    for number in (0, 5, 6):
        clip.samples[number].path.unlink()
    read = ClipReader(LAGS, (clip,))
    for sample, source in labelled_sources(few, (clip,), LAGS):
        np.testing.assert_array_equal(source.read(Tile(0, 0, 40, 30, 40, 30)), read(sample))


def test_motion_does_not_reach_over_a_gap(tmp_path: Path) -> None:
    clip = _clip(tmp_path, [0, 1, 5])
    assert not ClipReader(LAGS, (clip,))(clip.samples[2])[..., 3:].any()
    *_, (sample, last) = labelled_sources(_dataset(clip), (clip,), LAGS)
    assert sample is clip.samples[2]
    shown = last.read(Tile(0, 0, 40, 30, 40, 30))
    assert shown is not None
    assert not shown[..., 3:].any()


def test_frames_of_two_sizes_are_one_line_with_the_clip(tmp_path: Path) -> None:
    clip = _clip(tmp_path, [0, 1, 2])
    _sample(tmp_path, 2, width=44)
    with pytest.raises(FoveateError, match=r"^one: frame 1 is 44 x 30 pixels"):
        ClipReader(LAGS, (clip,))(clip.samples[2])


def test_frames_are_drawn_apart_and_where_their_motion_is_known(tmp_path: Path) -> None:
    long = _clip(tmp_path, list(range(10)))
    short = _clip(tmp_path, [0, 1], first_id=20, name="two")
    still = _sample(tmp_path, 99)
    dataset = _dataset(long, short, stills=(still,))

    def kept(step: int, motion: MotionConfig | None) -> list[int]:
        drawn = drawn_frames(dataset, (long, short), step, motion)
        return [sample.image_id for sample in drawn.samples]

    assert drawn_frames(dataset, (long, short), 1) is dataset
    assert kept(4, None) == [1, 5, 9, 20, 99]
    assert kept(4, LAGS) == [4, 8, 21, 99]


def test_clips_without_motion_are_one_line(tmp_path: Path) -> None:
    whole, pair = _clip(tmp_path, [0, 1, 2, 3]), _clip(tmp_path, [0, 1], 10, "pair")
    every_other = _clip(tmp_path, [0, 2, 4], 20, "every other")
    assert motion_remark("data", (whole,), LAGS) is None
    with pytest.raises(UsageError, match="data has no clips"):
        motion_remark("data", (), LAGS)
    with pytest.raises(UsageError, match="no labelled frame has the 1 frames before it"):
        motion_remark("data", (every_other,), LAGS)
    with pytest.raises(UsageError, match="no labelled frame has the 4 frames before it"):
        motion_remark("data", (whole, pair), MotionConfig(lags=(4, 9)))
    remark = motion_remark("data", (whole, pair), LAGS)
    assert remark is not None
    assert remark.startswith("data: 1 of 2 clips have no 4 frames in a row")
    assert motion_remark("data", (pair,), MotionConfig(mode="mog2")) is not None


def test_a_clip_in_two_splits_is_refused(tmp_path: Path) -> None:
    one, two = _clip(tmp_path, [0, 1]), _clip(tmp_path, [0, 1], 10, "two")
    require_apart((one,), (two,), ("train", "val"))
    with pytest.raises(UsageError, match="the clip one is in train and in val"):
        require_apart((one, two), (_clip(tmp_path, [5, 6]),), ("train", "val"))
    renamed = replace(one, name="other")
    with pytest.raises(UsageError, match="the clip other is in train and in val"):
        require_apart((one,), (renamed,), ("train", "val"))
    # Of videos without names the ids say nothing.
    unnamed = replace(two, name="one", named=False)
    require_apart((one,), (unnamed,), ("train", "val"))
