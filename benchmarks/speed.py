"""The same weights on the same pictures: AP of small objects against time and memory.

    python benchmarks/speed.py --peer-python PEERS/bin/python --resume
    python benchmarks/speed.py --peer-python PEERS/bin/python --only sky raster --resume
    python benchmarks/speed.py --scale smoke --only pitch

SAHI, supervision's InferenceSlicer and foveate show tiles of the same size, overlap and scale to
the same ONNX file, with two threads, and take boxes from the same score on. foveate looks at all
tiles, or at those that a glance chooses which was fitted on other pictures; with ``--int8 FOLDER``
it does both with quantised files, too (``FOLDER/NAME.onnx`` for each bundled NAME).

Sky is scored as of one class, boxes on one another taken for the best, alike for all: in a few
dozen pictures what matters is otherwise how the classes of a few pixels are confused.

Each system is a process of its own. First each does all pictures, which warms it up and is scored;
then, in rounds, each in turn does some of them: time from the file to merged boxes, medians over
the rounds. Peak memory is that of the whole process. What fitting the glance costs is told apart.

``raster`` is a GeoTIFF of a gigapixel: real streets on terrain. foveate does it with
`detect_raster`; the other libraries do a smaller one, and foveate beside them.

Writes ``benchmarks/results/speed.json`` part by part. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from provenance import provenance
from speed_parts import (
    PARTS,
    SCALES,
    Part,
    SpeedScale,
    once,
    terrain_canvases,
    terrain_raster,
)
from speed_systems import (
    ALL,
    BOTH,
    INT8,
    PEERS,
    SCORE,
    SELECTIVE,
    THREADS,
    System,
    Worker,
    WorkerError,
    ours,
    peers,
)

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.evaluation import evaluate_detections, paired_bootstrap
from foveate.inference.bundled import resolve_model
from foveate.inference.glance import OnnxGlance
from foveate.inference.onnx_file import read_model_info
from foveate.merge.greedy import greedy_kept
from foveate.structures import Dataset, Detections

ROOT = Path(__file__).resolve().parent.parent
SEED = 0
MOST = 100_000
"""Detections of a raster that are scored."""
METRICS = ("AP", "AP_small", "AR_small")
SCORED = ("AP", "AP50", "AP_small", "AR", "AR_small")
RASTER = "raster"
WARM_PIXELS = 8e6
"""Of the raster that is done first."""
ON_RASTERS = ("SAHI", "supervision")
"""Peers that do the smaller raster, each in the way that is best for pictures."""
Found = dict[int, Detections]


class Bench:
    """Runs parts.

    Args:
        scale: How much is spent.
        data: Folder of the data sets.
        runs: Folder for what is made; kept between runs.
        peer_python: Of the other libraries' environment.
        int8: Folder of quantised models.
    """

    def __init__(
        self, scale: SpeedScale, data: Path, runs: Path, peer_python: Path | None, int8: Path | None
    ) -> None:
        self.scale, self.data, self.runs = scale, data, runs
        self.peer_python, self.int8 = peer_python, int8

    def part(self, name: str) -> dict[str, Any]:
        """Measure one part."""
        if name == RASTER:
            return self.raster()
        work = self.runs / name
        part = PARTS[name](self.data, work, self.scale)
        dataset = load_dataset(part.test)
        systems, glance = self._systems(part, work, PEERS)
        with ExitStack() as stack:
            workers = {key: started(system, stack) for key, system in systems.items()}
            rows, found = self._measured(workers, dataset)
        if part.one_class:
            dataset, found = as_one_class(dataset, found)
        return {
            **self._facts(part, glance),
            "pictures": len(dataset),
            "timed": len(self._timed(dataset)),
            "rows": [{**row, **scored(dataset, found[row["system"]])} for row in rows],
            "differences": differences(dataset, part, found),
        }

    def _facts(self, part: Part, glance: Mapping[str, Any]) -> dict[str, Any]:
        plan = read_model_info(resolve_model(part.model)).tile_plan
        return {
            "about": part.about, "model": part.model, "tile": plan.size,
            "overlap": plan.overlap_pixels, "scale": plan.scale, "glance": dict(glance),
        }  # fmt: skip

    def _systems(
        self,
        part: Part,
        work: Path,
        others: Sequence[str] | Mapping[str, Any],
        *,
        raster: bool = False,
    ) -> tuple[dict[str, System], dict[str, Any]]:
        """All systems of a part by name, and what was fitted for them."""
        model = resolve_model(part.model)
        info = read_model_info(model)
        systems = peers(
            self.peer_python, info, model, list(others), self.scale.tried, raster=raster
        )
        files = {(ALL, SELECTIVE): model}
        if self.int8 is not None and (self.int8 / f"{part.model}.onnx").is_file():
            files[INT8, BOTH] = self.int8 / f"{part.model}.onnx"
        glance, told = self._glance(part, model, work)
        for (whole, selective), file in files.items():
            systems[whole] = ours(info, file, None, "", raster=raster)
            systems[selective] = ours(info, file, glance, told["select"], raster=raster)
        return systems, told

    def _glance(self, part: Part, model: Path, work: Path) -> tuple[Path, dict[str, Any]]:
        """Fit a glance with the command, once; what it took and what it promises."""
        path, told = work / "glance.onnx", work / "glance.json"
        if not told.is_file():
            work.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "foveate", "glance", "fit", part.train]
            command += ["--model", model, "--out", path, "--by", part.by, *self.scale.fit]
            started_at = time.perf_counter()
            subprocess.run([str(word) for word in command], check=True)
            took = round(time.perf_counter() - started_at, 1)
            write_atomically(told, json.dumps(promised(path) | {"fit_seconds": took}).encode())
        facts: dict[str, Any] = json.loads(told.read_text())
        return path, facts

    def _timed(self, dataset: Dataset) -> list[Path]:
        """Some of the pictures, evenly."""
        paths = [sample.path for sample in dataset.samples]
        count = min(self.scale.timed, len(paths))
        return [paths[(2 * i + 1) * len(paths) // (2 * count)] for i in range(count)]

    def _measured(
        self, workers: Mapping[str, Worker], dataset: Dataset
    ) -> tuple[list[dict[str, Any]], dict[str, Found]]:
        found, answers = {}, {}
        for name, worker in workers.items():
            found[name], answers[name] = detected(worker, dataset)
            print(name, answers[name], flush=True)
        paths = self._timed(dataset)
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
        for number in range(self.scale.rounds):
            order = [*workers][number % len(workers) :] + [*workers][: number % len(workers)]
            for name in order:
                rounds[name].append(workers[name].ask(paths))
        rows = [
            {
                "system": name,
                **median_of(rounds[name], len(paths)),
                "tiles_per_picture": answers[name]["tiles"] / len(dataset),
                "network_pixels": answers[name].get("pixels"),
                "way": answers[name].get("way"),
                **worker.memory(),
            }
            for name, worker in workers.items()
        ]
        return rows, found

    def raster(
        self, kept: Sequence[dict[str, Any]] = (), again: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Measure the raster, or some systems again."""
        work = self.runs / RASTER
        folder = self.data / "aerial"
        train = once(work / "train", partial(terrain_canvases, folder / "train.json"))
        sizes = {"warm": WARM_PIXELS, "small": self.scale.peer_pixels, "whole": self.scale.pixels}
        warm, small, whole = (
            once(work / name, partial(terrain_raster, folder / "val.json", pixels))
            for name, pixels in sizes.items()
        )
        part = Part(
            "aerial", "streets from above on terrain, one GeoTIFF", train, whole, by="folder"
        )
        systems, glance = self._systems(part, work, ON_RASTERS, raster=True)
        if unknown := set(again) - systems.keys():
            raise SystemExit(f"--again: no system {unknown.pop()!r}; known: {', '.join(systems)}")
        rows = [row for row in kept if row["system"] not in again]
        for name in again or systems:
            system = systems[name]
            for labels in (small, whole) if name not in ON_RASTERS else (small,):
                rows.append({"system": name, **on_raster(system, load_dataset(labels), warm)})
                print(rows[-1], flush=True)
        return {**self._facts(part, glance), "rows": rows}


