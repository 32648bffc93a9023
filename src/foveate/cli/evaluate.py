"""``foveate evaluate``: AP and recall by object size, of a model or of a prediction file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from foveate.api.output import OutputFolder
from foveate.cli.arguments import OptionalFolder, OptionalText, RunFlags, RunOptions, parse
from foveate.cli.scoring import Predicted, interval_metrics, predict_dataset, score_run
from foveate.cli.terminal import note, show_json, show_table
from foveate.data.formats import load_dataset
from foveate.data.sources import open_source
from foveate.errors import FoveateError, UsageError
from foveate.evaluation import (
    MAX_DETECTIONS,
    SizeBins,
    match_detections,
    paired_bootstrap,
    parse_size_bins,
    read_predictions,
    to_coco_results,
)
from foveate.inference.settings import reading_of
from foveate.reports.comparison import comparison_section
from foveate.reports.page import Section, page_html, table_html
from foveate.reports.results import Run, evaluation_summary
from foveate.reports.tables import class_table, scores_table
from foveate.structures import Dataset, Detections, UInt8Image
from foveate.tiling import look

_SHOWN_PICTURES = 8
_PREDICTIONS_THRESHOLD = 0.3
"""From which score a prediction file's entries count as shown, unless --threshold says."""


@dataclass(frozen=True)
class Evaluate:
    """Measure AP and recall by object size, of a model or of predictions.

    A model is run twice, with each picture squeezed whole into the network (plain) and in tiles.

    Attributes:
        subject: A bundled model's name, the path of a model.onnx, or a COCO results .json file.
        dataset: A COCO .json, a YOLO data.yaml, or a folder (COCO, YOLO, VOC) with labels.
        split: Which split, where the data set has several, such as val.
        only: Run a model only plain, or only in tiles.
        run: How it is done.
        sizes: Size bins: coco, ai-tod, tinyperson, or side lengths in pixels such as 0,8,16,32.
        max_detections: Most detections used of one class in one picture.
        intervals: Also give 95 % intervals over resampled pictures.
        out: Folder for scores.json, the predictions and index.html.
        json: Print the results as JSON on stdout.
    """

    subject: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="MODEL|PREDICTIONS")]]
    dataset: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DATASET")]]
    split: OptionalText = None
    only: Literal["both", "plain", "tiled"] = "both"
    run: RunOptions = field(default_factory=RunFlags)
    sizes: str = "coco"
    max_detections: int = MAX_DETECTIONS
    intervals: bool = False
    out: OptionalFolder = None
    json: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Evaluate, "evaluate", arguments)
    bins = parse_size_bins(flags.sizes)
    if flags.max_detections < 1:
        raise UsageError(f"--max-detections must be at least 1, got {flags.max_detections}")
    from_file = Path(flags.subject).suffix.lower() == ".json"
    if from_file:
        _require_no_run_flags(flags)
    loaded = None if from_file else flags.run.load(flags.subject)
    dataset = load_dataset(flags.dataset, split=flags.split)
    out = OutputFolder(flags.out) if flags.out else None
    failures: dict[Path, str] = {}
    if loaded is None:
        threshold = flags.run.threshold
        shown = _PREDICTIONS_THRESHOLD if threshold is None else threshold
        read = read_predictions(flags.subject, dataset)
        _require_same_pictures(Path(flags.subject), dataset)
        predicted = [Predicted(Path(flags.subject).stem, read, shown)]
    else:
        names = ("plain", "tiled") if flags.only == "both" else (flags.only,)
        predicted = [
            predict_dataset(*loaded, dataset, flags.run.options(), name, failures) for name in names
        ]
    _report(predicted, dataset, flags, bins, out)
    if failures:
        raise FoveateError(
            f"{len(failures)} of {len(dataset)} pictures could not be done and count as pictures "
            f"where nothing was found"
        )


def _require_no_run_flags(flags: Evaluate) -> None:
    given = replace(flags.run, threshold=None) != RunFlags() or flags.only != "both"
    if given:
        raise UsageError("--tile, --only and the like are for models, not for a prediction file")


def _require_same_pictures(path: Path, dataset: Dataset) -> None:
    """See that entries which name their picture mean the one that the data set numbers so.

    ``foveate detect`` numbers pictures from 1, whatever a data set calls them.
    """
    names = {sample.image_id: sample.path.name for sample in dataset.samples}
    for number, entry in enumerate(json.loads(path.read_bytes())):
        name = entry.get("file_name")
        expected = names[entry["image_id"]]
        if name is not None and Path(str(name)).name != expected:
            raise FoveateError(
                f"{path}: entry {number} is of {name}, and {dataset.name} gives its image_id to "
                f"{expected}; to score a model use 'foveate evaluate MODEL DATASET'"
            )


def _report(
    predicted: Sequence[Predicted],
    dataset: Dataset,
    flags: Evaluate,
    bins: SizeBins,
    out: OutputFolder | None,
) -> None:
    runs = [
        score_run(
            one.name,
            dataset,
            one.predictions,
            bins,
            flags.max_detections,
            one.threshold,
            one.seconds,
            flags.intervals,
        )
        for one in predicted
    ]
    differences = {}
    if flags.intervals and len(predicted) == 2:
        first, second = (one.predictions for one in predicted)
        metrics = interval_metrics(bins)
        differences = paired_bootstrap(
            dataset, first, second, metrics, bins, max_detections=flags.max_detections
        )
    table = scores_table(runs, dataset.name, differences)
    summary = evaluation_summary(dataset.name, runs)
    if out is not None:
        out.write("scores.json", json.dumps(summary, indent=1).encode())
        for one in predicted:
            results = to_coco_results(dataset, one.predictions)
            out.write(f"predictions-{one.name}.json", json.dumps(results).encode())
        sections = [Section("", table_html(table)), *_details(runs, predicted, dataset, flags)]
        page = page_html(f"{flags.subject} on {dataset.name}", sections)
        out.write("index.html", page.encode())
    if flags.json:
        show_json(summary)
    else:
        show_table(table)
    if out is not None:
        note(f"scores.json, the predictions and index.html are in {out.path}")


def _details(
    runs: Sequence[Run], predicted: Sequence[Predicted], dataset: Dataset, flags: Evaluate
) -> list[Section]:
    """Figures by class, and the pictures where most goes wrong."""
    sections = []
    if len(dataset.class_names) > 1:
        sections = [Section(f"{run.name}, by class", table_html(class_table(run))) for run in runs]
    if len(predicted) < 2:
        return sections
    plain, tiled = predicted
    samples = {sample.image_id: sample for sample in dataset.samples}
    errors = {}
    for image_id in plain.results.keys() & tiled.results.keys():
        match = match_detections(_shown(tiled, image_id), samples[image_id].annotations)
        errors[image_id] = len(match.missed) + len(match.false)
    reading = reading_of(flags.run.options())

    def shown(path: Path) -> UInt8Image:
        source = open_source(path, reading)
        return look(source, (0, 0, source.width, source.height))

    worst = sorted(errors, key=lambda image_id: (-errors[image_id], image_id))
    for image_id in worst[:_SHOWN_PICTURES]:
        sections.append(
            comparison_section(
                shown(samples[image_id].path),
                replace(plain.results[image_id], detections=_shown(plain, image_id)),
                replace(tiled.results[image_id], detections=_shown(tiled, image_id)),
                dataset.class_names,
                samples[image_id].annotations,
            )
        )
    return sections


def _shown(predicted: Predicted, image_id: int) -> Detections:
    found = predicted.predictions[image_id]
    return found[found.scores >= predicted.threshold]
