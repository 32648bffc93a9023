"""Does following ``foveate inspect`` pay? Train as advised, by default, and plain; compare.

    python benchmarks/advice.py --inspect nuclei aerial vhr10 tennis-ball faces
    python benchmarks/advice.py tennis-ball faces vhr10
    python benchmarks/advice.py faces --iterations 1500 --scale gpu

The first only inspects: what is advised, and what is wrong with the data. The others test advice.

Of each data set `train.json` is inspected. The library's default recipe (center-point) is then
trained three ways that differ in nothing but how pictures are shown: whole, squeezed into 640
pixels (plain); as the recipe says (default); as advised. Steps, tiles a step (8 of 384 px), seed
and everything else are the same; two ways with one scale share their weights. Each is scored on
`val.json`, which neither advice nor training has seen, with the tile plan it was trained for.
Differences carry 95 % intervals over resampled pictures. Runs are kept and resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import predict
from provenance import provenance

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.data.formats.splits import load_splits
from foveate.evaluation import bootstrap_interval, evaluate_detections, paired_bootstrap
from foveate.export.onnx import export_run
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inspection.advice import advise
from foveate.inspection.crowding import measure_crowding
from foveate.inspection.health import check_labels
from foveate.inspection.leaks import check_splits
from foveate.inspection.objects import Objects
from foveate.inspection.picture_files import check_files
from foveate.inspection.summary import inspect_labels
from foveate.structures import Dataset
from foveate.tiling import TilePlan
from foveate.training.loop import train
from foveate.training.recipe import Recipe, load_recipe

ROOT = Path(__file__).resolve().parent.parent
METRICS = ("AP", "AP50", "AP_small")
TRAINING_TILE = 384
PLAIN_SIZE = 640
ITERATIONS = {"cpu": 400, "gpu": 4000}


def plans(dataset: Dataset) -> tuple[dict[str, TilePlan], dict[str, Any]]:
    """The three ways, and what the advice was."""
    objects = Objects.of(dataset)
    advice = advise(objects, measure_crowding(objects))
    squeezed = float(np.median(PLAIN_SIZE / objects.image_sizes.max(axis=1)))
    plain = TilePlan(size=PLAIN_SIZE, scale=round(squeezed, 4), plain=True)
    default = load_recipe("center-point").tile_plan
    return {"plain": plain, "default": default, "advised": advice.plan}, advice.to_dict()


def inspected(data: Path) -> dict[str, Any]:
    """What `foveate inspect` says of a data set, in brief."""
    splits = load_splits(data)
    started = time.perf_counter()
    inspection = inspect_labels(splits["train"])
    findings = check_labels(splits["train"])
    labels = time.perf_counter() - started
    findings += check_files(splits["train"], [splits["val"]])
    findings += check_splits(splits)
    plain, _, advised = inspection.views
    best = max(inspection.advice.anchors.values(), key=lambda fit: fit.mean_iou)
    default = inspection.advice.default_anchors
    assert default is not None
    return {
        "objects": len(inspection.objects),
        "images": len(inspection.objects.image_sizes),
        "median_side": inspection.views[1].overall.median,
        "lost_at_16": {view.name: view.overall.lost[16] for view in (plain, advised)},
        "plan": advised.plan.model_dump(mode="json"),
        "tiles_per_image": inspection.advice.coverage.tiles,
        "anchors_mean_iou": {"default": default.mean_iou, "fitted": best.mean_iou},
        "findings": [one.to_dict() for one in findings if one.severity != "note"],
        "seconds_labels": round(labels, 3),
        "seconds": round(time.perf_counter() - started, 2),
    }


def recipe_for(name: str, plan: TilePlan, iterations: int) -> Recipe:
    """The default recipe with another tile plan."""
    base = load_recipe("center-point")
    changed = {
        "name": name,
        "tile_plan": plan,
        "sampling": base.sampling.model_copy(update={"tile": TRAINING_TILE}),
        "iterations": iterations,
    }
    return base.model_copy(update=changed)


def trained(data: Path, name: str, plan: TilePlan, iterations: int, runs: Path) -> Path:
    """A model of this data set at this scale; one that is there already is taken."""
    out = runs / f"{name}-x{plan.scale:g}-{iterations}"
    model = out / "model.onnx"
    if not model.is_file():
        recipe = recipe_for(name, plan.model_copy(update={"plain": False}), iterations)
        train(recipe, data / "train.json", out)  # scored below, in the runtime
        export_run(out, model)
    return model


def measure(dataset: Dataset, model: Path, plan: TilePlan, way: str) -> tuple[dict[str, Any], Any]:
    """A row of the table, and the predictions."""
    detector = OnnxDetector(model, threads=2)
    info = detector.info
    found, cpu, wall = predict(dataset, detector, plan, info.merge, info.size_multiple)
    scores = evaluate_detections(dataset, found)
    intervals = bootstrap_interval(dataset, found, METRICS)
    row = {
        "way": way,
        "tile_plan": plan.model_dump(mode="json"),
        **{name: scores.flat().get(name) for name in METRICS},
        "objects_small": scores.objects_by_size["small"],
        **{f"interval_{name}": [value.low, value.high] for name, value in intervals.items()},
        "seconds_per_image": float(np.mean(cpu)),
        "wall_seconds_per_image": float(np.mean(wall)),
    }
    return row, found


def compare(data: Path, iterations: int, runs: Path) -> dict[str, Any]:
    """All of one data set."""
    ways, advice = plans(load_dataset(data / "train.json"))
    held_out = load_dataset(data / "val.json")
    rows, kept = [], {}
    for way, plan in ways.items():
        model = trained(data, data.name, plan, iterations, runs)
        row, kept[way] = measure(held_out, model, plan, way)
        rows.append(row)
        print(data.name, row, flush=True)
    differences = {}
    for other in ("plain", "default"):
        gain = paired_bootstrap(held_out, kept[other], kept["advised"], METRICS)
        differences[f"advised - {other}"] = {
            name: [one.value, one.low, one.high] for name, one in gain.items()
        }
    return {"rows": rows, "differences": differences, "advice": advice["recommendations"],
            "images": len(held_out)}  # fmt: skip


def main() -> None:
    """Measure and write ``benchmarks/results/advice.json``, a data set at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+", help="folders with train.json and val.json")
    parser.add_argument("--inspect", action="store_true", help="only inspect; train nothing")
    parser.add_argument("--scale", choices=tuple(ITERATIONS), default="cpu")
    parser.add_argument("--iterations", type=int, help="steps; by --scale if not given")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "advice")
    args = parser.parse_args()
    everything = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    iterations = args.iterations or ITERATIONS[args.scale]
    target = ROOT / "benchmarks" / "results" / "advice.json"
    report = json.loads(target.read_text()) if target.is_file() else {}
    for name in args.datasets:
        if args.inspect:
            report.setdefault("inspected", {})[name] = inspected(everything / name)
        else:
            result = compare(everything / name, iterations, args.runs)
            result |= {"iterations": iterations, "date": provenance(0)["date"]}
            report.setdefault("datasets", {})[name] = result
        report["provenance"] = provenance(0)
        write_atomically(target, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
