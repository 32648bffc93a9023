"""COCO with `videos`: pictures that are frames of clips, in order, and objects with tracks.

As CocoVID and its kin write it: each picture has a `video_id` and its place in the clip,
`frame_index` (or `frame_id`), and an annotation may have a `track_id` (or `instance_id`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from foveate.data.files import read_json
from foveate.data.formats.coco import choose_json, read_coco
from foveate.data.formats.load import recognise
from foveate.data.images import load_image
from foveate.data.video import VideoFrame
from foveate.errors import FoveateError, UsageError
from foveate.structures import Dataset, IntArray, Sample

_FRAME_KEYS = ("frame_index", "frame_id")
_TRACK_KEYS = ("track_id", "instance_id")
_RATE = Fraction(25)
"""Frames a second of a clip that does not say."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The labelled frames of one video.

    Attributes:
        name: Of the video.
        samples: The frames, in order.
        frame_index: ``(F,)`` int64, each frame's place in the video; rising, gaps allowed.
        tracks: One ``(N,)`` int64 a frame: the track of each annotation, -1 for none.
        rate: Frames a second.
        named: Whether the file gives the name; otherwise it is the video's id.
    """

    name: str
    samples: tuple[Sample, ...]
    frame_index: IntArray
    tracks: tuple[IntArray, ...]
    rate: Fraction = _RATE
    named: bool = True

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.samples)

    def history(self, position: int, count: int) -> tuple[Sample, ...]:
        """A frame and up to `count` frames right before it, for its motion channels.

        Args:
            position: Of the frame, 0 to F - 1.
            count: As `MotionConfig.frames_before` says.

        Returns:
            In order, the frame itself last; fewer where the clip begins or has a gap.
        """
        first = position
        while first > max(0, position - count):
            if self.frame_index[first] - self.frame_index[first - 1] != 1:
                break
            first -= 1
        return self.samples[first : position + 1]

    def every(self, step: int, among: Sequence[int] | None = None) -> list[int]:
        """Positions of frames at least `step` apart in the video: no near-duplicates.

        Args:
            step: In frames of the video.
            among: Positions to choose from, rising; all if not given.

        Raises:
            UsageError: If `step` is below 1.
        """
        if step < 1:
            raise UsageError(f"step must be at least 1, got {step}")
        chosen: list[int] = []
        for position in range(len(self)) if among is None else among:
            index = int(self.frame_index[position])
            if not chosen or index - int(self.frame_index[chosen[-1]]) >= step:
                chosen.append(position)
        return chosen

    def frames(self) -> Iterator[VideoFrame]:
        """The frames with their pixels, as a video's reader gives them.

        Raises:
            FoveateError: If a picture cannot be read.
        """
        start = int(self.frame_index[0]) if len(self) else 0
        for sample, index in zip(self.samples, self.frame_index.tolist(), strict=True):
            time = (index - start) / self.rate
            yield VideoFrame(index, time, load_image(sample.path))


def has_clips(path: str | Path, split: str | None = None) -> bool:
    """Whether a COCO file has `videos`."""
    path = Path(path)
    content = read_json(choose_json(path, split) if path.is_dir() else path)
    return isinstance(content, dict) and bool(content.get("videos"))


def load_clips(path: str | Path, split: str | None = None) -> tuple[Clip, ...]:
    """The clips of any data set, as `load_dataset` takes it; none where it is not COCO with videos.

    Raises:
        FoveateError: As `read_coco_video`.
    """
    path = Path(path)
    if recognise(path) != "coco" or not has_clips(path, split):
        return ()
    return read_coco_video(path, split=split)[1]


def read_coco_video(
    path: str | Path, image_root: Path | None = None, split: str | None = None
) -> tuple[Dataset, tuple[Clip, ...]]:
    """Read a COCO file of clips; arguments and errors as `read_coco`.

    Returns:
        All pictures as a data set, and the same samples by clip, in the file's order of videos;
        a video without labelled frames is left out.

    Raises:
        FoveateError: If the file has no `videos`, or a picture's place in one is missing, taken
            twice or beyond the video's last frame.
    """
    path = Path(path)
    path = choose_json(path, split) if path.is_dir() else path
    dataset = read_coco(path, image_root)
    content = read_json(path)
    videos = content.get("videos")
    if not isinstance(videos, list) or not all(isinstance(row, dict) for row in videos):
        raise FoveateError(f"{path} has no videos: its pictures are no clips")
    places = _places(path, content["images"], {row.get("id") for row in videos})
    tracks = _tracks(content["annotations"], dataset)
    samples = {sample.image_id: sample for sample in dataset.samples}
    clips = []
    for video in videos:
        rows = sorted((place, image) for image, (clip, place) in places.items()
                      if clip == video.get("id"))  # fmt: skip
        if rows:
            clips.append(_clip(path, video, rows, samples, tracks))
    return dataset, tuple(clips)


def split_clips(
    clips: Sequence[Clip], share: float, seed: int = 0
) -> tuple[list[Clip], list[Clip]]:
    """Part clips in two, whole clips only: frames of one video are alike.

    Args:
        clips: At least two.
        share: Of the frames, about, that the second part gets; above 0 and below 1.
        seed: Another seed, another choice.

    Returns:
        Both parts in the order given, neither empty.

    Raises:
        UsageError: If there are fewer than two clips, or `share` cannot be.
    """
    if len(clips) < 2 or not 0 < share < 1:
        raise UsageError(
            f"clips are split in two by a share between 0 and 1, and there must be two; got "
            f"{len(clips)} clips and {share:g}"
        )
    order = np.random.default_rng(seed).permutation(len(clips)).tolist()
    wanted = share * sum(map(len, clips))
    held: set[int] = set()
    for number in order[:-1]:
        if held and sum(len(clips[n]) for n in held) + len(clips[number]) / 2 > wanted:
            break
        held.add(number)
    kept = [clip for number, clip in enumerate(clips) if number not in held]
    return kept, [clips[number] for number in sorted(held)]


def _places(path: Path, images: list[Any], videos: set[Any]) -> dict[int, tuple[int, int]]:
    """Video and place of each picture that is a frame, by the picture's id."""
    places: dict[int, tuple[int, int]] = {}
    taken: dict[tuple[int, int], int] = {}
    for row in images:
        video = row.get("video_id")
        if video is None:
            continue
        if video not in videos:
            raise FoveateError(f"{path}: image {row['id']}: there is no video {video!r}")
        place = next((row[key] for key in _FRAME_KEYS if key in row), None)
        if type(place) is not int or place < 0:
            raise FoveateError(
                f"{path}: image {row['id']}: frame_index must be a whole number from 0, "
                f"got {place!r}"
            )
        if (video, place) in taken:
            raise FoveateError(
                f"{path}: images {taken[video, place]} and {row['id']} are both frame {place} of "
                f"video {video}"
            )
        taken[video, place] = row["id"]
        places[row["id"]] = video, place
    return places


