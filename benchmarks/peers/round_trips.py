"""Turn detections into another library's and back, with every such library that is installed.

Runs in the benchmark-only environments with foveate's sources on PYTHONPATH; prints JSON: for each
library the largest difference of a box side in pixels, of a score, and how many labels changed.

    PYTHONPATH=src python benchmarks/peers/round_trips.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from foveate import convert
from foveate.structures import Detections

COUNT, WIDTH, HEIGHT = 1000, 5472, 3648
NAMES = tuple(f"class {number}" for number in range(20))
TRIPS: dict[str, Callable[[Detections], Detections]] = {
    "supervision": lambda d: convert.from_supervision(convert.to_supervision(d, NAMES)),
    "torch": lambda d: convert.from_torchvision(convert.to_torchvision(d)),
    "fiftyone": lambda d: convert.from_fiftyone(
        convert.to_fiftyone(d, WIDTH, HEIGHT, NAMES), WIDTH, HEIGHT, NAMES
    ),
}


def main() -> None:
    """Run them."""
    detections = small_objects()
    rows = [
        {"library": name, "boxes": COUNT, **difference(detections, trip(detections))}
        for name, trip in TRIPS.items()
        if find_spec(name)
    ]
    print(json.dumps(rows))


def small_objects() -> Detections:
    """Objects of 2 to 40 pixels in a large picture, at fractions of pixels."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, [WIDTH - 40, HEIGHT - 40], (COUNT, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 40, (COUNT, 2))], axis=1)
    return Detections(
        boxes.astype(np.float32),
        rng.uniform(0, 1, COUNT).astype(np.float32),
        rng.integers(0, len(NAMES), COUNT),
    )


def difference(before: Detections, after: Detections) -> dict[str, float]:
    """How far the two are apart, box by box in their order."""
    return {
        "largest_pixels": float(np.abs(before.boxes - after.boxes).max()),
        "largest_score": float(np.abs(before.scores - after.scores).max()),
        "labels_changed": int((before.labels != after.labels).sum()),
    }


if __name__ == "__main__":
    main()
