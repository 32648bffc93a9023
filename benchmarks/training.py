"""Steps of training beside other libraries: images a second on one batch size and tile size.

    python benchmarks/training.py --peer-python .venv-peers/bin/python

Ours beside torchvision's RetinaNet, SSD and Faster R-CNN on the same timm backbone
(`torchvision_models.py`), and beside Ultralytics' YOLO11n and YOLO11s in processes of their own.
Tiles are drawn once and held in memory; the systems take turns on the same ones, several rounds;
the median counts. A step is forward, loss, gradients, clipping and AdamW (SGD or what it chooses in
YOLO11's own loop); ours and YOLO11's keep a moving average of the weights as well, torchvision's
does not. Weights are random. One row has our tiles drawn between steps, as on a processor in
earnest, and one of each YOLO11 its own loader, from files.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from provenance import provenance
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision_models import BACKGROUND, MODELS

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.models import Targets
from foveate.structures import Dataset
from foveate.training.loader import batches
from foveate.training.loop import Trainer
from foveate.training.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
METHODS = (*MODELS, "yolov3", "center-point")
PRECISIONS = ("32-true", "bf16-mixed")
PEERS = ("yolo11n", "yolo11s")
WARM_UP = 3
Batch = tuple[Tensor, list[Targets]]
System = tuple[dict[str, Any], Callable[[Batch], None]]
Taught = tuple[nn.Module, Callable[[Batch], None]]


def recipe_for(method: str, precision: str, size: int, batch: int, steps: int) -> Recipe:
    """A run of random weights and the method's own anchors."""
    return Recipe.from_dict(
        {
            "name": method,
            "method": {"name": method, "backbone": {"weights": "none"}},
            "tile_plan": {"size": size},
            "iterations": steps,
            "batch_size": batch,
            "precision": precision,
        }
    )


def ours(method: str, precision: str, size: int, batch: int, classes: int) -> System:
    """A trainer of this library."""
    model, step = our_steps(method, precision, size, batch, classes)
    tile = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    return row("foveate", method, precision) | extent(model, tile), step


def torchvision(method: str, precision: str, size: int, classes: int) -> System:
    """A plain loop around torchvision's model."""
    model, step = torchvision_steps(method, precision, size, classes)
    tile = [torch.zeros(3, size, size)]
    return row("torchvision", method, precision) | extent(model, tile), step


def our_steps(method: str, precision: str, size: int, batch: int, classes: int) -> Taught:
    """One of our models, and its step."""
    trainer = Trainer(recipe_for(method, precision, size, batch, 10**6), classes)
    trainer.start()

    def step(data: Batch) -> None:
        trainer.step(100, *data).total.item()

    return trainer.model, step


def torchvision_steps(method: str, precision: str, size: int, classes: int) -> Taught:
    """One of torchvision's models, its weights in channels last, and a step."""
    model = MODELS[method](size, classes).train().to(memory_format=torch.channels_last)
    background = BACKGROUND[method]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step(data: Batch) -> None:
        images = list((data[0].permute(0, 3, 1, 2).float() / 255).unbind(0))
        targets = [{"boxes": t.boxes, "labels": t.labels + background} for t in data[1]]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            losses = model(images, targets)
        total = torch.stack([value.float() for value in losses.values()]).sum()
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        total.item()

    return model, step


@torch.no_grad()
def extent(model: nn.Module, tile: Any) -> dict[str, Any]:
    """Parameters of a model, and multiplications of its forward pass over one tile."""
    counter = FlopCounterMode(display=False)
    with counter:
        model.eval()(tile)
    model.train()
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "products": counter.get_total_flops() // 2,
    }


def row(system: str, method: str, precision: str, drawn: str = "in memory") -> dict[str, Any]:
    """What a row is of."""
    return {"system": system, "method": method, "precision": precision, "tiles": drawn}


def in_memory(dataset: Dataset, size: int, batch: int, steps: int) -> list[Batch]:
    """The batches of some steps, without boxes of no width, which torchvision refuses."""
    recipe = recipe_for("retinanet", "32-true", size, batch, steps)
    return [
        (images, [_solid(t) for t in targets]) for images, targets in batches(dataset, recipe, 0)
    ]


def _solid(targets: Targets) -> Targets:
    solid = ((targets.boxes[:, 2:] - targets.boxes[:, :2]) > 0).all(dim=1)
    return Targets(targets.boxes[solid], targets.labels[solid], targets.ignore)


def in_turn(systems: Sequence[System], data: Sequence[Batch]) -> list[list[float]]:
    """Seconds of the steps of every system on all batches; the first are not counted.

    Not step by step: the systems have more kernels together than oneDNN keeps, and would make
    theirs anew at every step, which no training does.
    """
    return [[_seconds(step, batch) for batch in data][WARM_UP:] for _, step in systems]


