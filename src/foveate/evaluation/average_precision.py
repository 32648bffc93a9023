"""AP and AR, overall, by object size and by class, with COCO's arithmetic.

hotcoco does the matching and the accumulation; the figures equal pycocotools' on the same boxes
(tested to 1e-12). AP is the mean over IoU .50:.05:.95 and 101 recall points; AR the mean over
the same IoUs of the recall reached with all detections that `max_detections` lets through.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco import COCO, COCOeval
from numpy.typing import NDArray

from foveate.errors import UsageError
from foveate.evaluation.sizes import SIZE_BINS, WHOLE, SizeBins
from foveate.structures import Dataset, Detections, FloatArray

METRICS = ("AP", "AP50", "AP75", "AR")
MAX_DETECTIONS = 500

_IOU_ROW = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
_ALL_AREAS = (0.0, 1e10)


@dataclass(frozen=True, slots=True)
class Scores:
    """What a set of predictions scores. A value without ground truth to measure it on is NaN.

    Attributes:
        overall: `AP`, `AP50`, `AP75`, `AR`, each in ``[0, 1]``.
        by_size: The same for each size bin, by its label.
        by_class: The same for each class, by its name.
        bins: The size bins.
        objects_by_size: Labelled objects in each bin, ignored ones not counted.
        objects_by_class: Labelled objects of each class, ignored ones not counted.
        images: Pictures evaluated.
        objects: Labelled objects, ignored ones not counted.
        ignored: Ignore regions.
        detections: Detections given, the ones beyond the cap included.
        max_detections: Most detections used of one class in one picture.
        capped_images: Pictures in which that cap cut detections off.
    """

    overall: Mapping[str, float]
    by_size: Mapping[str, Mapping[str, float]]
    by_class: Mapping[str, Mapping[str, float]]
    bins: SizeBins
    objects_by_size: Mapping[str, int]
    objects_by_class: Mapping[str, int]
    images: int
    objects: int
    ignored: int
    detections: int
    max_detections: int
    capped_images: int

    def flat(self) -> dict[str, float]:
        """Every defined figure under one name: `AP`, `AP50`, ..., `AP_small`, `AR_small`, ..."""
        values = dict(self.overall)
        for label, metrics in self.by_size.items():
            values |= {f"{name}_{label}": value for name, value in metrics.items()}
        return {name: value for name, value in values.items() if not math.isnan(value)}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an undefined value is None."""
        return {
            "overall": _plain(self.overall),
            "by_size": {
                label: {"objects": self.objects_by_size[label], **_plain(metrics)}
                for label, metrics in self.by_size.items()
            },
            "by_class": {
                name: {"objects": self.objects_by_class[name], **_plain(metrics)}
                for name, metrics in self.by_class.items()
            },
            "size_bins": {
                "name": self.bins.name,
                "sides_px": dict(zip(self.bins.labels, map(list, self.bins.sides), strict=True)),
            },
            "images": self.images,
            "objects": self.objects,
            "ignored": self.ignored,
            "detections": self.detections,
            "max_detections": self.max_detections,
            "capped_images": self.capped_images,
        }


def evaluate_detections(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins = SIZE_BINS["coco"],
    max_detections: int = MAX_DETECTIONS,
) -> Scores:
    """Score predictions against labels.

    Args:
        dataset: The labels. Ignore regions are COCO's crowds: neither right nor wrong to detect.
        predictions: Image id to detections of the full picture; a picture without an entry has
            no detections.
        bins: Size bins.
        max_detections: Most detections used of one class in one picture, best first, as
            pycocotools applies it.

    Raises:
        UsageError: If the data set has no pictures, if predictions name a picture or a class
            that it lacks, or if `max_detections` is below 1.
    """
    evaluator = match_all(dataset, predictions, bins, max_detections)
    evaluator.accumulate()
    assert evaluator.eval is not None
    precision = np.asarray(evaluator.eval["precision"])[..., 0]  # (IoU, recall, class, area)
    recall = np.asarray(evaluator.eval["recall"])[..., 0]  # (IoU, class, area)
    rows = np.argsort(np.argsort(dataset.category_ids))  # class index -> row of hotcoco's arrays
    return Scores(
        overall=_metrics(precision[..., 0], recall[..., 0]),
        by_size={
            label: _metrics(precision[..., area], recall[..., area])
            for area, label in enumerate(bins.labels, start=1)
        },
        by_class={
            name: _metrics(precision[:, :, row, 0], recall[:, row, 0])
            for name, row in zip(dataset.class_names, rows, strict=True)
        },
        bins=bins,
        max_detections=max_detections,
        capped_images=_capped_images(predictions, max_detections),
        detections=sum(map(len, predictions.values())),
        **_count_objects(dataset, bins),
    )


