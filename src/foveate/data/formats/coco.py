"""COCO JSON: the format with the fewest surprises, and the one foveate scores in.

Read by our own columns and not through `hotcoco.COCO`: errors here name the annotation and the
field, and half a million annotations cost one sort, not one object each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.data.files import read_json
from foveate.data.formats.common import (
    Boxes,
    annotations_of,
    dataset_name,
    one_line,
    require_boxes,
)
from foveate.data.images import image_size
from foveate.errors import FoveateError
from foveate.structures import Annotations, BoolArray, Dataset, IntArray, Sample

_TINYPERSON = {"ignore", "uncertain", "logo", "in_dense_image"}
"""What every annotation of TinyPerson has besides COCO's fields."""


def read_coco(path: Path, image_root: Path | None = None, split: str | None = None) -> Dataset:
    """Read a COCO JSON file, or a folder that holds one.

    Classes are ordered by category id, so that files of one data set agree. `iscrowd` and
    `ignore` make an annotation ignored; so does a box that nothing can find: one without width
    or height, or wholly outside its picture. Boxes that stick out are kept as labelled. Size is
    that of the box, not COCO's `area`, which may be a mask's. TinyPerson's files are told by
    their extra fields, of which `uncertain` and `logo` ignore an annotation too.

    Args:
        path: The JSON file, or a folder with JSON files in it or in its ``annotations`` folder.
        image_root: Folder that `file_name` starts from. Without it, the first of ``images``
            beside the file, the file's folder, and the like one level up, that has the pictures.
            They need not exist: labels alone can be inspected and scored.
        split: Which file of a folder, by its name: "val" takes ``val.json``.

    Raises:
        FoveateError: If the file is not COCO, or an entry is wrong: named by id and field.
    """
    path = choose_json(path, split) if path.is_dir() else path
    content = _tables(path)
    names, category_ids = _categories(path, content["categories"])
    images = content["images"]
    image_ids = _integers(path, "images", images, "id")
    _require_unique(path, "images", image_ids)
    root = _image_root(path, images, image_root)
    pictures = [_picture(path, row, root) for row in images]
    sizes = np.array([size for _, size in pictures], np.float64).reshape(-1, 2)
    annotations = _grouped(path, content["annotations"], image_ids, category_ids, sizes)
    samples = tuple(
        Sample(file, image_id, width, height, objects)
        for (file, (width, height)), image_id, objects in zip(
            pictures, image_ids.tolist(), annotations, strict=True
        )
    )
    return Dataset(
        name=dataset_name(path.parent, path.stem),
        class_names=names,
        category_ids=category_ids,
        samples=samples,
        licence=_licence(content),
        description=one_line(content["info"].get("description")),
    )


def to_coco(dataset: Dataset) -> dict[str, Any]:
    """The data set as COCO's dictionary: ground truth for evaluation, or to be saved.

    Args:
        dataset: Boxes stay as they are; `ignore` becomes `iscrowd`; `area` is the box's.

    Returns:
        `images`, `annotations` (ids from 1, in the order of the samples) and `categories`.
    """
    counts = [len(sample.annotations) for sample in dataset.samples]
    parts = [sample.annotations for sample in dataset.samples] or [Annotations.empty()]
    boxes = np.concatenate([part.boxes for part in parts]).astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    columns = zip(
        np.repeat([sample.image_id for sample in dataset.samples], counts).tolist(),
        np.array(dataset.category_ids, np.int64)[
            np.concatenate([p.labels for p in parts])
        ].tolist(),
        boxes.tolist(),
        (boxes[:, 2] * boxes[:, 3]).tolist(),
        np.concatenate([part.ignore for part in parts]).astype(int).tolist(),
        strict=True,
    )
    keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    return {
        "info": {"description": dataset.description, "license": dataset.licence},
        "images": [
            {
                "id": sample.image_id,
                "file_name": sample.path.name,
                "width": sample.width,
                "height": sample.height,
            }
            for sample in dataset.samples
        ],
        "annotations": [
            dict(zip(keys, (number, *row), strict=True)) for number, row in enumerate(columns, 1)
        ],
        "categories": [
            {"id": category_id, "name": name}
            for category_id, name in zip(dataset.category_ids, dataset.class_names, strict=True)
        ],
    }


