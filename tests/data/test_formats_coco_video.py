"""Clips from COCO with videos: frames in order, tracks, whole clips in one split."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from foveate.data.formats.coco_video import Clip, has_clips, read_coco_video, split_clips
from foveate.data.pitch import PitchConfig, write_dataset
from foveate.errors import FoveateError, UsageError

Change = Callable[[dict[str, Any]], object]


def _content() -> dict[str, Any]:
    """Two clips, their pictures mixed up; the second has a gap."""
    order = [(7, 2), (9, 0), (7, 0), (9, 4), (7, 1), (9, 1)]
    images = [
        {
            "id": number,
            "file_name": f"{video}_{frame}.png",
            "width": 40,
            "height": 30,
            "video_id": video,
            "frame_index": frame,
        }
        for number, (video, frame) in enumerate(order, 1)
    ]
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": 1,
            "bbox": [number, 2, 5, 5],
            "track_id": track,
        }
        for number, (image, track) in enumerate([(3, 5), (1, 5), (3, 6), (2, 8)], 1)
    ]
    return {
        "videos": [{"id": 7, "name": "seven", "fps": 30, "length": 3}, {"id": 9}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }


def _write(folder: Path, change: Change = lambda content: None) -> Path:
    content = _content()
    change(content)
    for number, row in enumerate(content["images"]):
        cv2.imwrite(str(folder / row["file_name"]), np.full((30, 40, 3), number, np.uint8))
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


def test_frames_are_in_the_order_of_the_video(tmp_path: Path) -> None:
    path = _write(tmp_path)
    dataset, (seven, nine) = read_coco_video(path)
    assert has_clips(path)
    assert len(dataset) == 6
    assert [sample.image_id for sample in seven.samples] == [3, 5, 1]
    assert [seven.name, nine.name] == ["seven", "9"]
    assert [seven.rate, nine.rate] == [Fraction(30), Fraction(25)]
    assert nine.frame_index.tolist() == [0, 1, 4]
    assert [tracks.tolist() for tracks in seven.tracks] == [[5, 6], [], [5]]
    assert seven.samples[0].annotations.boxes[:, 0].tolist() == [1, 3]


def test_a_clip_is_read_as_a_video_is(tmp_path: Path) -> None:
    _, (_, nine) = read_coco_video(_write(tmp_path))
    frames = list(nine.frames())
    assert [frame.index for frame in frames] == [0, 1, 4]
    assert [frame.time for frame in frames] == [0, Fraction(1, 25), Fraction(4, 25)]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 5, 3]


def test_history_ends_at_a_gap_and_at_the_beginning(tmp_path: Path) -> None:
    _, (seven, nine) = read_coco_video(_write(tmp_path))

    def ids(clip: Clip, position: int, count: int) -> list[int]:
        return [sample.image_id for sample in clip.history(position, count)]

    assert ids(seven, 2, 3) == [3, 5, 1]
    assert ids(seven, 2, 1) == [5, 1]
    assert ids(seven, 0, 3) == [3]
    assert ids(nine, 2, 3) == [4]


def test_frames_are_sampled_apart_in_time(tmp_path: Path) -> None:
    _, (seven, nine) = read_coco_video(_write(tmp_path))
    assert seven.every(2) == [0, 2]
    assert nine.every(3) == [0, 2]
    assert nine.every(1) == [0, 1, 2]
    with pytest.raises(UsageError, match="step must be at least 1"):
        nine.every(0)


def _first_image(**values: object) -> Change:
    return lambda content: content["images"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("videos"), "has no videos"),
        (_first_image(video_id=3), "image 1: there is no video 3"),
        (_first_image(frame_index=-1), "image 1: frame_index must be a whole number from 0"),
        (_first_image(frame_index=0), "images 1 and 3 are both frame 0 of video 7"),
        (_first_image(frame_index=8), "image 1 is frame 8 of video seven, which has 3 frames"),
        (_first_image(width=50), "frames of video seven differ in size: 40 x 30 and 50 x 30"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Change, message: str) -> None:
    with pytest.raises(FoveateError, match=message):
        read_coco_video(_write(tmp_path, change))


def test_clips_are_split_whole(tmp_path: Path) -> None:
    _, (seven, nine) = read_coco_video(_write(tmp_path))
    clips = [seven, nine, seven, nine, seven]
    for seed in range(5):
        kept, held = split_clips(clips, 0.4, seed)
        assert (len(kept), len(held)) == (3, 2)
    assert split_clips(clips, 0.4, 1)[1] == split_clips(clips, 0.4, 1)[1]
    assert [len(part) for part in split_clips(clips, 0.01)] == [4, 1]
    assert [len(part) for part in split_clips(clips, 0.99)] == [1, 4]
    with pytest.raises(UsageError, match="there must be two"):
        split_clips([seven], 0.5)


def test_rendered_matches_are_clips(tmp_path: Path) -> None:
    config = PitchConfig(width=160, height=96)
    path = write_dataset(tmp_path / "set", 2, seed=4, config=config, frames=3, fps=10)
    _, clips = read_coco_video(path)
    assert [clip.name for clip in clips] == ["000004", "000005"]
    for clip in clips:
        assert clip.rate == 10
        assert clip.frame_index.tolist() == [0, 1, 2]
        for sample, tracks in zip(clip.samples, clip.tracks, strict=True):
            assert len(tracks) == len(sample.annotations)
    stills = write_dataset(tmp_path / "stills", 1, config=config)
    assert not has_clips(stills)
