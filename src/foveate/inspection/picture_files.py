"""What is wrong with the picture files of a data set, from their names and headers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np

from foveate.data.images import PICTURE_ENDINGS, image_size
from foveate.errors import FoveateError
from foveate.inspection.findings import MOST_EXAMPLES, Finding, by_severity, plural
from foveate.structures import Dataset, Sample

T = TypeVar("T")
R = TypeVar("R")

OnProgress: TypeAlias = Callable[[int, int], None]
"""Told how many pictures are done, of how many."""

MOST_FILES = 5000
_READERS = 8  # threads: they wait for the disk more than they work


def check_files(
    dataset: Dataset,
    others: Sequence[Dataset] = (),
    most_files: int = MOST_FILES,
    on_progress: OnProgress | None = None,
) -> list[Finding]:
    """Look for pictures that are missing, unlabelled, unreadable or of another size.

    Of each picture file no more than its header is read. Pictures cut from one file (several
    entries of one name, as tiles have) are not compared with its size. Frames of videos and
    formats that only rasters come in are not looked at.

    Args:
        dataset: The labels.
        others: The other parts of the data set: pictures that they mention are not unlabelled.
        most_files: Most headers read; of more pictures, that many spread evenly are.
        on_progress: Told of the headers read.

    Returns:
        Errors first, then warnings, then notes; empty if nothing is wrong.
    """
    times = Counter(sample.path for sample in dataset.samples)
    pictures = [path for path in times if is_picture(path)]
    findings = _other_kinds(dataset, [path for path in times if not is_picture(path)])
    listed = {folder: _pictures_in(folder) for folder in {path.parent for path in pictures}}
    # A file system may not care for upper and lower case.
    missing = {path for path in pictures if path not in listed[path.parent] and not path.is_file()}
    findings += _missing(dataset, pictures, missing)
    there = [path for path in pictures if path not in missing]
    if there:
        findings += _unlabelled(dataset, listed, [dataset, *others])
    chosen = _spread(there, most_files)
    if len(chosen) < len(there):
        findings.append(
            Finding(
                "files-not-all-read",
                "note",
                len(there) - len(chosen),
                f"{len(chosen):,} of {plural(len(there), 'picture file')} were looked into, "
                "spread evenly",
            )
        )
    sizes = in_threads(_size_or_reason, chosen, on_progress)
    found = dict(zip(chosen, sizes, strict=True))
    return by_severity([*findings, *_unreadable(found), *_other_sizes(dataset, found, times)])


def is_picture(path: Path) -> bool:
    """Whether its name says that a file is a picture which can be read whole."""
    return path.suffix.lower() in PICTURE_ENDINGS


def in_threads(
    work: Callable[[T], R], items: Sequence[T], on_progress: OnProgress | None = None
) -> list[R]:
    """``work(item)`` of each item, in their order; `on_progress` is told in the calling thread."""
    done = []
    with ThreadPoolExecutor(_READERS, "foveate-inspect") as readers:
        try:
            for result in readers.map(work, items):
                done.append(result)
                if on_progress is not None:
                    on_progress(len(done), len(items))
        except BaseException:  # Ctrl-C too: what has not begun is not waited for
            readers.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def _size_or_reason(path: Path) -> tuple[int, int] | str:
    try:
        return image_size(path)
    except (FoveateError, OSError, MemoryError) as error:
        return str(error).removeprefix(f"{path} ")


def _pictures_in(folder: Path) -> set[Path]:
    try:
        return {path for path in folder.iterdir() if is_picture(path) and path.name[0] != "."}
    except OSError:
        return set()


def _spread(paths: list[Path], most: int) -> list[Path]:
    """At most that many, from the first to the last."""
    rows = np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int)
    return [paths[row] for row in rows.tolist()]


def _other_kinds(dataset: Dataset, paths: list[Path]) -> list[Finding]:
    if not paths:
        return []
    endings = " ".join(sorted({path.suffix or path.name for path in paths})[:MOST_EXAMPLES])
    entries = sum(not is_picture(sample.path) for sample in dataset.samples)
    return [
        Finding(
            "not-picture-files",
            "note",
            len(paths),
            f"{plural(entries, 'entry', 'entries')} of {len(dataset):,} lie in "
            f"{plural(len(paths), 'file')} that are no plain pictures ({endings}), such as videos: "
            "their pixels were not looked at; take the frames out as pictures to have them checked",
            tuple(path.name for path in paths[:MOST_EXAMPLES]),
        )
    ]


def _missing(dataset: Dataset, pictures: list[Path], missing: set[Path]) -> list[Finding]:
    if not missing:
        return []
    named = [path for path in pictures if path in missing]
    if len(missing) == len(pictures):
        what = (
            f"none of the {plural(len(pictures), 'picture')} of {dataset.name} is there: bring "
            "them to where they are looked for, or inspect the labels alone (--labels-only)"
        )
    else:
        what = (
            f"{len(missing):,} of {plural(len(pictures), 'picture')} of {dataset.name} "
            "missing: bring them back, or take their labels out"
        )
    examples = tuple(str(path) for path in named[:MOST_EXAMPLES])
    return [Finding("picture-missing", "error", len(missing), what, examples)]


def _unlabelled(
    dataset: Dataset, listed: dict[Path, set[Path]], mentioning: Iterable[Dataset]
) -> list[Finding]:
    mentioned = {sample.path for part in mentioning for sample in part.samples}
    unknown = sorted(set().union(*listed.values()) - mentioned)
    if not unknown:
        return []
    return [
        Finding(
            "picture-not-in-labels",
            "note",
            len(unknown),
            f"{plural(len(unknown), 'picture')} beside those of {dataset.name} in no labels "
            "that were given: of another part, or forgotten",
            tuple(path.name for path in unknown[:MOST_EXAMPLES]),
        )
    ]


def _unreadable(found: dict[Path, tuple[int, int] | str]) -> list[Finding]:
    broken = [(path, said) for path, said in found.items() if isinstance(said, str)]
    if not broken:
        return []
    return [
        Finding(
            "picture-unreadable",
            "error",
            len(broken),
            f"{plural(len(broken), 'picture')} cannot be read: replace them, or take them out",
            tuple(f"{path.name} {said}" for path, said in broken[:MOST_EXAMPLES]),
        )
    ]


def _other_sizes(
    dataset: Dataset, found: dict[Path, tuple[int, int] | str], times: Counter[Path]
) -> list[Finding]:
    wrong = [
        (sample, size)
        for sample in dataset.samples
        if times[sample.path] == 1
        and not isinstance(size := found.get(sample.path, ""), str)
        and size != (sample.width, sample.height)
    ]
    if not wrong:
        return []
    turned = sum(size == (sample.height, sample.width) for sample, size in wrong)
    hint = f" ({turned:,} turned: labels made without Exif)" if turned else ""
    return [
        Finding(
            "picture-size-differs",
            "error",
            len(wrong),
            f"{plural(len(wrong), 'picture')} of another size than the labels say{hint}: "
            "the boxes may be out of place; correct the sizes or the boxes",
            tuple(_sizes(sample, size) for sample, size in wrong[:MOST_EXAMPLES]),
        )
    ]


def _sizes(sample: Sample, size: tuple[int, int]) -> str:
    return f"{sample.path.name}: {size[0]} x {size[1]}, labels say {sample.width} x {sample.height}"
