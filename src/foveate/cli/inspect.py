"""``foveate inspect``: how small the objects of a data set are, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from foveate.api.output import OutputFolder
from foveate.cli.arguments import (
    AskedFactor,
    AskedPixels,
    AskedStrides,
    ModelChoice,
    OptionalFile,
    OptionalFolder,
    OptionalText,
    RunFlags,
    parse,
)
from foveate.cli.measuring import Cost, duration, epoch_cost, image_cost
from foveate.cli.sweep import sweep
from foveate.cli.terminal import note, progress_of, show_json, show_table
from foveate.cli.train import can_train
from foveate.config import write_atomically
from foveate.data.files import reason_of
from foveate.data.formats import load_dataset
from foveate.data.formats.splits import load_splits
from foveate.data.sources import open_source
from foveate.errors import FoveateError, UsageError
from foveate.evaluation import parse_size_bins
from foveate.inspection.findings import Finding
from foveate.inspection.health import check_labels
from foveate.inspection.leaks import check_splits
from foveate.inspection.picture_files import check_files
from foveate.inspection.recipe import advised_recipe
from foveate.inspection.sizes import STRIDES
from foveate.inspection.smallest import SmallObject, smallest_objects
from foveate.inspection.summary import ADVISED, Inspection, inspect_labels
from foveate.inspection.trade_off import Tried, deciding_metric, plans_to_try
from foveate.reports.inspection import (
    advice_table,
    findings_table,
    inspection_sections,
    sizes_table,
)
from foveate.reports.page import page_html
from foveate.reports.sweep import sweep_sections, sweep_table
from foveate.reports.tables import Table
from foveate.structures import Dataset
from foveate.tiling import TilePlan

_VALIDATION = ("val", "valid", "test")


@dataclass(frozen=True)
class Inspect:
    """Say how small the objects of a data set are for a network, and what to do about it.

    Attributes:
        dataset: A data set in any format; all its splits are checked against each other.
        split: Whose objects are measured; train where there is one.
        model: A model whose tiles and strides are asked about.
        tile: Side of the tiles asked about, in pixels as the network sees them.
        scale: Enlargement asked about.
        strides: Of the feature maps asked about.
        labels_only: Read no picture: no checks of files and of splits, no contact sheet.
        measure: Also measure time and memory of one picture and of one epoch on this machine.
        sweep: Also try several tile plans with this model, on validation pictures.
        sizes: Size bins of the sweep, as for 'foveate evaluate'.
        write: Write the advice as a recipe that 'foveate train' takes.
        out: Folder for inspection.json and index.html.
        json: Print the results as JSON on stdout.
    """

    dataset: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DATASET")]]
    split: OptionalText = None
    model: ModelChoice = None
    tile: AskedPixels = None
    scale: AskedFactor = None
    strides: AskedStrides = None
    labels_only: bool = False
    measure: bool = False
    sweep: ModelChoice = None
    sizes: str = "coco"
    write: OptionalFile = None
    out: OptionalFolder = None
    json: bool = False


@dataclass(frozen=True)
class _Found:
    """All that a run of the command found."""

    inspection: Inspection
    findings: list[Finding]
    smallest: list[SmallObject]
    costs: dict[str, Cost]
    tried: list[Tried]
    metric: str = "AP"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            **self.inspection.to_dict(),
            "health": [finding.to_dict() for finding in self.findings],
            "measured": {name: cost.to_dict() for name, cost in self.costs.items()},
            "sweep": [one.to_dict() for one in self.tried],
        }


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Inspect, "inspect", arguments)
    if flags.strides is not None and min(flags.strides) < 1:
        raise UsageError("--strides must be whole numbers from 1")
    bins = parse_size_bins(flags.sizes)
    splits = _splits(flags)
    name = flags.split or ("train" if "train" in splits else next(iter(splits)))
    dataset = splits[name]
    plan, strides = _asked(flags)
    swept = RunFlags().load(flags.sweep) if flags.sweep else None
    out = OutputFolder(flags.out) if flags.out else None
    if flags.write is not None:
        _require_writable(flags.write)
    inspection = inspect_labels(dataset, plan, strides)
    recipe = advised_recipe(inspection.advice, dataset.name.partition("/")[0])
    findings = _health(splits, name, flags.labels_only)
    smallest = [] if flags.labels_only else _smallest(dataset)
    costs = _costs(inspection, dataset, recipe) if flags.measure else {}
    tried: list[Tried] = []
    metric = "AP"
    if swept is not None:
        held_out = _held_out(splits, name)
        plans = plans_to_try(swept[1].tile_plan, inspection.advice.plan)
        kept = flags.out / "sweep.json" if flags.out else None
        tried = sweep(*swept, held_out, plans, bins, kept)
        metric = deciding_metric(tried, bins.labels)
    found = _Found(inspection, findings, smallest, costs, tried, metric)
    _report(found, recipe, flags, out)


def _require_writable(path: Path) -> None:
    """See before the work whether the recipe can be written; what is no file is not replaced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        taken = path.exists() and not path.is_file()
    except OSError as error:
        raise FoveateError(f"--write {path}: cannot be written ({reason_of(error)})") from None
    if taken:
        raise FoveateError(f"--write {path}: is there and no file; give the name of a file")


