r"""YOLO labels: one text file a picture, one line an object.

A line is ``class cx cy width height``, relative to the picture, or ``class x1 y1 x2 y2 x3 y3 ...``,
a polygon or turned box, of which the enclosing box is taken. The label of ``images/a/b.jpg`` is
``labels/a/b.txt``; without an ``images`` folder it lies beside the picture. A picture without a
label file has no objects.

Read here and not through `hotcoco.COCO.from_yolo` (1.3), which wants ``data.yaml`` inside the
folder of labels, knows no splits, loses the pictures' endings and lets NaN pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from foveate.config import read_yaml
from foveate.data.files import read_text
from foveate.data.formats.common import SPLITS, annotations_of, dataset_name, require_boxes
from foveate.data.images import find_images, image_size
from foveate.errors import FoveateError, UsageError
from foveate.structures import Annotations, Dataset, Sample

_BEYOND = 0.01  # rounding, and boxes drawn a little over the edge


def read_yolo(path: Path, image_root: Path | None = None, split: str | None = None) -> Dataset:
    """Read a YOLO data set.

    Args:
        path: ``data.yaml``; a folder with one; or a folder of pictures, or with ``images`` in
            it, whose labels lie where the convention puts them.
        image_root: Replaces `path` in ``data.yaml``.
        split: Key of ``data.yaml``, or folder in ``images``: "train", "val" or "test". Without
            it, the first there is of val, test and train.

    Returns:
        Image ids count from 1 in natural order of the pictures; category ids are class + 1.

    Raises:
        FoveateError: If files or keys are missing, or a label is wrong: named by file and line.
    """
    settings = find_yaml(path)
    if settings is not None:
        name, names, images = _from_yaml(settings, image_root, split)
    elif image_root is not None:
        raise UsageError(f"{path}: an image root goes with a data.yaml; give the folder itself")
    else:
        folder = _split_folder(path, split)
        images, names = find_images(folder, nested=True), _names_near(path)
        name = dataset_name(folder)
    return _dataset(name, names, images)


def _dataset(name: str, names: tuple[str, ...], images: list[Path]) -> Dataset:
    labels = [label_path(image) for image in images]
    if not any(label.is_file() for label in labels):
        raise FoveateError(f"{name}: no label files: looked for {labels[0]} and its like")
    samples = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True), 1):
        width, height = image_size(image)
        objects = read_labels(label, width, height, len(names) or None)
        samples.append(Sample(image, number, width, height, objects))
    if not names:
        largest = max(int(sample.annotations.labels.max(initial=-1)) for sample in samples)
        names = tuple(f"class {index}" for index in range(largest + 1))
    return Dataset(name, names, tuple(range(1, len(names) + 1)), tuple(samples))


def label_path(image: Path) -> Path:
    """Where the convention puts a picture's label file."""
    parts = list(image.with_suffix(".txt").parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts)


def read_labels(path: Path, width: int, height: int, classes: int | None) -> Annotations:
    """Read one label file; a missing one means no objects.

    Args:
        path: The text file.
        width: Of its picture, pixels.
        height: Of its picture, pixels.
        classes: How many classes there are, if known.

    Raises:
        FoveateError: For the first wrong line, named.
    """
    if not path.is_file():
        return Annotations.empty()
    lines = [(number, line.split()) for number, line in enumerate(read_text(path).splitlines(), 1)]
    lines = [(number, words) for number, words in lines if words]
    rows = [_parse(f"{path}, line {number}", words, classes) for number, words in lines]
    table = np.array(rows, np.float64).reshape(-1, 5)
    boxes = table[:, 1:] * np.array([width, height, width, height])
    require_boxes(boxes, lambda row: f"{path}, line {lines[row][0]}")
    none = np.zeros(len(boxes), bool)
    sizes = np.array([[width, height]], np.float64)
    return annotations_of(boxes, table[:, 0].astype(np.int64), none, sizes)


