"""Random labelled pictures and predictions, and pycocotools' verdict on them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from foveate.evaluation import SizeBins
from foveate.structures import Annotations, Dataset, Detections, FloatArray, Sample


def labelled(*boxes: tuple[float, float, float, float], ignore: int = 0) -> Annotations:
    """One class; the last `ignore` boxes are ignore regions."""
    count = len(boxes)
    return Annotations(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros(count, np.int64),
        np.arange(count) >= count - ignore,
    )


def detections(*boxes: tuple[float, float, float, float], scores: list[float]) -> Detections:
    """One class."""
    return Detections(
        np.array(boxes, np.float32), np.array(scores, np.float32), np.zeros(len(boxes), np.int64)
    )


def dataset_of(
    *parts: Annotations, ids: tuple[int, ...] = (), categories: tuple[int, ...] = (1,)
) -> Dataset:
    ids = ids or tuple(range(1, len(parts) + 1))
    return Dataset(
        "test set",
        tuple(f"class {number}" for number in categories),
        categories,
        tuple(
            Sample(Path(f"{i}.png"), i, 400, 400, part) for i, part in zip(ids, parts, strict=True)
        ),
    )


def random_case(
    seed: int, images: int = 12, tie_scores: bool = True
) -> tuple[Dataset, dict[int, Detections]]:
    """Several classes (one without objects), crowds, empty pictures, ties, duplicates, strays."""
    rng = np.random.default_rng(seed)
    categories = (7, 2, 30, 11)
    parts, predictions = [], {}
    ids = tuple((rng.permutation(images * 3)[:images] + 1).tolist())
    for i, image_id in enumerate(ids):
        count = 0 if i == 1 else int(rng.integers(0, 25))
        boxes = _boxes(rng, count)
        labels = rng.integers(0, 3, count)
        parts.append(Annotations(boxes, labels, rng.random(count) < 0.12))
        twice = rng.integers(0, count, count * 2) if count else np.zeros(0, np.int64)
        moved = boxes[twice] + rng.normal(0, 1.2, (len(twice), 4)).astype(np.float32)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        strays = _boxes(rng, 6)
        stray_labels = rng.integers(0, 4, 6)
        scores = rng.random(len(moved) + 6).astype(np.float32)
        if i != 2:
            predictions[image_id] = Detections(
                np.concatenate([moved, strays]),
                np.round(scores, 1) if tie_scores else scores,
                np.concatenate([labels[twice], stray_labels]),
            )
    return dataset_of(*parts, ids=ids, categories=categories), predictions


def _boxes(rng: np.random.Generator, count: int) -> FloatArray:
    corner = rng.uniform(0, 300, (count, 2))
    # Whole numbers give areas exactly on the edges of bins.
    side = np.round(np.exp(rng.uniform(np.log(3), np.log(220), (count, 2))))
    return np.concatenate([np.round(corner), np.round(corner) + side], axis=1).astype(np.float32)


def coco_dicts(
    dataset: Dataset, predictions: Mapping[int, Detections]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data set and the predictions as COCO JSON, without rounding."""
    truth: dict[str, Any] = {
        "images": [
            {"id": s.image_id, "width": s.width, "height": s.height} for s in dataset.samples
        ],
        "categories": [
            {"id": number, "name": name}
            for number, name in zip(dataset.category_ids, dataset.class_names, strict=True)
        ],
        "annotations": [],
    }
    for sample in dataset.samples:
        part = sample.annotations
        for box, label, ignore in zip(part.boxes, part.labels, part.ignore, strict=True):
            xywh = _xywh(box)
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": sample.image_id,
                    "category_id": dataset.category_ids[label],
                    "bbox": xywh,
                    "area": xywh[2] * xywh[3],
                    "iscrowd": int(ignore),
                }
            )
    results = [
        {
            "image_id": image_id,
            "category_id": dataset.category_ids[label],
            "bbox": _xywh(box),
            "score": float(score),
        }
        for image_id, found in predictions.items()
        for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True)
    ]
    return truth, results


def _xywh(box: FloatArray) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def reference(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins,
    max_detections: int,
) -> dict[str, float]:
    """pycocotools' figures by the names of `Scores.flat`; -1 where undefined."""
    truth, results = coco_dicts(dataset, predictions)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluator.params.maxDets = [max_detections]
        evaluator.params.areaRng = [[0, 1e10], *(list(area) for area in bins.areas)]
        evaluator.params.areaRngLbl = ["all", *bins.labels]
        evaluator.evaluate()
        evaluator.accumulate()
    precision, recall = evaluator.eval["precision"], evaluator.eval["recall"]
    rows = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
    values = {}
    for area, suffix in enumerate(["", *(f"_{label}" for label in bins.labels)]):
        for name, ious in rows.items():
            values[name + suffix] = _mean(precision[ious, :, :, area, 0])
        values["AR" + suffix] = _mean(recall[:, :, area, 0])
    for row, category in enumerate(sorted(dataset.category_ids)):
        values[f"AP class {category}"] = _mean(precision[:, :, row, 0, 0])
    return values


def _mean(values: Any) -> float:
    defined = values[values > -1]
    return float(np.mean(defined)) if defined.size else -1.0