def _tracks(annotations: list[Any], dataset: Dataset) -> dict[int, IntArray]:
    """The track of every annotation, by picture, in the order of the picture's annotations."""
    grouped: dict[int, list[int]] = {sample.image_id: [] for sample in dataset.samples}
    for row in annotations:
        track = next((row[key] for key in _TRACK_KEYS if type(row.get(key)) is int), -1)
        grouped[row["image_id"]].append(track)
    return {image: np.array(values, np.int64) for image, values in grouped.items()}


def _clip(
    path: Path,
    video: dict[str, Any],
    rows: list[tuple[int, int]],
    samples: dict[int, Sample],
    tracks: dict[int, IntArray],
) -> Clip:
    name = str(video.get("name") or video["id"])
    length = video.get("length")
    last, image = rows[-1]
    if type(length) is int and last >= length:
        raise FoveateError(
            f"{path}: image {image} is frame {last} of video {name}, which has {length} frames"
        )
    sizes = {(samples[i].width, samples[i].height) for _, i in rows}
    if len(sizes) > 1:
        said = " and ".join(f"{width} x {height}" for width, height in sorted(sizes)[:2])
        raise FoveateError(f"{path}: frames of video {name} differ in size: {said}")
    rate = video.get("fps")
    known = isinstance(rate, (int, float)) and rate > 0
    return Clip(
        name,
        tuple(samples[i] for _, i in rows),
        np.array([place for place, _ in rows], np.int64),
        tuple(tracks[i] for _, i in rows),
        Fraction(float(rate)).limit_denominator(1001) if rate is not None and known else _RATE,
        bool(video.get("name")),
    )
