"""``foveate glance fit``: from pictures to the file that says where a detector should look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import make_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from foveate.cli.arguments import ModelChoice, OptionalText, RunFlags, RunOptions, parse
from foveate.cli.pictures import dataset_of, pictures_of
from foveate.cli.scoring import label_map
from foveate.cli.terminal import note, progress, show_table
from foveate.cli.train import require_training
from foveate.data.remote import Location
from foveate.data.sources import find_sources, open_source
from foveate.errors import FoveateError, UsageError
from foveate.inference.bundled import choices
from foveate.inference.settings import RunSettings, class_names_of, run_settings, runner
from foveate.reports.tables import Table
from foveate.structures import Dataset, Detector

if TYPE_CHECKING:
    from foveate.inference.glance_info import Calibration
    from foveate.training.glance_lessons import Lesson

_FIT = "fit"
_ROUND = (0.99, 0.98, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.7, 0.5)
"""Recalls of which the table shows the cheapest threshold."""


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    asks_for_help = bool(arguments) and arguments[0] in ("-h", "--help")
    if not asks_for_help and (not arguments or arguments[0] != _FIT):
        got = f", got {arguments[0]!r}" if arguments else ""
        raise UsageError(f"glance: what can be done is 'fit'{got} (foveate glance fit --help)")
    require_training("glance fit")
    flags = _parse(arguments[1:] if arguments[0] == _FIT else arguments)
    if flags.model is None:
        raise UsageError(f"say which model: --model NAME|PATH ({choices()})")
    if flags.run.select is not None or flags.run.glance is not None:
        raise UsageError("--select and --glance are for detection; a fit looks at all tiles")
    _fit(flags)


def _fit(flags: Any) -> None:
    from foveate.export.glance import FitProgress, fit_glance

    detector, info = flags.run.load(flags.model)
    if info.motion is not None:
        raise FoveateError(f"{info.name} sees motion, and a glance sees still pictures")
    settings = run_settings(detector, flags.run.options())
    dataset = dataset_of(flags.source, flags.split)
    own = dataset is None or flags.own
    lessons = (
        _own_lessons(flags, dataset, detector, settings)
        if own or dataset is None
        else _labelled(dataset, detector)
    )
    steps, held = flags.settings.steps, round(flags.settings.held_out * len(lessons))
    with ExitStack() as bars:
        step = bars.enter_context(progress("training", steps))
        held_out = bars.enter_context(progress("held-out pictures", held))
        fitted = fit_glance(
            lessons,
            "detector" if own else "labels",
            detector,
            settings,
            flags.settings,
            flags.out,
            FitProgress(step, held_out, note),
        )
    assert fitted.calibration is not None
    show_table(calibration_table(fitted.calibration))
    note(
        f"done: {flags.out}, {flags.out.stat().st_size / 1e3:.0f} KB, from {fitted.pictures} "
        f"pictures; now 'foveate detect SOURCE --model {flags.model} --glance {flags.out} "
        f"--select {_advised(fitted.calibration)}'"
    )


def _advised(calibration: Calibration) -> str:
    return "tiles=..." if calibration.worthwhile is None else calibration.worthwhile.select


def _local(found: Sequence[Location]) -> list[Path]:
    """Pictures of this machine.

    Raises:
        UsageError: If some are not.
    """
    paths = [path for path in found if isinstance(path, Path)]
    if len(paths) < len(found):
        raise UsageError("a glance reads its pictures more than once: copy them to a folder first")
    return paths


def calibration_table(calibration: Calibration) -> Table:
    """What can be promised and the share of looking it takes: the best, and round figures."""
    from foveate.inference.glance_info import recall_in_words

    best = calibration.rows[0].bound
    chosen = {
        max(row.threshold for row in calibration.rows if row.bound >= least)
        for least in (best, *_ROUND)
        if least <= best
    }
    rows = tuple(
        tuple(f"{figure:.3f}" for figure in (row.bound, row.mean, row.kept, row.looked))
        for row in calibration.rows
        if row.threshold in chosen
    )
    unit = calibration.unit
    told = (
        f"Calibrated on {calibration.units} {unit}s with {calibration.objects} objects and "
        f"{calibration.empty} without; the promise holds with {calibration.level:.0%} certainty, "
        f"for the mean over {unit}s of the share of objects kept."
    )
    if (worthwhile := calibration.worthwhile) is not None:
        told += (
            f" Beyond {recall_in_words(worthwhile.bound)} a point of recall takes over four points "
            "of looking."
        )
    columns = (
        "recall promised",
        f"kept, mean of {unit}s",
        "kept, of all objects",
        "looking, of all tiles'",
    )
    return Table("", columns, rows, told)


def _labelled(dataset: Dataset, detector: Detector) -> list[Lesson]:
    from foveate.training.glance_lessons import labelled_lessons

    lessons = labelled_lessons(dataset, label_map(class_names_of(detector), dataset))
    if not any(len(lesson.boxes) for lesson in lessons):
        raise FoveateError(
            f"{dataset.name} labels nothing that the model finds; with --own what the model finds "
            "itself is learned"
        )
    return lessons


def _own_lessons(
    flags: Any, dataset: Dataset | None, detector: Detector, settings: RunSettings
) -> list[Lesson]:
    from foveate.inference.glance_info import detector_hash
    from foveate.training.glance_lessons import own_lessons

    paths = _local(find_sources(flags.source)) if dataset is None else pictures_of(dataset)
    cache = flags.out.with_name(f"{flags.out.name}.found")
    identity = detector_hash(detector) + json.dumps(settings.to_dict(), sort_keys=True)
    failures: list[str] = []

    def fail(message: str) -> None:
        failures.append(message)
        note(f"foveate: {message}")

    try:
        with progress("pictures", len(paths)) as step:
            opened = partial(open_source, reading=settings.reading)
            run = runner(detector, settings)
            lessons = own_lessons(paths, opened, run, identity, cache, step, fail)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on with the next picture") from None
    if failures:
        note(f"{len(failures)} of {len(paths)} pictures are left out")
    if not any(len(lesson.boxes) for lesson in lessons):
        raise FoveateError(
            f"the model finds nothing in {len(lessons)} pictures: there is nothing to learn"
        )
    return lessons


def _parse(arguments: Sequence[str]) -> Any:
    """The command's own flags, and every setting of the fit as a flag."""
    from foveate.training.glance import GlanceFit

    help_of = tyro.conf.arg
    source = Annotated[
        str,
        help_of(
            metavar="IMAGES|DATASET",
            help="A data set, whose labels teach; or pictures, a folder or a pattern in quotes, "
            "in which the model's own results do.",
        ),
    ]
    model = Annotated[ModelChoice, help_of(help="The detector that the glance is for.")]
    split = Annotated[OptionalText, help_of(help="Which split of a data set that has several.")]
    own = Annotated[
        bool, help_of(help="Let the model's own results teach, though there are labels.")
    ]
    out = Annotated[Path, help_of(metavar="FILE", help="The file to write.")]
    schema = make_dataclass(
        "GlanceFitting",
        [
            ("source", tyro.conf.Positional[source]),
            ("model", model, None),
            ("out", out, Path("glance.onnx")),
            ("split", split, None),
            ("own", own, False),
            ("run", RunOptions, RunFlags()),
            ("settings", Annotated[GlanceFit, help_of(name="")], GlanceFit()),
        ],
        frozen=True,
    )
    schema.__doc__ = "Fit a glance: a tiny network that says where a detector should look."
    return parse(schema, f"glance {_FIT}", arguments)