def _parse(where: str, words: list[str], classes: int | None) -> tuple[float, ...]:
    """Class and relative corners of one line."""
    try:
        label, *values = [float(word) for word in words]
    except ValueError:
        raise FoveateError(f"{where}: expected numbers, got {' '.join(words)[:60]!r}") from None
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise FoveateError(
            f"{where}: expected class, cx, cy, width, height (or class and a polygon), "
            f"got {len(words)} values"
        )
    if not label.is_integer() or label < 0:
        raise FoveateError(f"{where}: expected a class number from 0, got {words[0]}")
    if classes is not None and label >= classes:
        raise FoveateError(f"{where}: class {words[0]}, but there are only {classes} (from 0)")
    if not all(-_BEYOND <= value <= 1 + _BEYOND for value in values):
        raise FoveateError(
            f"{where}: values must be relative to the picture, from 0 to 1, "
            f"got {' '.join(words[1:])[:60]}"
        )
    if len(values) > 4:
        xs, ys = values[::2], values[1::2]
        return label, min(xs), min(ys), max(xs), max(ys)
    cx, cy, width, height = values
    return label, cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2


def find_yaml(path: Path) -> Path | None:
    """The settings file that `path` is or holds."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return path
    if not path.is_dir():
        raise FoveateError(f"{path} is neither a data.yaml nor a folder")
    found = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    preferred = [file for file in found if file.stem == "data"] or found
    if len(preferred) > 1:
        choices = ", ".join(file.name for file in preferred[:8])
        raise FoveateError(f"{path} holds several YAML files; choose one of: {choices}")
    return preferred[0] if preferred else None


def _from_yaml(
    path: Path, image_root: Path | None, split: str | None
) -> tuple[str, tuple[str, ...], list[Path]]:
    """Name, class names and pictures of one split of a settings file."""
    settings = read_yaml(path)
    if not isinstance(settings, dict):
        raise FoveateError(f"{path}: expected key: value pairs (train, val, names)")
    there = [key for key in SPLITS if settings.get(key)]
    if split is None and not there:
        raise FoveateError(f"{path}: neither train, val nor test in it")
    chosen = split or there[0]
    if not settings.get(chosen):
        raise FoveateError(f"{path}: no {chosen!r} in it; it has {', '.join(there) or 'no split'}")
    images = _listed_images(path, settings, chosen, image_root)
    return dataset_name(path.parent, chosen), _names(path, settings.get("names")), images


def _listed_images(
    path: Path, settings: dict[str, Any], split: str, image_root: Path | None
) -> list[Path]:
    root = image_root or path.parent / str(settings.get("path") or "")
    if image_root is None and not root.exists():
        root = path.parent  # written for the folder of another machine
    entries = settings[split]
    images: list[Path] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        source = root / str(entry)
        if not source.exists():  # Roboflow writes ../train/images for train/images
            source = root / str(entry).removeprefix("../")
        if not source.exists():
            raise FoveateError(f"{path}: {split}: {root / str(entry)} does not exist")
        if source.suffix.lower() == ".txt":
            lines = read_text(source).splitlines()
            images += [source.parent / line.strip() for line in lines if line.strip()]
        else:
            images += find_images(source, nested=True)
    if not images:
        raise FoveateError(f"{path}: {split}: no pictures in {settings[split]}")
    return images


def _names(path: Path, names: Any) -> tuple[str, ...]:
    if isinstance(names, dict):
        keys = list(range(len(names)))
        if sorted(names, key=str) != sorted(keys, key=str):
            raise FoveateError(f"{path}: names must be numbered 0 to {len(names) - 1}")
        names = [names[key] for key in keys]
    if not isinstance(names, list) or not names:
        raise FoveateError(f"{path}: no class names; add names: [first, second, ...]")
    return tuple(str(name) for name in names)


def _names_near(path: Path) -> tuple[str, ...]:
    """Class names from ``classes.txt`` or ``data.yaml`` in the folder or just above, else none."""
    for folder in (path, *path.resolve().parents[:2]):
        if (folder / "classes.txt").is_file():
            lines = read_text(folder / "classes.txt").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
        if (folder / "data.yaml").is_file():
            settings = read_yaml(folder / "data.yaml")
            names = settings.get("names") if isinstance(settings, dict) else None
            return _names(folder / "data.yaml", names)
    return ()


def _split_folder(path: Path, split: str | None) -> Path:
    """The folder of pictures that `path` and `split` mean."""
    images = path / "images" if (path / "images").is_dir() else path
    for name in (split,) if split else SPLITS:
        for folder in (images / name, path / name / "images"):
            if folder.is_dir():
                return folder
    if split:
        raise FoveateError(f"{path} has no folder images/{split}")
    return images