def choose_json(folder: Path, split: str | None) -> Path:
    """The one COCO file meant by a folder.

    Raises:
        FoveateError: If there is none, or several and `split` does not choose.
    """
    files = sorted([*folder.glob("*.json"), *folder.glob("annotations/*.json")])
    named = [file for file in files if split is None or split in (file.stem, _last_word(file))]
    if len(named) == 1:
        return named[0]
    if not files:
        raise FoveateError(f"{folder} holds no COCO JSON file")
    choices = ", ".join(str(file.relative_to(folder)) for file in files[:8])
    wanted = f" named {split!r}" if split and not named else ""
    raise FoveateError(f"{folder} holds no single file{wanted}; choose one of: {choices}")


def _last_word(file: Path) -> str:
    """``val2017`` of ``instances_val2017``."""
    return file.stem.rsplit("_", 1)[-1]


def _tables(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if isinstance(content, list):
        raise FoveateError(
            f"{path} is a list, as predictions are; a data set is an object with images, "
            "annotations and categories"
        )
    if not isinstance(content, dict):
        raise FoveateError(f"{path} is no COCO file: its top level is no object")
    for key in ("images", "annotations", "categories"):
        rows = content.get(key)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            state = "missing" if rows is None else "not a list of objects"
            raise FoveateError(f"{path} is no COCO data set: {key!r} is {state}")
    for key in ("images", "categories"):
        if not content[key]:
            raise FoveateError(f"{path} has no {key}")
    info = content.get("info")
    return {**content, "info": info if isinstance(info, dict) else {}}


def _categories(path: Path, rows: list[Any]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    ids = _integers(path, "categories", rows, "id")
    _require_unique(path, "categories", ids)
    order = np.argsort(ids)
    names = [rows[index].get("name") for index in order]
    for category_id, name in zip(ids[order].tolist(), names, strict=True):
        if not isinstance(name, str) or not name:
            raise FoveateError(f"{path}: category {category_id} has no name")
    return tuple(names), tuple(ids[order].tolist())


def _picture(path: Path, row: dict[str, Any], root: Path) -> tuple[Path, tuple[int, int]]:
    name = row.get("file_name")
    if not isinstance(name, str) or not name:
        raise FoveateError(f"{path}: image {row['id']} has no file_name")
    file = root / name.replace("\\", "/")
    width, height = row.get("width"), row.get("height")
    if not width and not height:
        return file, image_size(file)
    if not isinstance(width, int) or not isinstance(height, int) or width < 1 or height < 1:
        raise FoveateError(
            f"{path}: image {row['id']}: width and height must be whole numbers from 1, "
            f"got {width!r} and {height!r}"
        )
    return file, (width, height)


def _image_root(path: Path, images: list[Any], image_root: Path | None) -> Path:
    first = str(images[0].get("file_name")).replace("\\", "/")
    if image_root is not None:
        if not (image_root / first).exists():
            raise FoveateError(f"{path}: its first picture, {first}, is not in {image_root}")
        return image_root
    beside, above, split = path.parent, path.parent.parent, path.stem.rsplit("_", 1)[-1]
    candidates = [
        beside / "images",
        beside,
        beside / "images" / split,
        beside / split,
        above / "images",
        above,
        above / "images" / split,
        above / split,
    ]
    has_first = (folder for folder in candidates if (folder / first).is_file())
    return next(has_first, candidates[0])


def _grouped(
    path: Path,
    rows: list[Any],
    image_ids: IntArray,
    category_ids: tuple[int, ...],
    sizes: NDArray[np.float64],
) -> list[Annotations]:
    """One `Annotations` an image, its rows in the file's order."""

    def name(row: int) -> str:
        return f"{path}: annotation {rows[row].get('id', f'number {row + 1}')}"

    image_index = _positions(path, rows, "image_id", image_ids, "images")
    categories = np.array(category_ids, np.int64)
    labels = _positions(path, rows, "category_id", categories, "categories")
    boxes = _boxes(path, rows)
    with np.errstate(invalid="ignore", over="ignore"):  # refused by name just below
        boxes[:, 2:] += boxes[:, :2]
    require_boxes(boxes, name)
    order = np.argsort(image_index, kind="stable")
    boxes, labels, image_index = boxes[order], labels[order], image_index[order]
    marked = _marked(rows)[order]
    objects = annotations_of(boxes, labels, marked, sizes[image_index])
    bounds = np.searchsorted(image_index, np.arange(len(image_ids) + 1)).tolist()
    return [
        Annotations(objects.boxes[a:b], objects.labels[a:b], objects.ignore[a:b])
        for a, b in pairwise(bounds)
    ]


def _marked(rows: list[Any]) -> BoolArray:
    """Which rows the file marks to be ignored."""
    marks = ["iscrowd", "ignore"]
    if rows and rows[0].keys() >= _TINYPERSON:
        marks += ["uncertain", "logo"]
    return np.fromiter((any(row.get(mark) for mark in marks) for row in rows), np.bool_, len(rows))


def _boxes(path: Path, rows: list[Any]) -> Boxes:
    try:
        boxes = np.array([row["bbox"] for row in rows])
    except (KeyError, TypeError, ValueError):
        boxes = np.zeros((0, 0))
    # NumPy would make numbers of texts, too.
    if not rows or (boxes.shape == (len(rows), 4) and boxes.dtype.kind in "iuf"):
        return boxes.astype(np.float64).reshape(-1, 4)
    for number, row in enumerate(rows, 1):
        box = row.get("bbox")
        numbers = isinstance(box, list) and all(isinstance(v, int | float) for v in box)
        if not numbers or len(box) != 4:
            raise FoveateError(
                f"{path}: annotation {row.get('id', f'number {number}')}: bbox must be four "
                f"numbers (x, y, width, height), got {str(box)[:60]}"
            )
    raise FoveateError(f"{path}: annotations: bbox holds what is no number")


def _positions(path: Path, rows: list[Any], field: str, known: IntArray, table: str) -> IntArray:
    """Where each row's `field` stands among the `known` ids of `table`."""
    values = _integers(path, "annotations", rows, field)
    order = np.argsort(known)
    slot = np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)
    positions = order[slot]
    wrong = np.flatnonzero(known[positions] != values)
    if len(wrong):
        row = rows[wrong[0]]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise FoveateError(
            f"{path}: annotation {row.get('id', f'number {wrong[0] + 1}')}: {field} "
            f"{row[field]} is not among the {table}{more}"
        )
    return positions


def _integers(path: Path, table: str, rows: Sequence[Any], field: str) -> IntArray:
    """One whole-number field of every row."""
    values = [row.get(field) for row in rows]
    wrong = next((number for number, value in enumerate(values) if type(value) is not int), None)
    if wrong is None:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            raise FoveateError(f"{path}: {table}: {field} is larger than 64 bits") from None
    which = f"{path}: {table}, entry {rows[wrong].get('id', f'number {wrong + 1}')}"
    if field not in rows[wrong]:
        raise FoveateError(f"{which} has no {field}")
    raise FoveateError(f"{which}: {field} must be a whole number, got {values[wrong]!r}")


def _require_unique(path: Path, table: str, ids: IntArray) -> None:
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise FoveateError(f"{path}: {table}: id {unique[counts > 1][0]} is used more than once")


def _licence(content: dict[str, Any]) -> str:
    stated = content["info"].get("license") or content["info"].get("licence")
    if isinstance(stated, str):
        return one_line(stated)
    rows = content.get("licenses")
    names = [row.get("name") for row in rows if isinstance(row, dict)] if rows else []
    return one_line(", ".join(name for name in names if isinstance(name, str)))
