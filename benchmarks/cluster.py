"""Two workers of Ray against one, each with one thread, on pictures that are dear to decode.

    python benchmarks/cluster.py            # 48 JPEGs of 24 megapixels
    python benchmarks/cluster.py --smoke    # a few small ones, only to see that it runs

The pictures are noise over a gradient, which JPEG decodes slowly; the model is a bundled one, shown
the whole picture in one tile, so that most of the time is the workers' reading. Seconds are those
between the first result and the last, with what was done between them, so that the start of Ray
and of its workers, told beside, is not counted. Boxes are compared with those of one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from provenance import provenance, versions

import foveate
from foveate.inference.settings import Options

RESULTS = Path(__file__).resolve().parent / "results"
MODEL, SEED = "aerial", 0
SIDES = (6000, 4000)
SMOKE_SIDES = (900, 600)


def main() -> None:
    """Measure, and write ``results/cluster.json``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS / "cluster.json")
    asked = parser.parse_args()
    count, repeats = (8, 1) if asked.smoke else (asked.pictures, asked.repeats)
    sides = SMOKE_SIDES if asked.smoke else SIDES
    with tempfile.TemporaryDirectory() as folder:
        paths = write_pictures(Path(folder), count, sides)
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        rows = [measure(paths, workers, repeats) for workers in (1, 2)]
        expected = alone(paths)
        same = all(row.pop("boxes") == expected for row in rows)
    report = {
        "provenance": provenance(SEED),
        "ray": versions(["ray"])["ray"],
        "model": MODEL,
        "pictures": count,
        "sides": list(sides),
        "megabytes": round(megabytes, 1),
        "rows": rows,
        "same_boxes": same,
        "speedup": round(rows[1]["pictures_per_second"] / rows[0]["pictures_per_second"], 3),
    }
    asked.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def write_pictures(folder: Path, count: int, sides: tuple[int, int]) -> list[Path]:
    """JPEGs of noise over a gradient."""
    width, height = sides
    slope = np.linspace(40, 200, width, dtype=np.float32)[None, :, None]
    paths = []
    for number in range(count):
        noise = (
            np.random.default_rng(SEED + number)
            .normal(0, 25, (height, width, 3))
            .astype(np.float32)
        )
        paths.append(folder / f"{number:03}.jpg")
        cv2.imwrite(str(paths[-1]), np.clip(slope + noise, 0, 255).astype(np.uint8))
    return paths


def measure(paths: list[Path], workers: int, repeats: int) -> dict[str, Any]:
    """Seconds of a run by so many workers, the median of some."""
    starts, rates = [], []
    boxes: list[Any] = []
    for _ in range(repeats):
        boxes = []
        cluster = foveate.Cluster(workers=workers, threads=1)
        began = time.perf_counter()
        results = foveate.detect_all(
            paths, foveate.load(MODEL, 1), cluster=cluster, **Options(plain=True)
        )
        for number, result in enumerate(results):
            if number < workers:  # each worker loads its model before its first
                ready = time.perf_counter()
            boxes.append(result.detections.boxes.tolist())
        starts.append(ready - began)
        rates.append((len(paths) - workers) / (time.perf_counter() - ready))
    return {
        "workers": workers,
        "pictures_per_second": round(statistics.median(rates), 4),
        "start_seconds": round(statistics.median(starts), 2),
        "boxes": boxes,
    }


def alone(paths: list[Path]) -> list[Any]:
    """The boxes of one process."""
    detector = foveate.load(MODEL, 1)
    results = foveate.detect_all(paths, detector, **Options(plain=True))
    return [result.detections.boxes.tolist() for result in results]


if __name__ == "__main__":
    main()
