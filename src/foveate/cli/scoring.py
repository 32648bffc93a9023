"""Run detectors on labelled pictures, and score what they find: shared by several commands."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from foveate.api import Failure, Options
from foveate.cli import one_line
from foveate.cli.terminal import note, progress
from foveate.data.formats.coco_video import Clip, load_clips
from foveate.data.remote import Location
from foveate.data.sources import open_source
from foveate.data.values import Reading
from foveate.errors import FoveateError, UsageError
from foveate.evaluation import (
    Groups,
    SizeBins,
    count_outcomes,
    evaluate_detections,
    read_predictions,
)
from foveate.inference.clips import labelled_sources
from foveate.inference.folder import detect_folder
from foveate.inference.model_info import ModelInfo
from foveate.inference.pipeline import ImageResult
from foveate.inference.settings import RunSettings, frame_runner, run_settings, runner
from foveate.reports.results import Run
from foveate.reports.tables import Looks
from foveate.structures import Dataset, Detections, Detector, IntArray, Sample, Tile, UInt8Image
from foveate.tiling import look

LEAST_SCORE = 0.01
"""AP wants the whole curve, not what a user would be shown."""

_MOST_DETECTIONS = 1_000_000
_MOST_REPEATS = 100_000
_MOST_NAMES = 8
"""Of classes in a message."""

_PREDICTIONS_THRESHOLD = 0.3
"""From which score a prediction file's entries count as shown, unless --threshold says."""


@dataclass(frozen=True)
class Predicted:
    """One run's predictions, in the data set's labels.

    Attributes:
        name: Of the run.
        predictions: Image id to detections.
        threshold: Least score of what a user is shown.
        results: Image id to the whole result, where a model made it.
    """

    name: str
    predictions: dict[int, Detections]
    threshold: float
    results: dict[int, ImageResult] = field(default_factory=dict)

    def shown(self, image_id: int) -> Detections:
        """What a user is shown of a picture: detections from the threshold on."""
        found = self.predictions.get(image_id, Detections.empty())
        return found[found.scores >= self.threshold]

    def picture(self, sample: Sample) -> ImageResult:
        """The same, as a result for reports; without tiles where no model made it."""
        found = self.shown(sample.image_id)
        made = self.results.get(sample.image_id)
        if made is not None:
            return replace(made, detections=found)
        return ImageResult(sample.path.name, sample.width, sample.height, found, [], 0.0, 0)

    @property
    def tiles(self) -> dict[int, list[Tile]]:
        """Image id to the tiles that the network was shown, where a model made the results."""
        return {image_id: result.tiles for image_id, result in self.results.items()}

    @property
    def seconds(self) -> float | None:
        """Mean time a picture; None where none was run."""
        times = [result.seconds for result in self.results.values()]
        return float(np.mean(times)) if times else None


def require_counts(max_detections: int, repeats: int) -> None:
    """Refuse counts that cannot be, or that nobody would wait for.

    Raises:
        UsageError: It names the flag.
    """
    given = (
        ("--max-detections", max_detections, _MOST_DETECTIONS),
        ("--repeats", repeats, _MOST_REPEATS),
    )
    for flag, count, most in given:
        if not 1 <= count <= most:
            bound = "at least 1" if count < 1 else f"at most {most:,}"
            raise UsageError(f"{flag} must be {bound}, got {count}")


def clip_groups(dataset: Dataset, path: Path, split: str | None) -> Groups | None:
    """Which pictures are frames of one clip: they are alike, and so resampled as a whole.

    Args:
        dataset: The labels.
        path: Where they are from.
        split: Which of them.

    Returns:
        As for `bootstrap_interval`; None where there are no clips.
    """
    clips = load_clips(path, split)
    if not clips:
        return None
    alone: dict[int, Hashable] = {sample.image_id: sample.image_id for sample in dataset.samples}
    return alone | {
        sample.image_id: f"clip {number}"
        for number, clip in enumerate(clips)
        for sample in clip.samples
    }


def clips_for(info: ModelInfo, path: Path, split: str | None) -> tuple[Clip, ...]:
    """The clips of a data set, for a model that sees motion; it is told of if there are none.

    Args:
        info: What the model's file says.
        path: The data set.
        split: Which part of it.

    Raises:
        FoveateError: As `load_clips`.
    """
    if info.motion is None:
        return ()
    clips = load_clips(path, split)
    if not clips:
        note(f"{path} has no clips: the model, which sees motion, is shown that nothing moves")
    return clips


