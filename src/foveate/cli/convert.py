"""``foveate convert``: a labelled data set in another format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from foveate.cli.arguments import Layout, parse
from foveate.cli.terminal import note, progress, show_json
from foveate.data.formats import load_dataset, write_dataset
from foveate.data.formats.common import SPLITS
from foveate.data.formats.splits import split_names
from foveate.structures import Dataset

TargetFormat = Literal["coco", "cvat", "dota", "voc", "yolo"]
"""The rows of `WRITERS`."""


@dataclass(frozen=True)
class Convert:
    """Write a labelled data set in another format.

    What the other format cannot carry is said on stderr.

    Attributes:
        dataset: A COCO .json, a YOLO data.yaml, a CVAT .xml, or a folder with labels.
        out: A new folder for the data set; it appears whole or not at all.
        to: The format to write.
        source_format: The format to read, if it is not recognised.
        split: Which splits, such as train val; all that are recognised if not given.
        images: Copy the pictures, link to them, or write the labels alone.
        json: Print what was written as JSON on stdout.
    """

    dataset: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DATASET")]]
    out: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="OUT")]]
    to: TargetFormat
    source_format: Annotated[Layout, tyro.conf.arg(name="from")] = None
    split: tuple[str, ...] = ()
    images: Literal["copy", "link", "none"] = "copy"
    json: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Convert, "convert", arguments)
    parts, notes = _read(flags)
    summary = _summary(flags, parts)
    with progress("pictures", summary["pictures"]) as step:
        notes += write_dataset(parts, flags.out, flags.to, flags.images, step)
    if notes:
        note(f"foveate: {flags.to}: {'; '.join(notes)}")
    if flags.json:
        show_json(summary | {"notes": notes})
    else:
        print(
            f"{flags.out}: {flags.to}, {summary['pictures']} pictures, {summary['objects']} "
            f"objects of {len(summary['classes'])} classes, {summary['ignored']} ignored boxes "
            f"(of {', '.join(part.name for part in parts.values())})"
        )


def _read(flags: Convert) -> tuple[dict[str, Dataset], list[str]]:
    """Every split, and which of them was left out because it is another one's pictures."""
    splits = flags.split
    if not splits and flags.source_format is None:
        splits = tuple(split_names(flags.dataset))
    parts: dict[str, Dataset] = {}
    notes: list[str] = []
    pictures: dict[tuple[Path, ...], str] = {}
    for split in dict.fromkeys(splits or (None,)):
        dataset = load_dataset(flags.dataset, flags.source_format, split=split)
        paths = tuple(sample.path for sample in dataset.samples)
        if paths in pictures:
            notes.append(f"{split} left out, which has the pictures of {pictures[paths]}")
            continue
        name = split or _split_of(dataset)
        pictures[paths] = name
        parts[name] = dataset
    return parts, notes


def _split_of(dataset: Dataset) -> str:
    """A ``val.json`` given alone remains the split "val"; empty where the name says nothing."""
    word = dataset.name.rpartition("/")[2]
    return word if word in SPLITS else ""


def _summary(flags: Convert, parts: Mapping[str, Dataset]) -> dict[str, Any]:
    """What there is to write; YOLO leaves out what is ignored, and says so."""
    marked = [sample.annotations.ignore for dataset in parts.values() for sample in dataset.samples]
    ignored = sum(int(ignore.sum()) for ignore in marked)
    return {
        "out": str(flags.out),
        "format": flags.to,
        "pictures": len(marked),
        "objects": sum(map(len, marked)) - ignored,
        "ignored": ignored,
        "classes": list(
            dict.fromkeys(name for dataset in parts.values() for name in dataset.class_names)
        ),
    }
