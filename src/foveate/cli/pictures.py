"""A source that may be a labelled data set, or just pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foveate.data.formats import load_dataset
from foveate.data.formats.load import recognise
from foveate.data.remote import Location
from foveate.data.sources import find_sources
from foveate.errors import FoveateError
from foveate.structures import Dataset


def dataset_of(source: str, split: str | None) -> Dataset | None:
    """The data set that a source is; None where it is pictures."""
    path = Path(source)
    if not path.exists():
        return None
    try:
        recognise(path)
    except FoveateError:
        return None
    return load_dataset(path, split=split)


def pictures_of(dataset: Dataset) -> list[Path]:
    """The pictures of a data set, each once."""
    return list(dict.fromkeys(sample.path for sample in dataset.samples))


def named_pictures(source: str, split: str | None) -> tuple[str, Sequence[Location]]:
    """What a source is called, and its pictures.

    Raises:
        FoveateError: If there is nothing at it, or its labels are wrong.
    """
    dataset = dataset_of(source, split)
    if dataset is None:
        return Path(source).name or source, find_sources(source)
    return dataset.name, pictures_of(dataset)
