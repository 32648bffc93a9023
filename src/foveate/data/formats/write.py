"""Write a labelled data set: a new folder that appears whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from uuid import uuid4

from foveate.data.files import reason_of
from foveate.data.formats.splits import with_same_classes
from foveate.data.formats.writers import WRITERS, Parts, Writer
from foveate.data.images import image_size
from foveate.errors import FoveateError, UsageError
from foveate.structures import Dataset

Pictures: TypeAlias = Literal["copy", "link", "none"]
"""Copy the pictures, link to where they are, or write the labels alone."""


def write_dataset(
    parts: Mapping[str, Dataset],
    out: str | Path,
    format: str,
    images: Pictures = "copy",
    step: Callable[[], None] = lambda: None,
) -> list[str]:
    """Write a data set in another format, to be read by `load_dataset`.

    Pictures of one name get numbers: ``a.jpg``, ``a-2.jpg``. Where splits differ in their classes,
    each gets all of them.

    Args:
        parts: Data set of each split; the name is empty where there is one without a name.
        out: A folder that does not exist yet, or is empty.
        format: A key of `WRITERS`.
        images: What becomes of the pictures.
        step: Called after each picture.

    Returns:
        What the format cannot carry and what was changed, a phrase each.

    Raises:
        UsageError: If `format`, `images` or a split's name is none.
        FoveateError: If `out` is in use, a picture is missing or of another size than its labels
            say, a name cannot be written, or the disk fails; nothing is left behind then.
    """
    _require_known(format, images, parts)
    target = Path(out).resolve()
    _require_free(target, out)
    parts = with_same_classes(parts)
    if images != "none":
        _require_pictures(parts)
    named, renamed = _named(parts)
    staging = target.parent / f".{target.name}.{uuid4().hex[:8]}"
    try:
        staging.mkdir(parents=True)
        _write(staging, WRITERS[format], named)
        for split, dataset in parts.items():
            folder = staging / WRITERS[format].pictures(split)
            for sample, as_written in zip(dataset.samples, named[split].samples, strict=True):
                _place(sample.path, folder / as_written.path, images)
                step()
        if target.exists():
            target.rmdir()
        staging.rename(target)
    except OSError as error:
        raise FoveateError(f"{out} cannot be written: {reason_of(error)}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    changed = f"pictures renamed because their names were taken: {renamed}"
    return WRITERS[format].lost(named) + ([changed] if renamed else [])


def _require_known(format: str, images: str, parts: Parts) -> None:
    if format not in WRITERS:
        raise UsageError(f"cannot write the format {format!r}; choose from {', '.join(WRITERS)}")
    if images not in get_args(Pictures):
        raise UsageError(f"images must be one of {', '.join(get_args(Pictures))}, got {images!r}")
    if not parts:
        raise UsageError("no split to write")
    for split in parts:
        if split != Path(split).name or "\\" in split or split == "..":
            raise UsageError(f"a split becomes the name of a folder, which {split!r} cannot be")


def _require_free(target: Path, out: str | Path) -> None:
    try:
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise FoveateError(f"{out} cannot be written: {reason_of(error)}") from None
    if taken or target == Path.cwd():
        state = "there already, and not empty" if taken else "the folder you are in"
        raise FoveateError(f"{out} is {state}; give the name of a new folder")


def _require_pictures(parts: Parts) -> None:
    """See, before anything is written, that every picture is there and its labels fit it."""
    for dataset in parts.values():
        for sample in dataset.samples:
            try:
                width, height = image_size(sample.path)
            except FoveateError as error:
                raise FoveateError(f"{error} (--images none writes the labels alone)") from None
            if (width, height) != (sample.width, sample.height):
                raise FoveateError(
                    f"{sample.path} is {width} x {height} and its labels are for "
                    f"{sample.width} x {sample.height} (--images none writes the labels alone)"
                )


def _named(parts: Parts) -> tuple[dict[str, Dataset], int]:
    """The splits with file names that no two pictures share, and how many are new."""
    paths = [sample.path for dataset in parts.values() for sample in dataset.samples]
    names = _free_names(paths)
    renamed = sum(path.name != name for path, name in zip(paths, names, strict=True))
    remaining = iter(names)
    named = {
        split: replace(
            dataset,
            samples=tuple(replace(s, path=Path(next(remaining))) for s in dataset.samples),
        )
        for split, dataset in parts.items()
    }
    return named, renamed


def _free_names(paths: Sequence[Path]) -> list[str]:
    """File names whose stems differ, in any case: a label file has the stem alone."""
    taken = {path.stem.lower() for path in paths}
    seen: set[str] = set()
    numbers: dict[str, int] = {}
    names = []
    for path in paths:
        stem = path.stem
        if stem.lower() in seen:
            # Counting goes on where it ended: thousands may share one name.
            number = numbers.get(stem.lower(), 2)
            while f"{stem}-{number}".lower() in taken:
                number += 1
            numbers[stem.lower()] = number + 1
            stem = f"{stem}-{number}"
        seen.add(stem.lower())
        taken.add(stem.lower())
        names.append(stem + path.suffix)
    return names


def _write(staging: Path, writer: Writer, parts: Parts) -> None:
    for name, content in writer.files(parts):
        path = staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _place(source: Path, path: Path, images: Pictures) -> None:
    if images == "none":
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if images == "copy":
        shutil.copyfile(source, path)
    else:
        path.symlink_to(source.resolve())
