"""Time SAHI or supervision over pictures, decode to merged boxes; prints one JSON.

Runs in the benchmark-only environment: ``{"seconds": [one a picture], "boxes": [...]}``, after one
picture that is not counted. The model is a YOLO file of Ultralytics, as ``.pt`` or ``.onnx``.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import torch

SCORE = 0.25


def sahi(args: argparse.Namespace) -> Callable[[str], int]:
    """SAHI with its own defaults but for the size of tiles."""
    from sahi import AutoDetectionModel
    from sahi.predict import get_sliced_prediction

    logging.getLogger("sahi").setLevel(logging.ERROR)
    model = AutoDetectionModel.from_pretrained(
        model_type="ultralytics",
        model_path=args.model,
        confidence_threshold=SCORE,
        image_size=args.tile,
        device="cpu",
    )

    def run(path: str) -> int:
        found = get_sliced_prediction(
            path,
            model,
            slice_height=args.tile,
            slice_width=args.tile,
            overlap_height_ratio=args.overlap,
            overlap_width_ratio=args.overlap,
            verbose=0,
        )
        return len(found.object_prediction_list)

    return run


def supervision(args: argparse.Namespace) -> Callable[[str], int]:
    """Supervision's slicer around Ultralytics, one tile at a time or in batches."""
    import supervision as sv
    from ultralytics import YOLO

    model = YOLO(args.model, task="detect")

    def results(tiles: list[object]) -> list[sv.Detections]:
        found = model.predict(tiles, imgsz=args.tile, conf=SCORE, verbose=False, device="cpu")
        return [sv.Detections.from_ultralytics(one) for one in found]

    slicer = sv.InferenceSlicer(
        callback=results if args.batch > 1 else lambda tile: results([tile])[0],
        slice_wh=args.tile,
        overlap_wh=round(args.overlap * args.tile),
        batch_size=args.batch,
    )
    return lambda path: len(slicer(cv2.imread(path)))


def main() -> None:
    """Run one system over the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=["sahi", "supervision"])
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path, help="a file with one path a line")
    parser.add_argument("--tile", type=int, default=640)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    paths = args.pictures.read_text().split()
    out, sys.stdout = sys.stdout, sys.stderr  # the libraries print there, too
    run = {"sahi": sahi, "supervision": supervision}[args.system](args)
    run(paths[0])
    seconds, boxes = [], []
    for path in paths:
        started = time.perf_counter()
        boxes.append(run(path))
        seconds.append(time.perf_counter() - started)
    json.dump({"seconds": seconds, "boxes": boxes}, out)


if __name__ == "__main__":
    main()
