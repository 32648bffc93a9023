"""Which parts a data set has (train, val, ...), and all of them read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from foveate.config import read_yaml
from foveate.data.files import missing
from foveate.data.formats.common import SPLITS, is_split
from foveate.data.formats.load import load_dataset, recognise
from foveate.data.formats.yolo import find_yaml
from foveate.structures import Dataset, Sample


def split_names(path: Path) -> list[str]:
    """The usual splits that a data set has, "train" first; empty where it is a single part.

    Args:
        path: As for `load_dataset`.

    Raises:
        FoveateError: If nothing is there, or nothing is recognised.
    """
    if not path.exists():
        raise missing(path)
    format = recognise(path)
    there: set[str] = set()
    if format == "yolo":
        there = _yolo_splits(path)
    elif format == "voc":
        there = {file.stem for file in (path / "ImageSets" / "Main").glob("*.txt")}
    elif format in ("dota", "visdrone"):
        folders = [folder for folder in path.iterdir() if folder.is_dir()]
        there = {name for name in SPLITS if any(is_split(folder, name) for folder in folders)}
    elif path.is_dir():
        files = [*path.glob("*.json"), *path.glob("annotations/*.json")]
        words = [file.stem.rsplit("_", 1)[-1] for file in files]
        there = {name for name in SPLITS if words.count(name) == 1}
    return [name for name in reversed(SPLITS) if name in there]


def _yolo_splits(path: Path) -> set[str]:
    settings = find_yaml(path)
    if settings is None:
        return {folder.name for folder in (path / "images").glob("*") if folder.is_dir()}
    values = read_yaml(settings)
    return {name for name, value in values.items() if value} if isinstance(values, dict) else set()


def load_splits(path: str | Path) -> dict[str, Dataset]:
    """Every usual split of a data set, "train" first.

    Args:
        path: As for `load_dataset`. A data set without splits is one part, under its own name.

    Raises:
        FoveateError: As `load_dataset`.
    """
    path = Path(path)
    names = split_names(path)
    if not names:
        dataset = load_dataset(path)
        return {dataset.name: dataset}
    return with_same_classes({name: load_dataset(path, split=name) for name in names})


def with_same_classes(parts: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Splits with one list of classes, in the order in which they first come.

    Formats without a list of classes number those that a split happens to have.
    """
    lists = {(dataset.class_names, dataset.category_ids) for dataset in parts.values()}
    if len(lists) == 1:
        return dict(parts)
    names = tuple(dict.fromkeys(name for part in parts.values() for name in part.class_names))
    return {split: _relabelled(dataset, names) for split, dataset in parts.items()}


def _relabelled(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    index = {name: number for number, name in enumerate(names)}
    places = np.array([index[name] for name in dataset.class_names], np.int64)

    def relabelled(sample: Sample) -> Sample:
        objects = sample.annotations
        return replace(sample, annotations=replace(objects, labels=places[objects.labels]))

    return replace(
        dataset,
        class_names=names,
        category_ids=tuple(range(1, len(names) + 1)),
        samples=tuple(map(relabelled, dataset.samples)),
    )
