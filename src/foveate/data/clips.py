"""Clips to learn from: frames with their motion, no near-duplicates, no clip in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foveate.data.formats.coco_video import Clip
from foveate.data.images import load_image
from foveate.data.motion import MotionConfig, MotionStream, still_channels, with_channels
from foveate.errors import FoveateError, UsageError
from foveate.structures import Dataset, Sample, UInt8Image


class ClipReader:
    """Reads a sample's pixels with its motion channels, ``(H, W, 3 + m)`` uint8.

    The frames right before it are pushed through a `MotionStream` first, as many as
    `MotionConfig.frames_before` says: what a frame looks like does not depend on what was read
    before it. A picture of no clip is one in which nothing moves.

    Args:
        motion: Which channels.
        clips: Of the data set whose samples are read.
    """

    def __init__(self, motion: MotionConfig, clips: Sequence[Clip]) -> None:
        self._motion = motion
        self._places = {
            sample.image_id: (clip, position)
            for clip in clips
            for position, sample in enumerate(clip.samples)
        }

    def __call__(self, sample: Sample) -> UInt8Image:
        """Read one.

        Raises:
            FoveateError: If it or a frame before it cannot be read, or they differ in size.
        """
        if sample.image_id not in self._places:
            image = load_image(sample.path)
            return with_channels(image, still_channels(image, self._motion))
        clip, position = self._places[sample.image_id]
        *before, last = clip.history(position, self._motion.frames_before)
        stream = MotionStream(self._motion, measures=False)
        try:
            for earlier in before:
                stream.push(load_image(earlier.path))
            image = load_image(last.path)
            return with_channels(image, stream.push(image))
        except FoveateError as error:
            raise FoveateError(f"{clip.name}: {error}") from None


def drawn_frames(
    dataset: Dataset,
    clips: Sequence[Clip],
    step: int,
    motion: MotionConfig | None = None,
    first: int = 0,
) -> Dataset:
    """The data set without near-duplicates, and without frames whose motion is not known yet.

    Args:
        dataset: Pictures, some of which may be of no clip; those are kept.
        clips: The others, by clip.
        step: Of a clip, frames at least so many apart are kept.
        motion: What is to be known of a kept frame: of each clip only those frames are kept that
            have as many frames before them as its channels want, or as any of the clip has.
        first: Frames before this one of their video are left out.

    Returns:
        The kept pictures in their order.
    """
    dropped: set[int] = set()
    for clip in clips:
        among = range(len(clip)) if motion is None else _settled(clip, motion.frames_before)
        kept = set(clip.every(step, [p for p in among if clip.frame_index[p] >= first]))
        dropped |= {s.image_id for place, s in enumerate(clip.samples) if place not in kept}
    if not dropped:
        return dataset
    return replace(dataset, samples=tuple(s for s in dataset.samples if s.image_id not in dropped))


def motion_remark(name: str, clips: Sequence[Clip], motion: MotionConfig) -> str | None:
    """What should be known before motion is learned from some clips; None if all is well.

    Args:
        name: Of the data set.
        clips: All that it has.
        motion: Which channels.

    Raises:
        UsageError: If there is no clip, or none of a single frame whose motion could be told.
    """
    if not clips:
        raise UsageError(
            f"{name} has no clips, and the recipe asks for motion: give COCO with videos, or set "
            "motion to null"
        )
    before = motion.frames_before
    least = 1 if motion.remembers_all else min(motion.lags)
    longest = [max(_histories(clip, before)) for clip in clips]
    if max(longest) < least:
        raise UsageError(
            f"{name}: no labelled frame has the {least} frames before it that {motion.mode} looks "
            "back on; give longer clips, every frame of them, or shorter motion.lags"
        )
    short = sum(length < before for length in longest)
    if not short:
        return None
    return (
        f"{name}: {short} of {len(clips)} clips have no {before + 1} frames in a row, as "
        f"{motion.mode} wants; their motion is known in part"
    )


def require_apart(first: Sequence[Clip], second: Sequence[Clip], names: tuple[str, str]) -> None:
    """See that two splits share no clip: its frames are alike, and would be known by heart.

    Args:
        first: Clips of one split.
        second: Of the other.
        names: Of the splits.

    Raises:
        UsageError: If they share a picture, or clips of one name.
    """
    pictures = {sample.path for clip in first for sample in clip.samples}
    named = {clip.name for clip in first if clip.named}
    for clip in second:
        same = any(sample.path in pictures for sample in clip.samples)
        if same or (clip.named and clip.name in named):
            raise UsageError(
                f"the clip {clip.name} is in {names[0]} and in {names[1]}: its frames are nearly "
                "alike; give each clip to one split"
            )


def _histories(clip: Clip, most: int) -> list[int]:
    """How many frames right before each frame are there, `most` at most."""
    return [len(clip.history(position, most)) - 1 for position in range(len(clip))]


def _settled(clip: Clip, most: int) -> list[int]:
    """Positions with the most frames before them."""
    known = _histories(clip, most)
    return [position for position, length in enumerate(known) if length == max(known)]
