"""Time and memory of every merge by the number of boxes, and three small cases: ours and peers'.

    python benchmarks/merge.py --peer-python PEERS/bin/python

writes ``benchmarks/results/merge.json``. Every measurement is a process of its own, on one core,
with 6 GB of memory and twenty seconds; all read the same files. Without ``--peer-python`` only
foveate is measured. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import measure
from numpy.typing import NDArray
from provenance import provenance

from foveate.merge import MERGES, MergeConfig, MergeMethod, merge_tiles
from foveate.structures import Detections, TiledDetections
from foveate.tiling import TilePlan, plan_tiles

ROOT = Path(__file__).resolve().parent.parent
PEER_SCRIPT = ROOT / "benchmarks/peers/merge_peers.py"
PEERS = (
    ("SAHI", "GreedyNMM, IoS"),
    ("SAHI", "GreedyNMM, IoS, indices only"),
    ("SAHI", "NMS, IoU"),
    ("SAHI", "NMS, IoU, indices only"),
    ("supervision", "with_nms"),
    ("supervision", "with_nmm"),
    ("torchvision", "batched_nms"),
)
COUNTS = (1_000, 20_000, 100_000, 1_000_000)
SEED, TILE, OVERLAP, SPACING = 0, 640, 0.2, 54
SECONDS, BYTES = 20, 6_000_000_000
COUNTED_SCORE = 0.3
"""Soft suppression leaves what it strikes with a low score; below this it counts as gone."""


def main() -> None:
    """Measure, and write the JSON."""
    args = parse_arguments()
    if args.worker:
        method, file = args.worker
        print(json.dumps(measure_own(method, Path(file), args.runs)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows, unfinished = time_all(args, Path(folder))
        cases = try_cases(args, Path(folder))
    report = {
        "provenance": provenance(SEED, args.peer_python),
        "scene": (
            f"objects of 8-30 px, one every {SPACING} px, three classes; tiles of {TILE} px, "
            f"overlap {OVERLAP}; every tile sees its part of every object a little off, 30 % twice"
        ),
        "limits": {"seconds": SECONDS, "bytes": BYTES, "threads": 1},
        "rows": rows,
        "unfinished": unfinished,
        "micro_cases": cases,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of boxes")
    parser.add_argument("--peer-python", type=Path, help="interpreter of the peers' environment")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/merge.json")
    parser.add_argument("--worker", nargs=2, metavar=("MERGE", "FILE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def time_all(
    args: argparse.Namespace, work: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows for what finished, and for what did not, with the reason."""
    systems = [("foveate", method) for method in MERGES]
    systems += PEERS if args.peer_python else ()
    rows, unfinished = [], []
    given_up: set[tuple[str, str]] = set()
    for count in args.counts:
        file = work / f"{count}.npz"
        save(scattered(count, SEED), file)
        for system, merge in systems:
            if (system, merge) in given_up:
                continue
            row = {"system": system, "merge": merge, "boxes": count}
            done, why = start(command(args, "time", system, merge, file))
            if why:
                given_up.add((system, merge))
                unfinished.append(row | {"why": why})
            else:
                rows.append(row | json.loads(done))
            print(json.dumps((unfinished if why else rows)[-1]), flush=True)
    return rows, unfinished


def command(
    args: argparse.Namespace, what: str, system: str, merge: str, file: Path
) -> Sequence[str]:
    """The process that measures one merge on one file."""
    runs = ["--runs", str(args.runs)]
    if system == "foveate":
        return [sys.executable, __file__, "--worker", merge, str(file), *runs]
    return [str(args.peer_python), str(PEER_SCRIPT), what, system, merge, str(file), *runs]


