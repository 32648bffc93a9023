"""Predictions of the peer on a data set: YOLO alone, and through SAHI's tiles; with times.

Runs in the benchmark-only environment; prints nothing but writes one JSON a setting:
``{"predictions": [COCO results], "cpu_seconds": [...], "wall_seconds": [...]}``.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch
from sahi import AutoDetectionModel
from sahi.predict import get_sliced_prediction
from ultralytics import YOLO

LEAST_SCORE = 0.01
MAX_DETECTIONS = 500
Boxes = list[tuple[list[float], float, int]]


def plain(model: YOLO, size: int) -> Callable[[Any], Boxes]:
    """The whole picture, letterboxed to the training size."""

    def predict(image: Any) -> Boxes:
        result = model.predict(
            image, imgsz=size, conf=LEAST_SCORE, max_det=MAX_DETECTIONS, verbose=False, device="cpu"
        )[0].boxes
        rows = zip(result.xyxy.tolist(), result.conf.tolist(), result.cls.tolist(), strict=True)
        return [(box, score, int(label)) for box, score, label in rows]

    return predict


def sahi(
    path: Path, size: int, merge: dict[str, Any], *, scale: float = 1, score: float = LEAST_SCORE
) -> Callable[[Any], Boxes]:
    """SAHI's tiles, shown to the network at the training size, with one of its merges.

    Args:
        path: The weights.
        size: Of a tile as the network sees it.
        merge: What SAHI calls post-processing.
        scale: Enlargement: the tiles are so many times smaller in the picture.
        score: Least score of a box that takes part in the merge.
    """
    model = AutoDetectionModel.from_pretrained(
        model_type="ultralytics",
        model_path=str(path),
        confidence_threshold=score,
        image_size=size,
        device="cpu",
    )
    model.model.overrides["max_det"] = MAX_DETECTIONS
    side = round(size / scale)

    def predict(image: Any) -> Boxes:
        result = get_sliced_prediction(
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB),
            model,
            slice_height=side,
            slice_width=side,
            verbose=0,
            **merge,
        )
        found = result.object_prediction_list
        return [(p.bbox.to_xyxy(), p.score.value, p.category.id) for p in found]

    return predict


def main() -> None:
    """Run every setting over the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path, help="COCO JSON; pictures in images/ beside it")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.getLogger("sahi").setLevel(logging.ERROR)  # which merge it takes, at each picture
    coco = json.loads(args.dataset.read_text())
    categories = [category["id"] for category in coco["categories"]]
    nms = {
        "postprocess_type": "NMS",
        "postprocess_match_metric": "IOU",
        "postprocess_match_threshold": 0.5,
    }
    settings = {
        "plain": plain(YOLO(args.model), args.size),
        # With lower scores than its own default SAHI itself takes NMS instead.
        "SAHI, its defaults (scores from .25)": sahi(args.model, args.size, {}, score=0.25),
        "SAHI, NMS": sahi(args.model, args.size, nms),
        "SAHI, NMS, x1.5": sahi(args.model, args.size, nms, scale=1.5),
    }
    for name, predict in settings.items():
        rows: list[dict[str, Any]] = []
        cpu: list[float] = []
        wall: list[float] = []
        for image in coco["images"]:
            pixels = cv2.imread(str(args.dataset.parent / "images" / image["file_name"]))
            if not wall:
                predict(pixels)  # warm-up
            started = time.perf_counter(), time.process_time()
            boxes = predict(pixels)
            wall.append(time.perf_counter() - started[0])
            cpu.append(time.process_time() - started[1])
            for (x1, y1, x2, y2), score, label in boxes:
                rows.append({"image_id": image["id"], "category_id": categories[label],
                             "bbox": [float(v) for v in (x1, y1, x2 - x1, y2 - y1)],
                             "score": float(score)})  # fmt: skip
        result = {"predictions": rows, "cpu_seconds": cpu, "wall_seconds": wall}
        (args.out / f"{name}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
