"""``foveate evaluate``: AP by object size and by cause, of a model or of a prediction file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

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
from foveate.data.formats.coco_video import load_clips
from foveate.data.remote import Location
from foveate.errors import FoveateError, UsageError
from foveate.evaluation import (
    MAX_DETECTIONS,
    Groups,
    SizeBins,
    analyse,
    paired_bootstrap,
    parse_size_bins,
    to_coco_results,
)
from foveate.evaluation.tracks import TrackRows, clip_tracks, evaluate_tracks, read_tracks
from foveate.inference.settings import reading_of
from foveate.reports.comparison import comparison_section, judged_section
from foveate.reports.evaluation import analysis_sections, errors_table, headline
from foveate.reports.page import Section, page_html, table_html
from foveate.reports.results import Run, evaluation_summary
from foveate.reports.tables import Table, scores_table
from foveate.structures import Dataset

_SHOWN_PICTURES = 8


@dataclass(frozen=True)
class Evaluate:
    """Measure AP and recall by object size, and where they are lost, of a model or predictions.

    A model is run twice, with each picture squeezed whole into the network (plain) and in tiles.
    Tracks (a tracks.txt of 'foveate detect --track') are measured by MOTA, IDF1 and HOTA.

    Attributes:
        subject: A bundled model's name, the path of a model.onnx, a COCO results .json file, or a
            tracks .txt file.
        dataset: Labels: a COCO .json, a YOLO data.yaml, a CVAT .xml, or a folder with labels; of
            tracks a .txt of the MOT Challenge, or COCO with one video.
        split: Which split, where the data set has several, such as val.
        only: Run a model only plain, or only in tiles.
        run: How it is done.
        sizes: Size bins: coco, ai-tod, tinyperson, or side lengths in pixels such as 0,8,16,32.
        max_detections: Most detections used of one class in one picture.
        repeats: Resamples of the pictures, clips as a whole, for the 95 % intervals.
        out: Folder for scores.json, the predictions and index.html.
        json: Print the results as JSON on stdout.
    """

    subject: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL|PREDICTIONS|TRACKS")]]
    dataset: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DATASET")]]
    split: OptionalText = None
    only: Literal["both", "plain", "tiled"] = "both"
    run: RunOptions = field(default_factory=RunFlags)
    sizes: str = "coco"
    max_detections: int = MAX_DETECTIONS
    repeats: int = 200
    out: OptionalFolder = None
    json: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Evaluate, "evaluate", arguments)
    bins = parse_size_bins(flags.sizes)
    require_counts(flags.max_detections, flags.repeats)
    if Path(flags.subject).suffix.lower() == ".txt":
        _evaluate_tracks(flags)
        return
    from_file = Path(flags.subject).suffix.lower() == ".json"
    if from_file:
        _require_no_run_flags(flags)
    loaded = None if from_file else flags.run.load(flags.subject)
    dataset = load_dataset(flags.dataset, split=flags.split)
    out = OutputFolder(flags.out) if flags.out else None
    failures: dict[Location, str] = {}
    if loaded is None:
        predicted = [read_run(Path(flags.subject), dataset, flags.run.threshold)]
    else:
        clips = clips_for(loaded[1], flags.dataset, flags.split)
        names = ("plain", "tiled") if flags.only == "both" else (flags.only,)
        predicted = [
            predict_dataset(*loaded, dataset, flags.run.options(), name, failures, clips)
            for name in names
        ]
    _report(predicted, dataset, flags, bins, out)
    if failures:
        raise FoveateError(
            f"{len(failures)} of {len(dataset)} pictures could not be done and count as pictures "
            f"where nothing was found"
        )


def _evaluate_tracks(flags: Evaluate) -> None:
    """Compare a tracks.txt with labelled tracks."""
    _require_no_run_flags(flags)
    if flags.out is not None:
        raise UsageError("--out is for detections; of tracks, --json prints the figures")
    found = read_tracks(Path(flags.subject))
    scores = evaluate_tracks(_labelled_tracks(flags), found)
    if flags.json:
        show_json(asdict(scores))
        return
    rows = tuple(
        (name, f"{value:.3f}" if isinstance(value, float) else str(value))
        for name, value in asdict(scores).items()
    )
    show_table(Table(f"{flags.subject} on {flags.dataset}", ("tracks", "value"), rows))


def _labelled_tracks(flags: Evaluate) -> TrackRows:
    if flags.dataset.suffix.lower() == ".txt":
        return read_tracks(flags.dataset, truth=True)
    clips = load_clips(flags.dataset, flags.split)
    if len(clips) != 1:
        raise FoveateError(
            f"{flags.dataset} has {len(clips)} clips with labels; tracks are of one video: give "
            "its labels alone, as COCO with one video or as a .txt of the MOT Challenge"
        )
    return clip_tracks(clips[0])


def _require_no_run_flags(flags: Evaluate) -> None:
    given = replace(flags.run, threshold=None) != RunFlags() or flags.only != "both"
    if given:
        raise UsageError("--tile, --only and the like are for models, not for files")


def _report(
    predicted: Sequence[Predicted],
    dataset: Dataset,
    flags: Evaluate,
    bins: SizeBins,
    out: OutputFolder | None,
) -> None:
    groups = clip_groups(dataset, flags.dataset, flags.split)
    runs = [_analysed(one, dataset, flags, bins, groups) for one in predicted]
    differences = {}
    if len(predicted) == 2:
        first, second = (one.predictions for one in predicted)
        metrics = [name for name in runs[0].intervals if "@" not in name]
        differences = paired_bootstrap(
            dataset, first, second, metrics, bins, flags.repeats,
            max_detections=flags.max_detections, groups=groups,
        )  # fmt: skip
    table = scores_table(runs, dataset.name, differences)
    summary = evaluation_summary(dataset.name, runs)
    if out is not None:
        out.write("scores.json", json.dumps(summary, indent=1).encode())
        for one in predicted:
            results = to_coco_results(dataset, one.predictions)
            out.write(f"predictions-{one.name}.json", json.dumps(results).encode())
        sections = [Section("", headline(runs[-1])), Section("", table_html(table))]
        sections += [*analysis_sections(runs), *_worst(runs, predicted, dataset, flags)]
        page = page_html(f"{flags.subject} on {dataset.name}", sections)
        out.write("index.html", page.encode())
    if flags.json:
        show_json(summary)
    else:
        show_table(table)
        for run in runs:
            if run.analysis is not None:
                show_table(errors_table(run.name, run.analysis))
    if out is not None:
        note(f"scores.json, the predictions and index.html are in {out.path}")


def _analysed(
    one: Predicted, dataset: Dataset, flags: Evaluate, bins: SizeBins, groups: Groups | None
) -> Run:
    analysis = analyse(
        dataset,
        one.predictions,
        bins,
        flags.max_detections,
        one.threshold,
        one.tiles,
        flags.repeats,
        groups=groups,
    )
    return Run.of(one.name, analysis, one.seconds)


def _worst(
    runs: Sequence[Run], predicted: Sequence[Predicted], dataset: Dataset, flags: Evaluate
) -> list[Section]:
    """The pictures where most goes wrong; those that cannot be read are not shown.

    Two runs are shown with a line between them.
    """
    samples = {sample.image_id: sample for sample in dataset.samples}
    reading = reading_of(flags.run.options())
    worst = _most_mistakes(runs)
    sections: list[Section] = []
    for image_id in worst[:_SHOWN_PICTURES]:
        sample = samples[image_id]
        image = whole_picture(sample.path, reading)
        if image is None or image.shape[:2] != (sample.height, sample.width):
            continue
        results = [one.picture(sample) for one in predicted]
        if len(results) == 2:
            first, second = results
            names = (predicted[0].name, predicted[1].name)
            sections.append(
                comparison_section(
                    image, first, second, dataset.class_names, sample.annotations, names
                )
            )
        else:
            sections.append(judged_section(image, results[0], sample.annotations))
    if worst and not sections:
        sections.append(Section("Pictures", '<p class="note">The pictures are not there.</p>'))
    return sections


def _most_mistakes(runs: Sequence[Run]) -> list[int]:
    """Image ids with mistakes: those of the last run, then those of the one before it."""
    rows = [row for run in reversed(runs) if run.analysis for row in run.analysis.images.worst()]
    return list(dict.fromkeys(row["image_id"] for row in rows))