def _seconds(step: Callable[[Batch], None], batch: Batch) -> float:
    started = time.perf_counter()
    step(batch)
    return time.perf_counter() - started


def with_loader(dataset: Dataset, size: int, batch: int, steps: int) -> list[float]:
    """Seconds of our steps with their tiles drawn between."""
    recipe = recipe_for("retinanet", "bf16-mixed", size, batch, WARM_UP + steps)
    _, step = ours("retinanet", "bf16-mixed", size, batch, len(dataset.class_names))
    times, started = [], time.perf_counter()
    for data in batches(dataset, recipe, 0):
        step(data)
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return times[WARM_UP:]


def write_yolo(data: Sequence[Batch], folder: Path, names: Sequence[str]) -> Path:
    """The same tiles as files in YOLO's layout."""
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    for number, (image, one) in enumerate(
        (i, t) for images, ts in data for i, t in zip(images, ts, strict=True)
    ):
        side = image.shape[0]
        cv2.imwrite(str(folder / f"images/train/{number:05d}.png"), image.numpy()[..., ::-1])
        middle, extent = (
            (one.boxes[:, :2] + one.boxes[:, 2:]) / 2,
            one.boxes[:, 2:] - one.boxes[:, :2],
        )
        table = torch.cat([one.labels[:, None], middle / side, extent / side], dim=1).tolist()
        lines = [f"{int(label)} {' '.join(f'{v:.6f}' for v in box)}" for label, *box in table]
        (folder / f"labels/train/{number:05d}.txt").write_text("\n".join(lines))
    config = folder / "data.yaml"
    config.write_text(f"path: {folder}\ntrain: images/train\nval: images/train\n"
                      f"names: {json.dumps(list(names))}\n")  # fmt: skip
    return config


def yolo(
    python: Path, model: str, data: Path, size: int, batch: int, threads: int
) -> dict[str, Any]:
    """Seconds of the peer's steps, alone and with its loader, and its extent."""
    script = ROOT / "benchmarks" / "peers" / "train_step_peers.py"
    command = [python, script, data, "--model", model, "--size", size, "--batch", batch,
               "--threads", threads]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([str(part) for part in command], env=environment, check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows, by turns: our and torchvision's steps, our loader, the peer's process."""
    everything = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    dataset = load_dataset(everything / "nuclei" / "train.json")
    classes, size, batch = len(dataset.class_names), args.size, args.batch
    systems = [ours(m, p, size, batch, classes) for m in METHODS for p in PRECISIONS]
    systems += [torchvision(m, p, size, classes) for m in MODELS for p in PRECISIONS]
    data = in_memory(dataset, size, batch, WARM_UP + args.steps)
    facts = [facts for facts, _ in systems]
    facts.append(row("foveate", "retinanet", "bf16-mixed", "drawn between steps"))
    seconds: list[list[float]] = [[] for _ in facts]
    peers: dict[tuple[str, str], dict[str, Any]] = {}
    for _ in range(args.rounds):
        found = [*in_turn(systems, data), with_loader(dataset, size, batch, args.steps)]
        for times, new in zip(seconds, found, strict=True):
            times += new
        if args.peer_python:
            add_peers(peers, data, dataset.class_names, args)
    rows = [one | {"times": times} for one, times in zip(facts, seconds, strict=True)]
    return [in_short(one, batch) for one in [*rows, *peers.values()]]


def add_peers(
    rows: dict[tuple[str, str], dict[str, Any]],
    data: Sequence[Batch],
    names: Sequence[str],
    args: argparse.Namespace,
) -> None:
    """One more round of the peers, in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        config = write_yolo(data, Path(folder), names)
        for model in PEERS:
            peer = yolo(args.peer_python, model, config, args.size, args.batch, args.threads)
            for kind, drawn in (("step", "in memory"), ("all", "from files")):
                known = row("Ultralytics", model, "32-true", drawn) | peer["extent"]
                times = rows.setdefault((model, kind), known | {"times": []})["times"]
                times += peer[kind][WARM_UP:]


def in_short(one: dict[str, Any], batch: int) -> dict[str, Any]:
    """A row with the median in place of its times."""
    facts = {key: value for key, value in one.items() if key != "times"}
    median = statistics.median(one["times"])
    return facts | {
        "seconds": round(median, 4),
        "steps": len(one["times"]),
        "images_per_second": round(batch / median, 3),
    }


def main() -> None:
    """Measure and write ``benchmarks/results/training.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", type=Path, help="of the peers' environment")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12, help="timed, of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/training.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report = {"rows": measured(args), "size": args.size, "batch": args.batch,
              "threads": args.threads, "provenance": provenance(0, args.peer_python)}  # fmt: skip
    write_atomically(args.out, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