def start(call: Sequence[str]) -> tuple[str, str]:
    """Run within the limits.

    Returns:
        What it printed, and why it did not finish, or nothing: ``"time"`` or ``"memory"``.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "benchmarks")}
    try:
        done = subprocess.run(
            call,
            check=False,
            env=environment,
            timeout=SECONDS,
            capture_output=True,
            text=True,
            preexec_fn=limit,
        )
    except subprocess.TimeoutExpired:
        return "", "time"
    if done.returncode == 0:
        return done.stdout.splitlines()[-1], ""
    if any(word in done.stderr for word in ("memory", "MemoryError")):
        return "", "memory"
    raise RuntimeError(f"{' '.join(call)}: {done.stderr}")


def limit() -> None:
    """Give this process no more memory than that."""
    resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))


def measure_own(method: MergeMethod, file: Path, runs: int) -> dict[str, Any]:
    """Time one of our merges in this process."""
    scene, config = load(file), MergeConfig(method=method)
    merge_tiles(scattered(500, SEED), config)
    return measure(lambda: merge_tiles(scene, config), runs)


def scattered(count: int, seed: int) -> TiledDetections:
    """Boxes as tiles give them, near enough to real ones.

    Args:
        count: Number of boxes; the picture grows with it.
        seed: Of everything random.
    """
    rng = np.random.default_rng(seed)
    objects = count // 2 + 20
    side = max(int(np.sqrt(objects) * SPACING), TILE + 60)
    tiles = plan_tiles(side, side, TilePlan(size=TILE, overlap=OVERLAP))
    regions = np.array([tile.box for tile in tiles], np.float64)
    centre, half = rng.uniform(0, side, (objects, 2)), rng.uniform(4, 15, (objects, 2))
    boxes = np.clip(np.concatenate([centre - half, centre + half], axis=1), 0, side)
    row, tile = seen_by(boxes, regions)
    twice = np.flatnonzero(rng.random(len(row)) < 0.3)
    row, tile = np.concatenate([row, row[twice]]), np.concatenate([tile, tile[twice]])
    drawn = boxes[row] + rng.normal(0, 0.8, (len(row), 4))
    low, high = regions[tile][:, [0, 1, 0, 1]], regions[tile][:, [2, 3, 2, 3]]
    drawn = np.clip(drawn, low, high)
    labels = rng.integers(0, 3, objects)[row]
    scores = np.clip(rng.beta(5, 2, objects)[row] + rng.normal(0, 0.05, len(row)), 0.01, 0.99)
    found = Detections(drawn.astype(np.float32), scores.astype(np.float32), labels.astype(np.int64))
    some = rng.permutation(len(row))[:count]
    return TiledDetections(found[some], tile[some], regions.astype(np.float32), (side, side))


def seen_by(
    boxes: NDArray[np.float64], regions: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every object with every tile that shows at least 2 x 2 pixels of it: rows of both."""
    columns, rows = np.unique(regions[:, 0]), np.unique(regions[:, 1])
    pairs = []
    for back_x in range(2):
        for back_y in range(2):
            column = np.searchsorted(columns, boxes[:, 2]) - 1 - back_x
            row = np.searchsorted(rows, boxes[:, 3]) - 1 - back_y
            inside = (column >= 0) & (row >= 0)
            tile = np.where(inside, row * len(columns) + column, 0)
            part = np.minimum(boxes[:, 2:], regions[tile, 2:]) - np.maximum(
                boxes[:, :2], regions[tile, :2]
            )
            seen = np.flatnonzero(inside & (part >= 2).all(axis=1))
            pairs.append((seen, tile[seen]))
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def save(scene: TiledDetections, file: Path) -> None:
    """Write a scene for other processes."""
    found = scene.detections
    np.savez(
        file,
        boxes=found.boxes,
        scores=found.scores,
        labels=found.labels,
        tile_index=scene.tile_index,
        regions=scene.regions,
        image_size=scene.image_size,
    )


def load(file: Path) -> TiledDetections:
    """Read what `save` wrote."""
    with np.load(file, allow_pickle=False) as stored:
        found = Detections(stored["boxes"], stored["scores"], stored["labels"])
        width, height = stored["image_size"].tolist()
        return TiledDetections(found, stored["tile_index"], stored["regions"], (width, height))


CASES: dict[str, dict[str, Any]] = {
    "a 20-px object inside a 100-px one stays": {
        "regions": [[0, 0, 640, 640]],
        "found": [(0, [100, 100, 200, 200], 0.9), (0, [140, 140, 160, 160], 0.8)],
        "right": [[100, 100, 200, 200], [140, 140, 160, 160]],
    },
    "an object of twice the overlap and more is one box": {
        "regions": [[0, 0, 256, 256], [205, 0, 461, 256], [410, 0, 666, 256]],
        "found": [
            (0, [60, 100, 256, 140], 0.9),
            (1, [205, 100, 461, 140], 0.85),
            (2, [410, 100, 560, 140], 0.8),
        ],
        "right": [[60, 100, 560, 140]],
    },
    "a 4-px sliver does not outlive the full 12-px box": {
        "regions": [[0, 0, 256, 256], [205, 0, 461, 256]],
        "found": [(0, [252, 100, 256, 112], 0.9), (1, [252, 100, 264, 112], 0.8)],
        "right": [[252, 100, 264, 112]],
    },
}


def try_cases(args: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Which merge gets which of `CASES` right."""
    systems = [("foveate", method) for method in MERGES]
    systems += [peer for peer in PEERS if "indices" not in peer[1]] if args.peer_python else []
    rows = []
    for system, merge in systems:
        row: dict[str, Any] = {"system": system, "merge": merge}
        for number, (name, case) in enumerate(CASES.items()):
            file = work / f"case{number}.npz"
            save(scene_of(case), file)
            row[name] = is_right(merged_boxes(args, system, merge, file), case["right"])
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def scene_of(case: dict[str, Any]) -> TiledDetections:
    """A case as its tiles give it."""
    tile, boxes, scores = (list(column) for column in zip(*case["found"], strict=True))
    regions = np.array(case["regions"], np.float32)
    found = Detections(
        np.array(boxes, np.float32), np.array(scores, np.float32), np.zeros(len(tile), np.int64)
    )
    size = int(regions[:, 2].max()), int(regions[:, 3].max())
    return TiledDetections(found, np.array(tile), regions, size)


def merged_boxes(
    args: argparse.Namespace, system: str, merge: str, file: Path
) -> list[list[float]]:
    """Boxes that a merge leaves, with a score that counts."""
    if system == "foveate":
        found = merge_tiles(load(file), MergeConfig.from_dict({"method": merge}))
        boxes: list[list[float]] = found.boxes[found.scores >= COUNTED_SCORE].tolist()
        return boxes
    done, why = start(command(args, "boxes", system, merge, file))
    if why:
        raise RuntimeError(f"{system} {merge}: {why}")
    return [row[:4] for row in json.loads(done) if row[4] >= COUNTED_SCORE]


def is_right(boxes: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> bool:
    """The same boxes, in any order, to two pixels."""
    if len(boxes) != len(right):
        return False
    off = np.abs(np.array(sorted(map(list, boxes))) - np.array(sorted(map(list, right))))
    return bool((off <= 2).all())


if __name__ == "__main__":
    main()