def predict_dataset(
    detector: Detector,
    info: ModelInfo,
    dataset: Dataset,
    options: Options,
    name: str,
    failures: dict[Location, str],
    clips: Sequence[Clip] = (),
) -> Predicted:
    """Run a model over a data set's pictures, one at a time, so that each one's time is its own.

    Args:
        detector: To run.
        info: What its file says.
        dataset: The pictures; their labels give the classes.
        options: How; `plain` is set if that is the name.
        name: Of the run.
        failures: Gets the pictures that could not be done, each said once.
        clips: Which of the pictures are frames of one clip, for a model that sees motion; one that
            cannot be read ends the run.

    Raises:
        FoveateError: If the model and the data set have no class in common, no picture is there,
            or one is not of the size that its labels are for.
    """
    labels = label_map(info.class_names, dataset)
    _require_pictures(dataset)
    settings = run_settings(detector, options | Options(plain=name == "plain"))
    shown = settings.score_threshold
    least = min(LEAST_SCORE, shown)
    settings = replace(settings, score_threshold=least)
    predicted, looks = Predicted(name, {}, shown), Looks()
    with progress(name, len(dataset)) as step:

        def fail(failure: Failure) -> None:
            if failure.path not in failures:
                note(f"foveate: {one_line(failure.message)}")
            failures[failure.path] = failure.message
            step()

        for sample, result in _results(detector, settings, dataset, clips, fail):
            if (result.width, result.height) != (sample.width, sample.height):
                raise FoveateError(
                    f"{sample.path} is {result.width} x {result.height} and its labels are for "
                    f"{sample.width} x {sample.height}"
                )
            found = relabel(result.detections, labels)
            predicted.predictions[sample.image_id] = found
            predicted.results[sample.image_id] = replace(result, detections=found)
            looks.add(result)
            step()
    if settings.selection is not None and not settings.plan.plain:
        note(f"{name}: {looks}")
    return predicted


def _results(
    detector: Detector,
    settings: RunSettings,
    dataset: Dataset,
    clips: Sequence[Clip],
    fail: Callable[[Failure], None],
) -> Iterator[tuple[Sample, ImageResult]]:
    """What is found in each picture; frames of clips with their motion, if the model sees it."""
    if settings.motion is not None and clips:
        run = frame_runner(detector, settings)
        for sample, source in labelled_sources(dataset, clips, settings.motion):
            yield sample, run(source)
        return
    samples = {sample.path: sample for sample in dataset.samples}
    opened = partial(open_source, reading=settings.reading)
    run = runner(detector, settings)
    for path, _, result in detect_folder(list(samples), opened, run, fail):
        yield samples[path], result


def _require_pictures(dataset: Dataset) -> None:
    """One line, not one for each picture, where labels came without any."""
    if len(dataset) > 1 and not any(sample.path.exists() for sample in dataset.samples):
        raise FoveateError(
            f"none of the {len(dataset):,} pictures of {dataset.name} is there; the first was "
            f"looked for at {dataset.samples[0].path}"
        )


def score_run(
    name: str,
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins,
    max_detections: int,
    score_threshold: float,
    seconds: float | None = None,
) -> Run:
    """AP and AR of everything, and found, missed and false at the threshold.

    Args:
        name: Of the run, such as ``tiled``.
        dataset: The labels.
        predictions: Image id to detections, low scores included.
        bins: Size bins.
        max_detections: Most detections used of one class in one picture.
        score_threshold: Least score of what a user is shown.
        seconds: Time a picture, if measured.
    """
    scores = evaluate_detections(dataset, predictions, bins, max_detections)
    outcomes = count_outcomes(dataset, predictions, bins, score_threshold=score_threshold)
    return Run(name, scores, outcomes, seconds=seconds)


def read_run(path: Path, dataset: Dataset, threshold: float | None) -> Predicted:
    """Predictions from a COCO results file, as a run.

    Args:
        path: The file.
        dataset: What they are for.
        threshold: Least score of what is shown; .3 if None.

    Raises:
        UsageError: If `threshold` is not from 0 to 1.
        FoveateError: As `read_predictions`.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"threshold must be from 0 to 1, got {threshold:g}")
    read = read_predictions(path, dataset)
    shown = _PREDICTIONS_THRESHOLD if threshold is None else threshold
    return Predicted(path.stem.removeprefix("predictions-"), read, shown)


def whole_picture(path: Path, reading: Reading) -> UInt8Image | None:
    """A picture for a page, or None if it cannot be read: its figures stand without it."""
    try:
        source = open_source(path, reading)
        return look(source, (0, 0, source.width, source.height))
    except (FoveateError, OSError):
        return None


def label_map(model_names: tuple[str, ...], dataset: Dataset) -> IntArray:
    """The data set's label of each of a model's classes, by name; -1 where it has none.

    One class against one class is taken for the same, whatever the names.

    Raises:
        FoveateError: If the two have no class in common, or the model does not name its own.
    """
    if not model_names:
        raise FoveateError(
            f"the model does not say what it finds; name its classes with --classes "
            f"({dataset.name} labels {_some(dataset.class_names)})"
        )
    if len(model_names) == len(dataset.class_names) == 1:
        return np.zeros(1, np.int64)
    places = {name.casefold(): i for i, name in enumerate(dataset.class_names)}
    labels = np.array([places.get(name.casefold(), -1) for name in model_names], np.int64)
    if (labels < 0).all():
        raise FoveateError(
            f"no class in common: the model finds {_some(model_names)} and "
            f"{dataset.name} labels {_some(dataset.class_names)}"
        )
    return labels


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def relabel(found: Detections, labels: IntArray) -> Detections:
    """Detections with the data set's labels; classes that it does not label are left out."""
    mapped = Detections(found.boxes, found.scores, labels[found.labels])
    return mapped[mapped.labels >= 0]
