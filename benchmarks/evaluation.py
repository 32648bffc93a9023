"""Time and memory of the whole analysis of a run, and AP alone beside pycocotools and another.

    python benchmarks/evaluation.py --peer-python PEERS/bin/python

writes ``benchmarks/results/evaluation.json``. A synthetic data set, a million detections on a
thousand pictures, is written once; every measurement is a process of its own that reads it, and
the systems take turns, round by round. Without ``--peer-python`` only foveate is measured. Nothing
else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import resident, timed
from numpy.typing import NDArray
from provenance import provenance

from foveate.cli import run
from foveate.data.formats import to_coco
from foveate.evaluation import analyse, evaluate_detections, to_coco_results
from foveate.inspection.health import check_labels
from foveate.inspection.summary import inspect_labels
from foveate.structures import Annotations, Dataset, Detections, Sample

ROOT = Path(__file__).resolve().parent.parent
PEER_SCRIPT = ROOT / "benchmarks/peers/evaluate_peers.py"
PEERS = ("pycocotools", "faster-coco-eval")
ANALYSIS, FIGURES, COMMAND, INSPECTION = "analysis", "figures", "command", "inspection"
SEED, CLASSES, OBJECTS, WIDTH, HEIGHT = 0, 10, 100, 1920, 1080
MAX_DETECTIONS = 100
"""COCO's own; its figures are compared."""

Floats = NDArray[np.float64]