def _splits(flags: Inspect) -> dict[str, Dataset]:
    if flags.dataset.is_file() and flags.split is not None:
        return {flags.split: load_dataset(flags.dataset, split=flags.split)}
    splits = load_splits(flags.dataset)
    if flags.split is not None and flags.split not in splits:
        splits[flags.split] = load_dataset(flags.dataset, split=flags.split)
    return splits


def _asked(flags: Inspect) -> tuple[TilePlan, tuple[int, ...]]:
    """The tile plan and the strides that are asked about."""
    plan: TilePlan = TilePlan()
    strides: tuple[int, ...] = STRIDES
    if flags.model is not None:
        info = RunFlags().load(flags.model)[1]
        plan, strides = info.tile_plan, info.strides
    given = {"size": flags.tile, "scale": flags.scale}
    values = {name: value for name, value in given.items() if value is not None}
    return TilePlan.from_dict(plan.model_dump() | values), flags.strides or strides


def _health(splits: dict[str, Dataset], name: str, labels_only: bool) -> list[Finding]:
    findings = check_labels(splits[name])
    if labels_only:
        return findings
    with progress_of("pictures") as show:
        others = [part for part in splits.values() if part is not splits[name]]
        findings += check_files(splits[name], others, on_progress=show)
    if len(splits) > 1:
        with progress_of("splits") as show:
            findings += check_splits(splits, show)
    return findings


def _smallest(dataset: Dataset) -> list[SmallObject]:
    return smallest_objects(dataset, open_source, each=10 if len(dataset.class_names) < 4 else 5)


def _held_out(splits: dict[str, Dataset], name: str) -> Dataset:
    """Pictures that a sweep may be judged on."""
    for held_out in _VALIDATION:
        if held_out in splits:
            return splits[held_out]
    note("there is no val split: the sweep uses pictures that the model may have learned from")
    return splits[name]


def _costs(inspection: Inspection, dataset: Dataset, recipe: str) -> dict[str, Cost]:
    sizes = inspection.objects.image_sizes
    if not len(sizes):
        return {}
    width, height = np.median(sizes, axis=0).astype(int).tolist()
    costs = {view.name: image_cost(view.plan, width, height) for view in inspection.views}
    if can_train() and all(sample.path.is_file() for sample in dataset.samples[:100]):
        pixels = inspection.coverage[ADVISED].network_pixels
        costs["epoch"] = epoch_cost(recipe, dataset, pixels)
    else:
        note('no epoch measured: that needs the pictures, and pip install "foveate[train]"')
    return costs


def _cost_table(inspection: Inspection, costs: dict[str, Cost]) -> Table:
    names = {"epoch": "one epoch of training, as advised"}
    rows = tuple(
        (
            names.get(name, f"one picture, {name}"),
            duration(cost.seconds),
            "-" if cost.megabytes is None else f"{cost.megabytes:,.0f} MB",
        )
        for name, cost in costs.items()
    )
    text = "The library's default network; a picture of median size; memory of the whole process."
    return Table("Measured on this machine", ("", "time", "memory"), rows, text)


def _report(found: _Found, recipe: str, flags: Inspect, out: OutputFolder | None) -> None:
    inspection = found.inspection
    tables = {"Time and memory": _cost_table(inspection, found.costs)} if found.costs else {}
    if flags.json:
        show_json(found.to_dict())
    else:
        show_table(sizes_table(inspection))
        show_table(advice_table(inspection.advice.recommendations))
        for table in tables.values():
            show_table(table)
        if found.tried:
            show_table(sweep_table(found.tried, found.metric))
        if found.findings:
            show_table(findings_table(found.findings))
    if out is not None:
        sections = inspection_sections(inspection, found.findings, found.smallest, tables)
        sections += sweep_sections(found.tried, found.metric)
        out.write("inspection.json", json.dumps(found.to_dict(), indent=1).encode())
        out.write("index.html", page_html(f"{inspection.name}, inspected", sections).encode())
        note(f"inspection.json and index.html are in {out.path}")
    if flags.write is not None:
        write_atomically(flags.write, recipe.encode())
        note(f"{flags.write}: train it with 'foveate train {flags.write} --data {flags.dataset}'")