def match_all(
    dataset: Dataset,
    predictions: Mapping[int, Detections],
    bins: SizeBins,
    max_detections: int,
) -> COCOeval:
    """An evaluator whose matching is done; area range 0 is every size, then the bins in order.

    Raises:
        UsageError: As `evaluate_detections`.
    """
    if max_detections < 1:
        raise UsageError(f"max_detections: expected at least 1, got {max_detections}")
    check_predictions(dataset, predictions)
    truth = _ground_truth(dataset)
    evaluator = COCOeval(truth, truth.load_res(_result_rows(dataset, predictions)), "bbox")
    params = evaluator.params
    params.max_dets = [max_detections]
    params.area_rng = [list(_ALL_AREAS), *(list(area) for area in bins.areas)]
    params.area_rng_lbl = [WHOLE, *bins.labels]
    evaluator.evaluate()
    return evaluator


def check_predictions(dataset: Dataset, predictions: Mapping[int, Detections]) -> None:
    """See that predictions belong to the data set.

    Raises:
        UsageError: If the data set is empty, or a picture id or a label is not of it.
    """
    if not dataset.samples:
        raise UsageError(f"{dataset.name}: no pictures to evaluate on")
    unknown = predictions.keys() - {sample.image_id for sample in dataset.samples}
    if unknown:
        raise UsageError(f"predictions for image id {min(unknown)}, which {dataset.name} lacks")
    for image_id, found in predictions.items():
        if len(found) and not 0 <= found.labels.min() <= found.labels.max() < len(
            dataset.class_names
        ):
            raise UsageError(
                f"predictions for image id {image_id}: a label lies outside the "
                f"{len(dataset.class_names)} classes of {dataset.name}"
            )


def exact_xywh(boxes: FloatArray) -> NDArray[np.float64]:
    """Left, top, width, height of ``(N, 4)`` float32 corners, in double precision."""
    corners = boxes.astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    return corners


def _ground_truth(dataset: Dataset) -> COCO:
    counts = [len(sample.annotations) for sample in dataset.samples]
    parts = [sample.annotations for sample in dataset.samples]
    labels = np.concatenate([part.labels for part in parts])
    boxes_xywh = exact_xywh(np.concatenate([part.boxes for part in parts]))
    return COCO.from_arrays(
        [{"id": s.image_id, "width": s.width, "height": s.height} for s in dataset.samples],
        [
            {"id": number, "name": name}
            for number, name in zip(dataset.category_ids, dataset.class_names, strict=True)
        ],
        np.repeat([sample.image_id for sample in dataset.samples], counts),
        np.asarray(dataset.category_ids, np.int64)[labels],
        boxes_xywh,
        area=boxes_xywh[:, 2] * boxes_xywh[:, 3],
        iscrowd=np.concatenate([part.ignore for part in parts]),
    )


def _result_rows(dataset: Dataset, predictions: Mapping[int, Detections]) -> NDArray[np.float64]:
    """Image id, x, y, width, height, score, category id of every detection, ``(N, 7)``."""
    found = Detections.concatenate(list(predictions.values()))
    rows = np.empty((len(found), 7), np.float64)
    rows[:, 0] = np.repeat(list(predictions), [len(part) for part in predictions.values()])
    rows[:, 1:5] = exact_xywh(found.boxes)
    rows[:, 5] = found.scores
    rows[:, 6] = np.asarray(dataset.category_ids, np.int64)[found.labels]
    return rows


def _metrics(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> dict[str, float]:
    """Means over what is defined; IoU is the first axis of both."""
    values = {name: _mean(precision[rows]) for name, rows in _IOU_ROW.items()}
    return values | {"AR": _mean(recall)}


def _mean(values: NDArray[np.float64]) -> float:
    # -1 is COCO's mark for "no ground truth".
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else math.nan


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}


def _capped_images(predictions: Mapping[int, Detections], max_detections: int) -> int:
    return sum(
        len(found) > max_detections and int(np.bincount(found.labels).max()) > max_detections
        for found in predictions.values()
    )


def _count_objects(dataset: Dataset, bins: SizeBins) -> dict[str, Any]:
    parts = [sample.annotations for sample in dataset.samples]
    counted = ~np.concatenate([part.ignore for part in parts])
    boxes = np.concatenate([part.boxes for part in parts])[counted]
    labels = np.concatenate([part.labels for part in parts])[counted]
    per_class: Sequence[int] = np.bincount(labels, minlength=len(dataset.class_names)).tolist()
    per_size: Sequence[int] = bins.holds(boxes).sum(axis=1).tolist()
    return {
        "images": len(dataset),
        "objects": int(counted.sum()),
        "ignored": int((~counted).sum()),
        "objects_by_class": dict(zip(dataset.class_names, per_class, strict=True)),
        "objects_by_size": dict(zip(bins.labels, per_size, strict=True)),
    }
