"""``foveate compare``: whether a change helped or was luck."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from foveate.api.output import OutputFolder
from foveate.cli.arguments import OptionalFolder, OptionalText, RunFlags, RunOptions, parse
from foveate.cli.scoring import (
    Predicted,
    clip_groups,
    clips_for,
    predict_dataset,
    read_run,
    require_counts,
    whole_picture,
)
from foveate.cli.terminal import note, show_json, show_table
from foveate.data.formats import load_dataset
from foveate.data.remote import Location
from foveate.errors import FoveateError, UsageError
from foveate.evaluation import (
    MAX_DETECTIONS,
    compare_predictions,
    match_detections,
    parse_size_bins,
)
from foveate.inference.settings import reading_of
from foveate.reports.comparison import comparison_section
from foveate.reports.differences import comparison_sections, differences_table, verdict
from foveate.reports.page import Section, page_html
from foveate.structures import Dataset

_SHOWN_PICTURES = 6
_TILED = "predictions-tiled.json"


@dataclass(frozen=True)
class Compare:
    """Compare two runs on one data set, figure by figure, with intervals over its pictures.

    Attributes:
        a: COCO results (.json), a folder that 'foveate evaluate' wrote, or a model.
        b: The other one: is it better?
        dataset: Labels: a COCO .json, a YOLO data.yaml, a CVAT .xml, or a folder with labels.
        split: Which split, where the data set has several, such as val.
        run: How models are run.
        sizes: Size bins: coco, ai-tod, tinyperson, or side lengths in pixels such as 0,8,16,32.
        max_detections: Most detections used of one class in one picture.
        repeats: Resamples of the pictures, clips as a whole, for the intervals.
        out: Folder for comparison.json and index.html.
        json: Print the results as JSON on stdout.
    """

    a: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="A")]]
    b: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="B")]]
    dataset: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DATASET")]]
    split: OptionalText = None
    run: RunOptions = field(default_factory=RunFlags)
    sizes: str = "coco"
    max_detections: int = MAX_DETECTIONS
    repeats: int = 1000
    out: OptionalFolder = None
    json: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Compare, "compare", arguments)
    bins = parse_size_bins(flags.sizes)
    require_counts(flags.max_detections, flags.repeats)
    if all(_is_written(one) for one in (flags.a, flags.b)):
        _require_no_run_flags(flags)
    dataset = load_dataset(flags.dataset, split=flags.split)
    out = OutputFolder(flags.out) if flags.out else None
    first, second = (_predicted(one, dataset, flags) for one in (flags.a, flags.b))
    comparison = compare_predictions(
        dataset,
        first.predictions,
        second.predictions,
        bins,
        flags.repeats,
        max_detections=flags.max_detections,
        thresholds=(first.threshold, second.threshold),
        groups=clip_groups(dataset, flags.dataset, flags.split),
    )
    names = _names(flags.a, flags.b)
    summary = {
        "dataset": dataset.name,
        "a": flags.a,
        "b": flags.b,
        "verdict": verdict(comparison, names),
        **comparison.to_dict(),
    }
    if out is not None:
        sections = comparison_sections(comparison, names)
        sections += _changed(first, second, dataset, flags, names)
        title = f"{names[1]} against {names[0]}, on {dataset.name}"
        out.write("comparison.json", json.dumps(summary, indent=1).encode())
        out.write("index.html", page_html(title, sections).encode())
    if flags.json:
        show_json(summary)
    else:
        show_table(differences_table(comparison, names, dataset.name))
        print(verdict(comparison, names))
    if out is not None:
        note(f"comparison.json and index.html are in {out.path}")


def _is_written(subject: str) -> bool:
    """Whether it is predictions, or holds them, rather than a model."""
    path = Path(subject)
    return path.suffix.lower() == ".json" or any(path.glob("predictions-*.json"))


def _require_no_run_flags(flags: Compare) -> None:
    if replace(flags.run, threshold=None) != RunFlags():
        raise UsageError("--tile, --merge and the like are for models, not for prediction files")


def _predicted(subject: str, dataset: Dataset, flags: Compare) -> Predicted:
    """A run from its file, from the folder that holds it, or by running a model."""
    path = Path(subject)
    if path.suffix.lower() == ".json":
        return read_run(path, dataset, flags.run.threshold)
    written = sorted(path.glob("predictions-*.json")) if path.is_dir() else []
    if written:
        tiled = [file for file in written if file.name == _TILED]
        if not tiled and len(written) > 1:
            raise FoveateError(
                f"{path} holds several runs; give one of: {', '.join(map(str, written[:8]))}"
            )
        return read_run((tiled or written)[0], dataset, flags.run.threshold)
    detector, info = flags.run.load(subject)
    failures: dict[Location, str] = {}
    clips = clips_for(info, flags.dataset, flags.split)
    options = flags.run.options()
    predicted = predict_dataset(detector, info, dataset, options, subject, failures, clips)
    if failures:
        raise FoveateError("a comparison needs every picture: mend or leave out those named above")
    return predicted


def _names(a: str, b: str) -> tuple[str, str]:
    """Short names; the paths themselves where those would be the same."""
    short = tuple(Path(one).stem.removeprefix("predictions-") for one in (a, b))
    return (short[0], short[1]) if short[0] != short[1] else (a, b)


def _changed(
    first: Predicted, second: Predicted, dataset: Dataset, flags: Compare, names: tuple[str, str]
) -> list[Section]:
    """The pictures whose mistakes differ most, with a line between the two runs."""
    change: dict[int, int] = {}
    for sample in dataset.samples:
        counts = []
        for run in (first, second):
            match = match_detections(run.shown(sample.image_id), sample.annotations)
            counts.append(len(match.missed) + len(match.false))
        change[sample.image_id] = counts[1] - counts[0]
    chosen = sorted(change, key=lambda image_id: (-abs(change[image_id]), image_id))
    samples = {sample.image_id: sample for sample in dataset.samples}
    sections: list[Section] = []
    for image_id in chosen[:_SHOWN_PICTURES]:
        sample = samples[image_id]
        image = whole_picture(sample.path, reading_of(flags.run.options()))
        if not change[image_id] or image is None:
            continue
        if image.shape[:2] != (sample.height, sample.width):
            continue
        results = first.picture(sample), second.picture(sample)
        sections.append(
            comparison_section(image, *results, dataset.class_names, sample.annotations, names)
        )
    return sections
