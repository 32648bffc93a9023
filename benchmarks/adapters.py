"""Boxes of Python models through foveate's adapters, beside the library's own prediction.

    python benchmarks/adapters.py --peer-python PEERS/bin/python [--fiftyone-python F/bin/python]

Models with random weights, and a trained one if it is given, are run by the real libraries on
pieces of a rendered match and on noise. Written to ``benchmarks/results/adapters.json``: for each
model the largest difference of a box side, in pixels, and of a score, between boxes that belong
together, how many have no partner, and how many boxes the library gives by its defaults, from the
same score up; and what a turn to another library and back changes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from foreign import SIDE, compare, picture
from provenance import peer_versions, provenance

from foveate.config import write_atomically
from foveate.structures import Detections
from foveate.structures.boxes import valid_boxes

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"
LEAST_SCORE = 0.01
PIECES = 2


def main() -> None:
    """Run the models and the round trips, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", type=Path, required=True)
    parser.add_argument("--fiftyone-python", type=Path, help="of an environment with FiftyOne")
    parser.add_argument("--ultralytics-model", type=Path, help="a trained model as well")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pythons = [python for python in (args.peer_python, args.fiftyone_python) if python]
    facts = provenance(args.seed, args.peer_python)
    # The peers' own versions stand; what the other environment adds is FiftyOne.
    facts["peers"] = peer_versions(args.fiftyone_python) | facts["peers"]
    report: dict[str, Any] = {
        "rows": model_rows(args),
        "round_trips": [row for python in pythons for row in round_trips(python)],
        "least_score": LEAST_SCORE,
        "provenance": facts,
    }
    for row in (*report["rows"], *report["round_trips"]):
        print(row)
    target = ROOT / "benchmarks" / "results" / "adapters.json"
    write_atomically(target, (json.dumps(report, indent=1) + "\n").encode())


def model_rows(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every model's row."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        command: list[str | Path] = [
            PEERS / "run_adapters.py",
            folder,
            *pictures(folder, args.seed),
        ]
        if args.ultralytics_model:
            command += ["--ultralytics-model", args.ultralytics_model.resolve()]
        run(args.peer_python, command)
        found = [(path.stem, json.loads(path.read_text())) for path in folder.glob("*.json")]
    return [row(name, report) for name, report in sorted(found, key=lambda f: (f[1]["adapter"], f))]


def pictures(folder: Path, seed: int) -> list[Path]:
    """Pieces of a rendered match, and noise, as files of one size."""
    noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    paths = []
    for number, image in enumerate([*(picture(seed + n) for n in range(PIECES)), noise]):
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths


def row(name: str, report: dict[str, Any]) -> dict[str, Any]:
    """One model's row: of all pictures the sums, and the largest differences."""
    parts = [
        compare(read(found["foveate"]), read(found["library"])) for found in report["pictures"]
    ]
    sums = ("vendor_boxes", "foveate_boxes", "unpaired")
    return {
        "model": name,
        "adapter": report["adapter"],
        "pictures": len(parts),
        **{key: sum(part[key] for part in parts) for key in sums},
        "default_boxes": sum(found["defaults"] for found in report["pictures"]),
        "largest_pixels": max(part["largest_pixels"] for part in parts),
        "largest_score": max(part["largest_score"] for part in parts),
    }


def read(found: dict[str, Any]) -> Detections:
    """Boxes cut to the picture, as the adapter's are, from the least score up."""
    boxes = np.clip(np.array(found["boxes"], np.float32).reshape(-1, 4), 0, SIDE)
    cut = Detections(boxes, np.array(found["scores"]), np.array(found["labels"]))
    return cut[valid_boxes(boxes) & (cut.scores >= LEAST_SCORE)]


def round_trips(python: Path) -> list[dict[str, Any]]:
    """What turning detections into the libraries of one environment and back changes."""
    rows: list[dict[str, Any]] = json.loads(
        run(python, [PEERS / "round_trips.py"]).splitlines()[-1]
    )
    return rows


def run(python: Path, command: Sequence[str | Path]) -> str:
    """Run a script in another environment, with foveate's sources; what it prints."""
    environment = os.environ | {"YOLO_OFFLINE": "true", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [str(part) for part in (python, *command)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    print(done.stdout, end="", flush=True)
    return done.stdout


if __name__ == "__main__":
    main()