def main() -> None:
    """Measure, and write the JSON."""
    args = parse_arguments()
    if args.worker:
        what, file = args.worker
        print(json.dumps(work(what, Path(file))))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "boxes.npz"
        save(args.images, args.detections, file)
        save_json(file)
        rows = time_all(args, file)
        figures = compare_figures(args, file)
    report = {
        "provenance": provenance(SEED, args.peer_python),
        "scene": {
            "images": args.images,
            "detections": args.images * args.detections,
            "objects_per_image": OBJECTS,
            "classes": CLASSES,
        },
        "rows": rows,
        "figures": figures,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--detections", type=int, default=1000, help="in a picture")
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peers' environment")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/evaluation.json")
    parser.add_argument("--worker", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def time_all(args: argparse.Namespace, file: Path) -> list[dict[str, Any]]:
    """Medians over the rounds; in each round every system once."""
    systems = [
        ("analysis, everything", "foveate", ANALYSIS),
        ("`foveate evaluate --out`, from JSON files to the page", "foveate", COMMAND),
        ("inspection of the labels, with advice and health", "foveate", INSPECTION),
        ("AP alone", "foveate", "AP"),
    ]
    systems += [("AP alone", peer, peer) for peer in PEERS if args.peer_python]
    runs: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(args.rounds):
        for what, system, task in systems:
            runs.setdefault((what, system), []).append(start(args, task, file))
            print(what, system, json.dumps(runs[what, system][-1]), flush=True)
    return [
        {
            "what": what,
            "system": system,
            "seconds": round(statistics.median(run["seconds"] for run in parts), 2),
            "megabytes": round(max(run["megabytes"] for run in parts)),
            "runs": len(parts),
        }
        for (what, system), parts in runs.items()
    ]


def compare_figures(args: argparse.Namespace, file: Path) -> list[dict[str, Any]]:
    """AP of each peer, and how far any of COCO's twelve figures is from ours at most."""
    if not args.peer_python:
        return []
    ours = np.array(start(args, FIGURES, file)["figures"])
    rows = []
    for peer in PEERS:
        theirs = np.array(start(args, f"{FIGURES} {peer}", file)["figures"])
        off = float(np.abs(ours - theirs).max())
        rows.append({"system": peer, "AP": float(theirs[0]), "largest": off})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def start(args: argparse.Namespace, task: str, file: Path) -> dict[str, Any]:
    """What the process for one task prints."""
    if task.removeprefix(f"{FIGURES} ") in PEERS:
        call = [str(args.peer_python), str(PEER_SCRIPT), task, str(file)]
    else:
        call = [sys.executable, __file__, "--worker", task, str(file)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run(call, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(call)}: {done.stderr}")
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed


def work(task: str, file: Path) -> dict[str, Any]:
    """One of our tasks, in this process."""
    if task == COMMAND:
        folder = file.parent
        call = [folder / name for name in ("found.json", "labels.json", "out")]
        words = ["evaluate", *map(str, call[:2]), "--out", str(call[2]), "--json"]
        with contextlib.redirect_stdout(io.StringIO()):
            seconds, _, _ = timed(lambda: [run(words)])
        assert (folder / "out" / "index.html").is_file()
        return {"seconds": seconds, "megabytes": resident("VmHWM") / 1e6}
    dataset, predictions = load(file)
    if task == INSPECTION:
        seconds, _, _ = timed(lambda: [inspect_labels(dataset).to_dict(), check_labels(dataset)])
        return {"seconds": seconds, "megabytes": resident("VmHWM") / 1e6}
    if task == FIGURES:
        return {"figures": coco_figures(dataset, predictions)}
    if task == ANALYSIS:
        seconds, _, _ = timed(lambda: analyse(dataset, predictions).to_dict())
    else:
        seconds, _, _ = timed(
            lambda: evaluate_detections(
                dataset, predictions, max_detections=MAX_DETECTIONS
            ).to_dict()
        )
    return {"seconds": seconds, "megabytes": resident("VmHWM") / 1e6}


def coco_figures(dataset: Dataset, predictions: dict[int, Detections]) -> list[float]:
    """COCO's twelve, in the order of its own table."""
    scores, ten, one = (
        evaluate_detections(dataset, predictions, max_detections=most) for most in (100, 10, 1)
    )
    sizes = scores.by_size.values()
    return [
        *(scores.overall[name] for name in ("AP", "AP50", "AP75")),
        *(figures["AP"] for figures in sizes),
        *(some.overall["AR"] for some in (one, ten, scores)),
        *(figures["AR"] for figures in sizes),
    ]


def save(images: int, detections: int, file: Path) -> None:
    """Write a data set: labels, a fiftieth of them ignore regions, and detections of every kind."""
    rng = np.random.default_rng(SEED)
    count = images * OBJECTS
    side = np.exp(rng.normal(np.log(24), 0.8, (count, 1)) + rng.normal(0, 0.2, (count, 2)))
    boxes = around(rng.uniform(0, 1, (count, 2)) * [WIDTH, HEIGHT], np.clip(side, 3, 400))
    labels = rng.integers(0, CLASSES, count)
    total = images * detections
    image = np.repeat(np.arange(images), detections)
    meant = image * OBJECTS + rng.integers(0, OBJECTS, total)
    off = rng.exponential(0.12, total) * np.where(rng.random(total) < 0.6, 6, 1)
    spread = (off * np.sqrt(np.prod(boxes[meant, 2:] - boxes[meant, :2], axis=1)))[:, None]
    found = boxes[meant] + rng.normal(0, 1, (total, 4)) * spread
    stray = rng.random(total) < 0.3
    found[stray] = around(
        rng.uniform(0, 1, (stray.sum(), 2)) * [WIDTH, HEIGHT],
        np.exp(rng.normal(np.log(24), 0.8, (stray.sum(), 2))),
    )
    found = np.concatenate(
        [np.minimum(found[:, :2], found[:, 2:]), np.maximum(found[:, :2], found[:, 2:]) + 0.5], 1
    )
    score = rng.beta(2, 3, total) * np.exp(-1.5 * off) * np.where(stray, 0.3, 1)
    right_class = rng.random(total) < 0.9
    np.savez(
        file,
        object_image=np.repeat(np.arange(images), OBJECTS),
        object_box=boxes.astype(np.float32),
        object_label=labels,
        object_ignore=rng.random(count) < 0.02,
        image=image,
        box=found.astype(np.float32),
        score=np.clip(score, 0.001, 1).astype(np.float32),
        label=np.where(right_class, labels[meant], rng.integers(0, CLASSES, total)),
    )


def save_json(file: Path) -> None:
    """The same as COCO's files, beside it: ``labels.json`` and ``found.json``."""
    dataset, predictions = load(file)
    for name, content in (
        ("labels.json", to_coco(dataset)),
        ("found.json", to_coco_results(dataset, predictions)),
    ):
        (file.parent / name).write_text(json.dumps(content))


def around(centre: Floats, side: Floats) -> Floats:
    """Boxes of these sides about these centres."""
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1)


def load(file: Path) -> tuple[Dataset, dict[int, Detections]]:
    """Read what `save` wrote; picture ids and category ids start at 1."""
    with np.load(file, allow_pickle=False) as stored:
        table = dict(stored)
    samples, predictions = [], {}
    images = int(table["object_image"].max()) + 1
    for row in range(images):
        mine = slice(*np.searchsorted(table["object_image"], [row, row + 1]))
        part = Annotations(
            table["object_box"][mine], table["object_label"][mine], table["object_ignore"][mine]
        )
        samples.append(Sample(Path(f"{row + 1}.png"), row + 1, WIDTH, HEIGHT, part))
        mine = slice(*np.searchsorted(table["image"], [row, row + 1]))
        predictions[row + 1] = Detections(
            table["box"][mine], table["score"][mine], table["label"][mine]
        )
    names = tuple(f"class {number}" for number in range(1, CLASSES + 1))
    return Dataset("synthetic", names, tuple(range(1, CLASSES + 1)), tuple(samples)), predictions


if __name__ == "__main__":
    main()
