"""A tiny data set of bright squares, and the tiny run that learns from it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from foveate.training.recipe import Recipe


def tiny(**changes: object) -> Recipe:
    values = {
        "name": "tiny",
        "tile_plan": {"size": 64},
        "method": {"backbone": {"weights": "none"}, "width": 16, "head_width": 16,
                   "max_detections": 30},
        "iterations": 4,
        "batch_size": 2,
        "save_every": 2,
    }  # fmt: skip
    return Recipe.from_dict(values | changes)


def write_squares(folder: Path) -> Path:
    """Three pictures to learn from and two to validate on, in COCO's format."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        images: list[dict[str, object]] = []
        annotations: list[dict[str, object]] = []
        for i in range(count):
            picture = np.full((90, 110, 3), 40, np.uint8)
            for x, y in rng.integers(2, 75, (3, 2)).tolist():
                picture[y : y + 9, x : x + 9] = 230
                annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": 7,
                                    "bbox": [x, y, 9, 9], "area": 81, "iscrowd": 0})  # fmt: skip
            name = f"{split}{i}.png"
            cv2.imwrite(str(folder / "images" / name), picture)
            images.append({"id": i + 1, "file_name": name, "width": 110, "height": 90})
        coco = {"images": images, "annotations": annotations,
                "categories": [{"id": 7, "name": "square"}]}  # fmt: skip
        (folder / f"{split}.json").write_text(json.dumps(coco))
    return folder
