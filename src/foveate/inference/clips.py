"""The labelled frames of clips as a model is shown them at run time, for validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foveate.data.formats.coco_video import Clip
from foveate.data.images import load_image, open_image
from foveate.data.motion import MotionConfig, MotionStream
from foveate.inference.layers import LayeredSource, StillSource
from foveate.structures import Dataset, ImageSource, Sample


def labelled_sources(
    dataset: Dataset, clips: Sequence[Clip], motion: MotionConfig | None
) -> Iterator[tuple[Sample, ImageSource]]:
    """Each picture of a data set with what the model is shown of it.

    Args:
        dataset: Pictures; some may be frames of clips.
        clips: All of them, with their frames that are not in `dataset`, too.
        motion: The channels that the model sees; None for the picture alone.

    Yields:
        Every sample once: clip by clip, in the order of the frames, whose motion is told by all
        frames before them; then those of no clip, in which nothing moves. Without `motion`, in
        the order of the data set.

    Raises:
        FoveateError: If a picture cannot be read, or frames of a clip differ in size.
    """
    if motion is None:
        for sample in dataset.samples:
            yield sample, open_image(sample.path)
        return
    wanted = {sample.image_id for sample in dataset.samples}
    for clip in clips:
        yield from _frames(clip, wanted, motion)
    framed = {sample.image_id for clip in clips for sample in clip.samples}
    for sample in dataset.samples:
        if sample.image_id not in framed:
            yield sample, StillSource(open_image(sample.path), motion)


def _frames(
    clip: Clip, wanted: set[int], motion: MotionConfig
) -> Iterator[tuple[Sample, ImageSource]]:
    stream, next_index = MotionStream(motion, measures=False), -1
    for position in _needed(clip, wanted, motion):
        sample, index = clip.samples[position], int(clip.frame_index[position])
        if index != next_index:
            stream = MotionStream(motion, measures=False)
        next_index = index + 1
        image = load_image(sample.path)
        channels = stream.push(image)
        if sample.image_id in wanted:
            yield sample, LayeredSource.of(sample.path.name, image, channels)


def _needed(clip: Clip, wanted: set[int], motion: MotionConfig) -> list[int]:
    """Positions of the frames that decide what the wanted ones look like."""
    chosen = [p for p, sample in enumerate(clip.samples) if sample.image_id in wanted]
    if motion.remembers_all:
        return list(range(max(chosen) + 1)) if chosen else []
    needed: set[int] = set()
    for position in chosen:
        before = len(clip.history(position, motion.frames_before)) - 1
        needed.update(range(position - before, position + 1))
    return sorted(needed)