def on_raster(system: System, dataset: Dataset, warm: Path) -> dict[str, Any]:
    """One system over one raster, in a process of its own, after a small one."""
    sample = dataset.samples[0]
    size = {"width": sample.width, "height": sample.height}
    try:
        with closing(Worker(system)) as worker:
            worker.ask([load_dataset(warm).samples[0].path])
            found, answer = detected(worker, dataset)
            memory = worker.memory()
    except WorkerError as failure:
        return size | {"failed": str(failure)}
    return size | answer | scored(dataset, found, MOST) | memory


def started(system: System, stack: ExitStack) -> Worker:
    """A system's process, until the stack ends."""
    return stack.enter_context(closing(Worker(system)))


def detected(worker: Worker, dataset: Dataset) -> tuple[Found, dict[str, Any]]:
    """What a system finds in all pictures, by image id, and its answer."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        answer = worker.ask([sample.path for sample in dataset.samples], out)
        rows = json.loads(out.read_text())
    return {s.image_id: detections(r) for s, r in zip(dataset.samples, rows, strict=True)}, answer


def detections(rows: Sequence[Sequence[float]]) -> Detections:
    """From rows of x1, y1, x2, y2, score, label; best first."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64)).in_order()


def as_one_class(dataset: Dataset, found: Mapping[str, Found]) -> tuple[Dataset, dict[str, Found]]:
    """Labels and detections as if all were of one class; boxes on one another become the best."""
    samples = tuple(
        replace(one, annotations=replace(one.annotations, labels=0 * one.annotations.labels))
        for one in dataset.samples
    )
    one_class = replace(dataset, samples=samples, class_names=("object",), category_ids=(1,))
    return one_class, {
        system: {key: _as_one_class(own) for key, own in boxes.items()}
        for system, boxes in found.items()
    }


