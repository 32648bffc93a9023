"""AP of the same boxes by pycocotools and faster-coco-eval, timed.

Runs in the benchmark-only environment (``benchmarks/requirements.txt``), started by
``benchmarks/evaluation.py``, with ``benchmarks/`` on ``PYTHONPATH``.

    python benchmarks/peers/evaluate_peers.py pycocotools boxes.npz
    python benchmarks/peers/evaluate_peers.py "figures faster-coco-eval" boxes.npz

What is timed starts at labels as COCO's dictionaries and results as an array, in memory, and ends
with precision and recall of one cap, 100 detections a picture and class.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from importlib import import_module
from typing import Any

import numpy as np
from measuring import resident, timed
from numpy.typing import NDArray


def library(name: str) -> tuple[Any, Any]:
    """`COCO` and `COCOeval` of a peer."""
    if name == "pycocotools":
        coco, cocoeval = import_module("pycocotools.coco"), import_module("pycocotools.cocoeval")
        return coco.COCO, cocoeval.COCOeval
    faster = import_module("faster_coco_eval")
    return faster.COCO, faster.COCOeval_faster


def read(file: str) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Labels as COCO JSON, results as rows of id, x, y, width, height, score, category."""
    with np.load(file, allow_pickle=False) as stored:
        table = dict(stored)
    boxes = xywh(table["object_box"])
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": label,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": ignore,
        }
        for number, (image, label, box, ignore) in enumerate(
            zip(
                (table["object_image"] + 1).tolist(),
                (table["object_label"] + 1).tolist(),
                boxes.tolist(),
                table["object_ignore"].astype(int).tolist(),
                strict=True,
            ),
            start=1,
        )
    ]
    images = [{"id": number} for number in range(1, int(table["object_image"].max()) + 2)]
    labels = sorted(set(table["object_label"].tolist()))
    categories = [{"id": label + 1, "name": str(label)} for label in labels]
    results = np.column_stack(
        [table["image"] + 1, xywh(table["box"]), table["score"], table["label"] + 1]
    )
    truth = {"images": images, "annotations": annotations, "categories": categories}
    return truth, results


def xywh(boxes: NDArray[Any]) -> NDArray[np.float64]:
    """Left, top, width, height in double precision."""
    corners = boxes.astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    return corners


def evaluate(name: str, truth: dict[str, Any], results: NDArray[Any], caps: list[int]) -> Any:
    """The evaluator, done."""
    coco_class, evaluator_class = library(name)
    coco = coco_class()
    coco.dataset = truth
    coco.createIndex()
    evaluator = evaluator_class(coco, coco.loadRes(results), "bbox")
    evaluator.params.maxDets = caps
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


def main() -> None:
    """One task of one peer."""
    task, file = sys.argv[1:]
    name = task.split()[-1]
    truth, results = read(file)
    with contextlib.redirect_stdout(io.StringIO()):
        if task == name:
            seconds, _, _ = timed(lambda: evaluate(name, truth, results, [100]).eval)
            report: dict[str, Any] = {"seconds": seconds, "megabytes": resident("VmHWM") / 1e6}
        else:
            evaluator = evaluate(name, truth, results, [1, 10, 100])
            evaluator.summarize()
            report = {"figures": [float(value) for value in evaluator.stats[:12]]}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
