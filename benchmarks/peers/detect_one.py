"""Detect in one picture with SAHI and an Ultralytics model, as `foveate detect` does with its own.

Runs in the benchmark-only environment (``benchmarks/requirements.txt``), started by
``benchmarks/start.py``; the whole process is timed from outside.

    python benchmarks/peers/detect_one.py picture.png nuclei-yolo11n.pt out --tile 640
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    """Detect in tiles without the extra full-image pass; write the drawn picture and the boxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture")
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tile", type=int, default=640)
    parser.add_argument("--overlap", type=float, default=0.2)
    args = parser.parse_args()

    from sahi import AutoDetectionModel
    from sahi.predict import get_sliced_prediction

    model = AutoDetectionModel.from_pretrained(
        "ultralytics", args.model, device="cpu", confidence_threshold=0.3, image_size=args.tile
    )
    result = get_sliced_prediction(
        args.picture,
        model,
        slice_height=args.tile,
        slice_width=args.tile,
        overlap_height_ratio=args.overlap,
        overlap_width_ratio=args.overlap,
        perform_standard_pred=False,
        verbose=0,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    result.export_visuals(str(args.out), hide_labels=True)
    rows = json.dumps(result.to_coco_predictions(image_id=1), default=float)
    (args.out / "predictions.json").write_text(rows)


if __name__ == "__main__":
    main()