def _as_one_class(found: Detections) -> Detections:
    one = replace(found, labels=0 * found.labels)
    return one[greedy_kept(one.boxes, one.labels, 0.5, "iou")]


def scored(dataset: Dataset, found: Found, most: int = 500) -> dict[str, float]:
    """AP and recall of a system."""
    scores = evaluate_detections(dataset, found, max_detections=most).flat()
    return {name: scores[name] for name in SCORED if name in scores}


def median_of(rounds: Sequence[Mapping[str, Any]], pictures: int) -> dict[str, Any]:
    """Seconds a picture over the rounds, and where foveate says that they went."""
    seconds = [one["seconds"] / pictures for one in rounds]
    stages = rounds[-1].get("stages")
    return {
        "seconds": statistics.median(seconds),
        "rounds": [round(one, 5) for one in seconds],
        "cpu_seconds": statistics.median(one["cpu_seconds"] / pictures for one in rounds),
        "stages": {name: took / pictures for name, took in stages.items()} if stages else None,
    }


def promised(glance: Path) -> dict[str, Any]:
    """What is asked of a glance: the recall beyond which its held-out pictures say it is dear."""
    calibration = OnnxGlance(glance).calibration
    row = calibration.worthwhile
    if row is None:
        raise SystemExit(f"{glance}: too few pictures were held out to promise anything")
    return {
        "select": row.select, "kept": row.mean, "looked": row.looked,
        "held_out": calibration.units, "by": calibration.unit,
    }  # fmt: skip


def differences(dataset: Dataset, part: Part, found: Mapping[str, Found]) -> dict[str, Any]:
    """Value and 95 % interval of each system less foveate with all tiles, on the same resamples."""
    groups = part.groups(dataset)
    told = {}
    for name, own in found.items():
        if name != ALL:
            apart = paired_bootstrap(dataset, found[ALL], own, METRICS, groups=groups)
            plain = {metric: one.to_dict() for metric, one in apart.items()}
            told[name] = {m: [one["value"], one["low"], one["high"]] for m, one in plain.items()}
    return told


def main() -> None:
    """Measure and write the JSON, one part at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*PARTS, RASTER)
    parser.add_argument("--scale", choices=tuple(SCALES), default="cpu")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some parts")
    parser.add_argument("--resume", action="store_true", help="keep the parts that are there")
    parser.add_argument("--again", nargs="+", default=(), help="systems; the raster's alone")
    parser.add_argument("--peer-python", type=Path, help="of SAHI's and supervision's environment")
    parser.add_argument("--int8", type=Path, help="folder of quantised models")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "speed")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    data = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    scale = SCALES[args.scale]
    bench = Bench(scale, data, args.runs / scale.name, args.peer_python, args.int8)
    target = args.results / ("speed.json" if scale.name == "cpu" else f"speed-{scale.name}.json")
    report: dict[str, Any] = {"scale": scale.name, "score": SCORE, "threads": THREADS, "parts": {}}
    if args.resume and target.is_file():
        report = json.loads(target.read_text())
    for name in args.only:
        old = report["parts"].get(name)
        if old and not (args.again and name == RASTER):
            print(f"{name}: already in {target.name}", flush=True)
            continue
        started_at = time.perf_counter()
        again = bench.raster(old["rows"], args.again) if old else bench.part(name)
        report["parts"][name] = (old or {}) | again
        report["parts"][name]["minutes"] = round((time.perf_counter() - started_at) / 60, 2)
        report["provenance"] = provenance(SEED, args.peer_python)
        write_atomically(target, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
