"""VisDrone-DET: ``images/*.jpg``, and a text file a picture in ``annotations``.

A line is ``x,y,width,height,score,category,truncation,occlusion``. Category 0 is a region to be
ignored and 11 is "others", which the benchmark does not score: both belong to no class. Score 0
marks an object that is ignored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foveate.data.formats.common import (
    REGION,
    annotations_with_regions,
    dataset_name,
    numbered_lines,
    numbers_of,
    pictures_by_stem,
    require_boxes,
    split_folder,
)
from foveate.data.images import image_size
from foveate.errors import FoveateError
from foveate.structures import Annotations, Dataset, Sample

CLASS_NAMES = (
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
)
"""Categories 1 to 10."""

_OTHERS = len(CLASS_NAMES) + 1


def read_visdrone(path: Path, image_root: Path | None = None, split: str | None = None) -> Dataset:
    """Read a VisDrone-DET folder.

    Args:
        path: The folder that holds ``annotations`` and ``images``, or one with several such.
        image_root: Folder of the pictures, instead of ``images``.
        split: Which of several folders, by the end of its name: "val" takes
            ``VisDrone2019-DET-val``.

    Returns:
        The ten classes with their ids of VisDrone; image ids count from 1 in the order of the
        file names. Regions to be ignored are one ignored box of every class.

    Raises:
        FoveateError: If files are missing, or a label is wrong: named by file and line.
    """
    folder = split_folder(path, split, _holds_labels, "annotations/*.txt")
    files = sorted((folder / "annotations").glob("*.txt"))
    root = image_root or folder / "images"
    pictures = pictures_by_stem(root)
    samples = []
    for number, file in enumerate(files, 1):
        if file.stem not in pictures:
            raise FoveateError(f"{file}: no picture {file.stem}.* in {root}")
        picture = pictures[file.stem]
        size = image_size(picture)
        samples.append(Sample(picture, number, *size, _read_labels(file, size)))
    category_ids = tuple(range(1, _OTHERS))
    return Dataset(dataset_name(folder), CLASS_NAMES, category_ids, tuple(samples))


def _holds_labels(folder: Path) -> bool:
    return next((folder / "annotations").glob("*.txt"), None) is not None


def _read_labels(file: Path, size: tuple[int, int]) -> Annotations:
    lines = numbered_lines(file)
    rows = [_parse(f"{file}, line {number}", line) for number, line in lines]
    table = np.array(rows, np.float64).reshape(-1, 6)
    boxes = table[:, :4]
    boxes[:, 2:] += boxes[:, :2]
    require_boxes(boxes, lambda row: f"{file}, line {lines[row][0]}")
    categories = table[:, 5].astype(np.int64)
    none = (categories == 0) | (categories == _OTHERS)
    labels = np.where(none, REGION, categories - 1)
    return annotations_with_regions(boxes, labels, table[:, 4] == 0, size, len(CLASS_NAMES))


def _parse(where: str, line: str) -> list[float]:
    """Corner, size, score and category of one line."""
    words = line.rstrip(", ").split(",")  # some files end their lines with a comma
    if len(words) != 8:
        raise FoveateError(f"{where}: expected 8 values with commas, got {len(words)}")
    values = numbers_of(where, words)
    if values[4] not in (0, 1):
        raise FoveateError(
            f"{where}: score must be 0 (ignored) or 1 in a label file, got {words[4]}"
        )
    if values[5] not in range(_OTHERS + 1):
        raise FoveateError(f"{where}: category must be 0 to {_OTHERS}, got {words[5]}")
    return values[:6]
