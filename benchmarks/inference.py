"""Tiles detected a second, beside torchvision's models on the same backbone.

    python benchmarks/inference.py

writes ``benchmarks/results/inference.json``. Ours in torch, ours as the exported file in the
torch-free runtime, and torchvision's in torch (`torchvision_models.py`), from the same pixels to
the boxes that are left after suppression. They take turns, several rounds; the median counts.
All have ImageNet's weights in the backbone and are taught the same tiles for some steps first, as
random weights find nothing in one library and everything in another. The tiles they are timed on
are of held-out pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import timed
from provenance import provenance
from torch import nn
from torchvision_models import MODELS
from training import Batch, Taught, in_memory, our_steps, recipe_for, torchvision_steps

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.export.onnx import describe, model_bytes
from foveate.inference.model_info import METADATA_KEY
from foveate.inference.onnx_detector import OnnxDetector
from foveate.models import Method
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.structures import UInt8Image
from foveate.training.validate import TorchDetector

ROOT = Path(__file__).resolve().parent.parent
Tiles = list[UInt8Image]
System = tuple[dict[str, str], Callable[[Tiles], list[Any]]]


def taught(fresh: Taught, lessons: Sequence[Batch]) -> nn.Module:
    """A model after a step on each batch, from ImageNet's weights in its backbone."""
    model, step = fresh
    (backbone,) = (m for m in model.modules() if isinstance(m, Backbone))
    config = BackboneConfig(strides=backbone.strides)
    backbone.load_state_dict(Backbone(config).state_dict())
    for batch in lessons:
        step(batch)
    return model.eval()


def ours(
    method: str, size: int, names: list[str], lessons: Sequence[Batch], folder: Path
) -> list[System]:
    """A method in torch and as an exported file."""
    torch.manual_seed(0)
    batch = len(lessons[0][1])
    recipe = recipe_for(method, "32-true", size, batch, 1)
    model = taught(our_steps(method, "bf16-mixed", size, batch, len(names)), lessons)
    assert isinstance(model, Method)
    path = folder / f"{method}.onnx"
    metadata = {METADATA_KEY: describe(model, recipe, names, ()).model_dump_json()}
    write_atomically(path, model_bytes(model, half=False, metadata=metadata))
    in_torch = TorchDetector(model.to(memory_format=torch.channels_last), torch.device("cpu"))
    exported = OnnxDetector(path, threads=torch.get_num_threads())
    return [
        ({"system": "foveate", "method": method, "by": "torch"}, in_torch),
        ({"system": "foveate", "method": method, "by": "the exported file"}, exported),
    ]


def torchvision(method: str, size: int, classes: int, lessons: Sequence[Batch]) -> System:
    """Likewise, in torch."""
    torch.manual_seed(0)
    model = taught(torchvision_steps(method, "bf16-mixed", size, classes), lessons)

    @torch.no_grad()
    def detect(tiles: Tiles) -> list[Any]:
        images = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float() / 255
        return [found["boxes"] for found in model(list(images.unbind(0)))]

    return {"system": "torchvision", "method": method, "by": "torch"}, detect


def measured(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """All rows, the systems in turn."""
    everything = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    known, held_out = (load_dataset(everything / "nuclei" / f"{n}.json") for n in ("train", "val"))
    names, size = list(known.class_names), args.size
    lessons = in_memory(known, size, args.batch, args.steps)
    systems: list[System] = []
    for method in args.methods:
        systems += ours(method, size, names, lessons, folder)
        systems.append(torchvision(method, size, len(names), lessons))
    drawn = in_memory(held_out, size, args.batch, args.batches)
    batches = [list(images.numpy()) for images, _ in drawn]
    seconds: list[list[float]] = [[] for _ in systems]
    for _ in range(args.rounds):
        for times, (_, detect) in zip(seconds, systems, strict=True):
            detect(batches[0])
            times += [timed(lambda: detect(tiles))[0] for tiles in batches]  # noqa: B023
    return [
        facts | {"seconds": round(statistics.median(times), 4), "batches": len(times),
                 "tiles_per_second": round(args.batch / statistics.median(times), 2),
                 "boxes_per_tile": round(statistics.fmean(map(len, detect(batches[0]))), 1)}
        for (facts, detect), times in zip(systems, seconds, strict=True)
    ]  # fmt: skip


def main() -> None:
    """Measure and write ``benchmarks/results/inference.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100, help="that each is taught")
    parser.add_argument("--methods", nargs="+", choices=tuple(MODELS), default=tuple(MODELS))
    parser.add_argument("--batches", type=int, default=8, help="timed, of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/inference.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(args, Path(folder))
    report = {"rows": rows, "size": args.size, "batch": args.batch, "steps": args.steps,
              "threads": args.threads, "provenance": provenance(0)}  # fmt: skip
    write_atomically(args.out, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
