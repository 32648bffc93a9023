"""Boxes of other tools' models: foveate's reading of the file beside the vendor's own.

    python benchmarks/foreign.py --peer-python PEERS/bin/python

Small models with random weights are exported by the real libraries, which also say what they find
in one picture; then foveate reads the files without those libraries. Written to
``benchmarks/results/foreign.json``: for each model the largest difference of a box side, in pixels,
and of a score, between boxes that belong together, and how many have no partner.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from provenance import provenance

from foveate.config import write_atomically
from foveate.data.images import load_image
from foveate.data.pitch import render_still
from foveate.inference.foreign.detector import ForeignDetector
from foveate.structures import Detections
from foveate.structures.boxes import box_iou, valid_boxes

ROOT = Path(__file__).resolve().parent.parent
EXPORTER = ROOT / "benchmarks" / "peers" / "export_foreign.py"
LEAST_SCORE = 0.05
SIDE = 320
ALIKE = 0.9


def picture(seed: int) -> Any:
    """A piece of a rendered match, BGR, of the models' own size: nothing is resized."""
    image, annotations = render_still(seed)
    x, y = annotations.boxes[len(annotations) // 2, :2].astype(int) - SIDE // 2
    x, y = np.clip([x, y], 0, np.array(image.shape[1::-1]) - SIDE)
    return image[y : y + SIDE, x : x + SIDE, ::-1]


def compare(ours: Detections, theirs: Detections) -> dict[str, Any]:
    """How far the two sets of one picture are apart."""
    alike = box_iou(theirs.boxes, ours.boxes)
    alike[theirs.labels[:, None] != ours.labels[None]] = 0
    alike -= np.abs(theirs.scores[:, None] - ours.scores[None])
    partner = alike.argmax(axis=1) if len(ours) else np.zeros(len(theirs), int)
    paired = alike.max(axis=1, initial=0) >= ALIKE
    boxes = np.abs(theirs.boxes[paired] - ours.boxes[partner[paired]])
    scores = np.abs(theirs.scores[paired] - ours.scores[partner[paired]])
    return {
        "vendor_boxes": len(theirs),
        "foveate_boxes": len(ours),
        "unpaired": int((~paired).sum()),
        "largest_pixels": float(boxes.max(initial=0)),
        "largest_score": float(scores.max(initial=0)),
    }


def read(path: Path) -> Detections:
    """What the vendor found, cut to the picture as foveate's is; what lies outside it is gone."""
    found = json.loads(path.read_text())
    boxes = np.clip(np.array(found["boxes"], np.float32).reshape(-1, 4), 0, SIDE)
    cut = Detections(boxes, np.array(found["scores"]), np.array(found["labels"]))
    return cut[valid_boxes(boxes)]


def main() -> None:
    """Export, compare, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="keep the exported files here")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "picture.png"
        cv2.imwrite(str(file), picture(args.seed))
        command = [args.peer_python, EXPORTER, file, folder]
        environment = os.environ | {"YOLO_OFFLINE": "true"}
        subprocess.run([str(part) for part in command], check=True, env=environment)
        rows = [measure(path, file) for path in sorted(folder.glob("*.json"))]
    for row in rows:
        print(row)
    report = {
        "rows": rows,
        "least_score": LEAST_SCORE,
        "provenance": provenance(args.seed, args.peer_python),
    }
    target = ROOT / "benchmarks" / "results" / "foreign.json"
    write_atomically(target, (json.dumps(report, indent=1) + "\n").encode())


def measure(path: Path, picture_file: Path) -> dict[str, Any]:
    """One model's row."""
    theirs = read(path)
    detector = ForeignDetector(path.with_suffix(".onnx"), threads=1)
    ours = detector([load_image(picture_file)])[0]
    ours = ours[ours.scores >= LEAST_SCORE]
    return {"model": path.stem, "layout": detector.info.method, **compare(ours, theirs)}


if __name__ == "__main__":
    main()
