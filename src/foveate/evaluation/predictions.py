"""Predictions as COCO results JSON: read with every entry checked, and written.

Boxes are held as float32 corners. A file whose boxes are not exact in float32 may score some
1e-7 off what pycocotools makes of its decimals, where an IoU or an area lies exactly on a bound.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError, UsageError
from foveate.evaluation.average_precision import exact_xywh
from foveate.structures import Dataset, Detections

_FIELDS = ("image_id", "category_id", "bbox", "score")
_FARTHEST = 1e9  # pixels; no picture reaches it, and float32 holds it


def read_predictions(path: str | Path, dataset: Dataset) -> dict[int, Detections]:
    """Read COCO results: a list of ``{image_id, category_id, bbox: [x, y, w, h], score}``.

    Args:
        path: The JSON file.
        dataset: What the predictions are for; its ids are the only ones allowed.

    Returns:
        Image id to detections, an entry for every picture of the data set, each picture's
        detections in the order of the file.

    Raises:
        UsageError: If the file cannot be read.
        FoveateError: If it is not COCO results, or an entry is wrong; entry (counted from 0) and
            field are named. Also if an entry names another picture (`file_name`) than the one that
            the data set numbers so: ``foveate detect`` numbers pictures from 1, whatever a data
            set calls them.
    """
    entries = _load(Path(path))
    table = _table(entries)
    if table is None:
        raise FoveateError(f"{path}: {_first_fault(entries)}")
    image_ids, category_ids, boxes, scores = table
    positions = {sample.image_id: i for i, sample in enumerate(dataset.samples)}
    labels = {number: i for i, number in enumerate(dataset.category_ids)}
    image = _look_up(image_ids, positions, f"{path}: {{}}: image_id {{}} is not in {dataset.name}")
    _require_same_pictures(path, entries, image, dataset)
    label = _look_up(
        category_ids,
        labels,
        f"{path}: {{}}: category_id {{}} is not in {dataset.name} "
        f"(it has {_some(dataset.category_ids)})",
    )
    del entries
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    everything = Detections(corners.astype(np.float32), scores.astype(np.float32), label)
    order = np.argsort(image, kind="stable")
    ends = np.cumsum(np.bincount(image, minlength=len(dataset)))
    groups = np.split(order, ends[:-1]) if len(dataset) else []
    return {
        sample.image_id: everything[group]
        for sample, group in zip(dataset.samples, groups, strict=True)
    }


def to_coco_results(
    dataset_or_category_ids: Dataset | Sequence[int],
    predictions: Mapping[int, Detections],
) -> list[dict[str, Any]]:
    """COCO results: boxes to a thousandth of a pixel, scores to six decimals.

    Args:
        dataset_or_category_ids: Where the category id of each label comes from.
        predictions: Image id to detections.

    Returns:
        One entry a detection, in the order given.
    """
    ids = dataset_or_category_ids
    category_ids = ids.category_ids if isinstance(ids, Dataset) else ids
    entries = []
    for image_id, found in predictions.items():
        boxes = np.round(exact_xywh(found.boxes), 3).tolist()
        scores = np.round(found.scores.astype(np.float64), 6).tolist()
        for label, box, score in zip(found.labels.tolist(), boxes, scores, strict=True):
            category = int(category_ids[label])
            entries.append(
                {"image_id": image_id, "category_id": category, "bbox": box, "score": score}
            )
    return entries


def _load(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_bytes())
    except OSError as error:
        reason = error.strerror or error.__class__.__name__
        raise UsageError(f"{path}: cannot be read ({reason.lower()})") from None
    except (ValueError, RecursionError) as error:
        line = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise FoveateError(f"{path}: not valid JSON{line}") from None
    if isinstance(entries, dict) and "annotations" in entries:
        raise FoveateError(
            f"{path}: this is a COCO data set; predictions are a list of "
            "{image_id, category_id, bbox, score}"
        )
    if not isinstance(entries, list):
        raise FoveateError(
            f"{path}: expected a list of {{image_id, category_id, bbox, score}}, "
            f"got {_kind(entries)}"
        )
    return entries


def _require_same_pictures(
    path: str | Path, entries: list[Any], image: NDArray[np.int64], dataset: Dataset
) -> None:
    """See that entries which name their picture mean the one that the data set numbers so."""
    names = [sample.path.name for sample in dataset.samples]
    for number, (entry, row) in enumerate(zip(entries, image.tolist(), strict=True)):
        name = entry.get("file_name")
        if name is not None and Path(str(name)).name != names[row]:
            raise FoveateError(
                f"{path}: entry {number} is of {name}, and {dataset.name} gives its image_id to "
                f"{names[row]}; to score a model use 'foveate evaluate MODEL DATASET'"
            )


_Table = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def _table(entries: list[Any]) -> _Table | None:
    """The columns, checked as whole arrays, or None if any entry is wrong."""
    try:
        columns = [[entry[field] for entry in entries] for field in _FIELDS]
        numbers = [np.array(column) for column in columns]
        boxes = numbers[2].reshape(len(entries), 4)
    except (TypeError, KeyError, IndexError, ValueError, OverflowError):
        return None
    if not entries:
        none = np.zeros(0, np.int64)
        return none, none, np.zeros((0, 4)), np.zeros(0)
    image_ids, category_ids, _, scores = numbers
    kinds = (image_ids.dtype.kind, category_ids.dtype.kind)
    if kinds != ("i", "i") or boxes.dtype.kind not in "if" or scores.dtype.kind not in "if":
        return None
    if any(array.ndim != 1 for array in (image_ids, category_ids, scores)):
        return None
    good = (np.abs(boxes) <= _FARTHEST).all() and (boxes[:, 2:] >= 0).all()
    if not good or not ((scores >= 0) & (scores <= 1)).all():
        return None
    return image_ids, category_ids, boxes.astype(np.float64), scores.astype(np.float64)


def _first_fault(entries: list[Any]) -> str:
    """Name the first entry and field that kept the table from being made."""
    for number, entry in enumerate(entries):
        fault = _fault(entry)
        if fault:
            return f"entry {number}: {fault}"
    return "some value is no plain number"


def _fault(entry: Any) -> str:
    if not isinstance(entry, dict):
        return f"expected {{image_id, category_id, bbox, score}}, got {_kind(entry)}"
    for field in _FIELDS:
        if field not in entry:
            return f"no {field}"
    for field in ("image_id", "category_id"):
        if not _is_number(entry[field], int) or abs(entry[field]) >= 2**63:
            return f"{field}: expected a whole number, got {_brief(entry[field])}"
    return _box_fault(entry["bbox"]) or _score_fault(entry["score"])


def _box_fault(box: Any) -> str:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return f"bbox: expected four numbers [x, y, width, height], got {_brief(box)}"
    if not all(abs(value) <= _FARTHEST for value in box):  # false for NaN as well
        return f"bbox: expected finite pixels, got {_brief(box)}"
    if box[2] < 0 or box[3] < 0:
        return (
            f"bbox: width and height must not be negative, got {_brief(box)} "
            "(are these corners? COCO's bbox is [x, y, width, height])"
        )
    return ""


def _score_fault(score: Any) -> str:
    if not _is_number(score) or not 0 <= score <= 1:
        return f"score: expected a number from 0 to 1, got {_brief(score)}"
    return ""


def _is_number(value: Any, kinds: type | tuple[type, ...] = (int, float)) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _look_up(ids: NDArray[np.int64], rows: Mapping[int, int], message: str) -> NDArray[np.int64]:
    """Row of each id; the message is given the entry and the id that has none."""
    distinct, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    found = np.array([rows.get(number, -1) for number in distinct.tolist()], np.int64)
    if (found < 0).any():
        entry = int(first[found < 0].min())
        raise FoveateError(message.format(f"entry {entry}", ids[entry]))
    return found[inverse]


def _some(numbers: Sequence[int], most: int = 8) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return shown + (", ..." if len(numbers) > most else "")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        type(None): "null",
        bool: "a boolean",
    }
    return names.get(type(value), "a number")
