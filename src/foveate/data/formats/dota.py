"""DOTA: pictures in ``images``, and a text file a picture in ``labelTxt``.

A line is ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``: the corners of a turned box, of which the
enclosing box is taken. Lines such as ``imagesource:GoogleEarth`` and ``gsd:0.14`` may stand before.

Read here and not through `hotcoco.COCO.from_dota` (1.3), which reads no picture's size without
Pillow and knows no splits; its writer leaves out every box that is not turned.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from foveate.data.formats.common import (
    Boxes,
    annotations_of,
    dataset_name,
    numbered_lines,
    numbers_of,
    pictures_by_stem,
    require_boxes,
    split_folder,
)
from foveate.data.images import image_size
from foveate.errors import FoveateError
from foveate.structures import Dataset, Sample

_LOOKED_AT = 20
"""Label files that tell DOTA from YOLO; most of them have an object."""


def read_dota(path: Path, image_root: Path | None = None, split: str | None = None) -> Dataset:
    """Read a DOTA folder.

    Args:
        path: The folder that holds ``labelTxt`` (or ``labelTxt-v1.5`` and the like, or
            ``labels``) and ``images``; one that holds ``train`` and ``val`` with these; or the
            folder of labels itself.
        image_root: Folder of the pictures, instead of ``images`` or the folder itself.
        split: Which of ``train``, ``val`` and so on.

    Returns:
        Image ids count from 1 in the order of the file names. Classes are the names found in the
        split, sorted. Difficult objects are ignored.

    Raises:
        FoveateError: If files are missing, or a label is wrong: named by file and line.
    """
    if _is_label_folder(path) and path.is_dir():
        folder, labels = path.parent, path
    else:
        folder = split_folder(path, split, lambda inner: bool(_label_folders(inner)), "labelTxt")
        labels = _one_of(folder)
    files = sorted(labels.rglob("*.txt"))
    if not files:
        raise FoveateError(f"{labels} holds no *.txt")
    found = {file: _read_labels(file) for file in files}
    names = tuple(sorted({name for _, words, _ in found.values() for name in words}))
    if not names:
        raise FoveateError(f"none of the {len(files)} files in {labels} has an object")
    index = {name: number for number, name in enumerate(names)}
    root = image_root or (folder / "images" if (folder / "images").is_dir() else folder)
    pictures = pictures_by_stem(root)
    samples = []
    for number, (file, (boxes, words, difficult)) in enumerate(found.items(), 1):
        if file.stem not in pictures:
            raise FoveateError(f"{file}: no picture {file.stem}.* in {root}")
        width, height = image_size(pictures[file.stem])
        classes = np.array([index[name] for name in words], np.int64)
        sizes = np.array([[width, height]], np.float64)
        objects = annotations_of(boxes, classes, np.array(difficult, np.bool_), sizes)
        samples.append(Sample(pictures[file.stem], number, width, height, objects))
    category_ids = tuple(range(1, len(names) + 1))
    return Dataset(dataset_name(folder), names, category_ids, tuple(samples))


def holds_dota(folder: Path) -> bool:
    """Whether the label files in a folder are DOTA's: a name after eight numbers."""
    for file in islice(folder.rglob("*.txt"), _LOOKED_AT):
        try:
            lines = _object_lines(file)
            for _, words in islice(lines, 1):
                numbers_of("", words[:8])
                return len(words) in (9, 10) and not _is_number(words[8])
        except FoveateError:
            return False
    return False


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_label_folder(folder: Path) -> bool:
    return folder.name.lower().startswith("labeltxt")


def _label_folders(folder: Path) -> list[Path]:
    inner = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    named = [entry for entry in inner if _is_label_folder(entry)]
    return named or [entry for entry in inner if entry.name == "labels" and holds_dota(entry)]


def _one_of(folder: Path) -> Path:
    folders = _label_folders(folder)
    if len(folders) > 1:
        choices = ", ".join(str(choice) for choice in folders[:8])
        raise FoveateError(f"{folder} holds several folders of labels; choose one of: {choices}")
    return folders[0]


def _object_lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Place and words of each line but the head's."""
    head = True
    for number, line in numbered_lines(file):
        head = head and line.lower().startswith(("imagesource", "gsd"))
        if not head:
            yield f"{file}, line {number}", line.split()


def _read_labels(file: Path) -> tuple[Boxes, list[str], list[bool]]:
    """Enclosing boxes, class names, and which are difficult."""
    places, names, difficult, corners = [], [], [], []
    for where, words in _object_lines(file):
        if len(words) not in (9, 10):
            raise FoveateError(
                f"{where}: expected 8 numbers, category and difficult, got {len(words)} values"
            )
        corners.append(numbers_of(where, words[:8]))
        # 2 stands for objects that are harder still.
        if len(words) == 10 and words[9] not in ("0", "1", "2"):
            raise FoveateError(f"{where}: difficult must be 0 or 1, got {words[9]}")
        difficult.append(len(words) == 10 and words[9] != "0")
        names.append(words[8])
        places.append(where)
    points = np.array(corners, np.float64).reshape(-1, 4, 2)
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)  # (N, 4)
    require_boxes(boxes, lambda row: places[row])
    return boxes, names, difficult
