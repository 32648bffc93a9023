"""Accuracy and time of a bundled model, plain and tiled, beside a peer, on held-out pictures.

    python benchmarks/accuracy.py nuclei --peer-python PEERS/bin/python --peer-model yolo11n.pt
    python benchmarks/accuracy.py aerial
    python benchmarks/accuracy.py pitch --data data/pitch --scales 1 1.5 2 --no-flips

Everything is scored by the same code: COCO AP, 500 detections a picture, scores from 0.01
(SAHI's defaults: from its own .25).
Intervals are 95 % bootstrap intervals over pictures. Times are CPU seconds a picture (all
threads together), decode to merged boxes, both sides with two threads in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.data.images import open_image
from foveate.evaluation import (
    SIZE_BINS,
    bootstrap_interval,
    count_outcomes,
    evaluate_detections,
    paired_bootstrap,
    read_predictions,
)
from foveate.inference.bundled import resolve_model
from foveate.inference.flips import FlippedDetector
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import detect_image
from foveate.merge import MergeConfig
from foveate.structures import Dataset, Detections, Detector
from foveate.tiling import TilePlan

ROOT = Path(__file__).resolve().parent.parent
LEAST_SCORE = 0.01
FLIPS = "flips"
METRICS = ("AP", "AP50", "AP_small")
Predictions = Mapping[int, Detections]


def settings(plan: TilePlan, scales: Sequence[float], flips: bool) -> dict[str, TilePlan]:
    """What is compared: the model's own plan, plain, and other scales of showing."""
    tiled = {f"tiles of {plan.size}, x{plan.scale:g} (default)": plan}
    for scale in sorted({*scales} - {plan.scale}):
        tiled[f"tiles of {plan.size}, x{scale:g}"] = plan.model_copy(update={"scale": scale})
    if flips:
        dearest = plan.model_copy(update={"scale": max(plan.scale, 1.75)})
        tiled[f"tiles of {plan.size}, x{dearest.scale:g}, {FLIPS}"] = dearest
    return {"plain": plan.model_copy(update={"plain": True}), **tiled}


def predict(
    dataset: Dataset, detector: Detector, plan: TilePlan, merge: MergeConfig, multiple: int
) -> tuple[dict[int, Detections], list[float], list[float]]:
    """Predictions by image id, and CPU and wall seconds of each picture."""
    found: dict[int, Detections] = {}
    cpu, wall = [], []
    for sample in [dataset.samples[0], *dataset.samples]:  # the first is a warm-up
        started = time.perf_counter(), time.process_time()
        result = detect_image(
            open_image(sample.path), detector, plan, merge,
            score_threshold=LEAST_SCORE, size_multiple=multiple,
        )  # fmt: skip
        wall.append(time.perf_counter() - started[0])
        cpu.append(time.process_time() - started[1])
        found[sample.image_id] = result.detections
    return found, cpu[1:], wall[1:]


def row(
    dataset: Dataset, system: str, setting: str, found: Predictions, cpu: list[float],
    wall: list[float],
) -> dict[str, Any]:  # fmt: skip
    """One row of the table, with its intervals."""
    evaluated = evaluate_detections(dataset, found)
    scores = evaluated.flat()
    intervals = bootstrap_interval(dataset, found, METRICS)
    return {
        "system": system,
        "setting": setting,
        **{name: scores[name] for name in METRICS if name in scores},
        "AR": scores["AR"],
        "AP50_by_class": {name: own["AP50"] for name, own in evaluated.by_class.items()},
        **{f"interval_{name}": [value.low, value.high] for name, value in intervals.items()},
        "seconds_per_image": float(np.mean(cpu)),
        "wall_seconds_per_image": float(np.mean(wall)),
    }


def peer_runs(args: argparse.Namespace, dataset: Path) -> dict[str, dict[str, Any]]:
    """Run the peer in its own environment, on the same pictures, in the same minutes."""
    script = ROOT / "benchmarks" / "peers" / "predict_yolo.py"
    with tempfile.TemporaryDirectory() as folder:
        command = [args.peer_python, script, args.peer_model, dataset, folder]
        command += ["--size", str(args.peer_size)]
        environment = os.environ | {"YOLO_OFFLINE": "true"}
        subprocess.run([str(part) for part in command], check=True, env=environment,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        return {path.stem: json.loads(path.read_text()) for path in Path(folder).glob("*.json")}


def compare(dataset: Dataset, base: Predictions, better: Predictions) -> dict[str, list[float]]:
    """95 % intervals of `better - base` on the same resampled pictures."""
    intervals = paired_bootstrap(dataset, base, better, METRICS)
    return {name: [value.low, value.high] for name, value in intervals.items()}


def main() -> None:
    """Measure and write ``benchmarks/results/NAME.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="bundled model, and folder of its data")
    parser.add_argument("--model", help="another model file")
    parser.add_argument("--data", type=Path, help="folder of val.json; FOVEATE_DATA/NAME if not")
    parser.add_argument("--scales", type=float, nargs="+", default=[1, 1.25, 1.5, 1.75, 2])
    parser.add_argument("--no-flips", action="store_true")
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--peer-model", type=Path)
    parser.add_argument("--peer-size", type=int, default=384)
    args = parser.parse_args()
    everything = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    labels = (args.data or everything / args.name) / "val.json"
    dataset = load_dataset(labels)
    detector = OnnxDetector(args.model or resolve_model(args.name), threads=2)
    info = detector.info
    system = f"foveate {info.name}"
    rows, kept = [], {}
    for setting, plan in settings(info.tile_plan, args.scales, not args.no_flips).items():
        shown: Detector = FlippedDetector(detector) if setting.endswith(FLIPS) else detector
        found, cpu, wall = predict(dataset, shown, plan, info.merge, info.size_multiple)
        rows.append(row(dataset, system, setting, found, cpu, wall))
        kept[setting] = found
        print(rows[-1], flush=True)
    plain, default = list(kept)[:2]
    differences = {"tiled - plain": compare(dataset, kept[plain], kept[default])}
    if args.peer_python:
        peers = peer_runs(args, labels)
        for name, run in peers.items():
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(run["predictions"], file)
                file.flush()
                found = read_predictions(file.name, dataset)
            times = run["cpu_seconds"], run["wall_seconds"]
            rows.append(row(dataset, "YOLO11n", name, found, *times))
            print(rows[-1], flush=True)
            differences[f"foveate tiled - YOLO11n {name}"] = compare(dataset, found, kept[default])
    outcomes = count_outcomes(
        dataset, kept[default], SIZE_BINS["ai-tod"], score_threshold=info.score_threshold
    )
    report = {
        "outcomes": {"threshold": info.score_threshold, **outcomes.to_dict()},
        "dataset": f"{args.name} val: {len(dataset)} pictures",
        "model": {"recipe_hash": info.recipe_hash, "created": info.created},
        "rows": rows,
        "differences": differences,
        "provenance": provenance(0, args.peer_python),
    }
    if args.peer_model:
        facts = args.peer_model.with_suffix(".json")
        report["peer"] = json.loads(facts.read_text()) if facts.is_file() else {}
    target = ROOT / "benchmarks" / "results" / f"{args.name}.json"
    write_atomically(target, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
