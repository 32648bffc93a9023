"""Tiles detected a second, beside torchvision's models on the same backbone.

    python benchmarks/inference.py

writes ``benchmarks/results/inference.json``. Ours in torch, ours as the exported file in the
torch-free runtime, and torchvision's in torch (`torchvision_models.py`), from the same pixels to
the boxes that are left after suppression. They take turns, several rounds; the median counts.
Weights are random: ours, which has no threshold before suppression, works on all its candidates,
and torchvision's RetinaNet on none. So ours in torch is not told from its suppression here.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import timed
from provenance import provenance
from torchvision_models import MODELS
from training import in_memory, recipe_for

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.export.onnx import describe, model_bytes
from foveate.inference.model_info import METADATA_KEY
from foveate.inference.onnx_detector import OnnxDetector
from foveate.models import METHODS
from foveate.structures import UInt8Image
from foveate.training.validate import TorchDetector

ROOT = Path(__file__).resolve().parent.parent
Tiles = list[UInt8Image]
System = tuple[dict[str, str], Callable[[Tiles], list[Any]]]


def ours(method: str, size: int, names: list[str], folder: Path) -> list[System]:
    """A method of random weights, in torch and as an exported file."""
    torch.manual_seed(0)
    recipe = recipe_for(method, "32-true", size, 1, 1)
    model = METHODS[method](recipe.method, len(names), 3).eval()
    path = folder / f"{method}.onnx"
    metadata = {METADATA_KEY: describe(model, recipe, names, ()).model_dump_json()}
    write_atomically(path, model_bytes(model, half=False, metadata=metadata))
    in_torch = TorchDetector(model.to(memory_format=torch.channels_last), torch.device("cpu"))
    exported = OnnxDetector(path, threads=torch.get_num_threads())
    return [
        ({"system": "foveate", "method": method, "by": "torch"}, in_torch),
        ({"system": "foveate", "method": method, "by": "the exported file"}, exported),
    ]


def torchvision(method: str, size: int, classes: int) -> System:
    """Likewise, in torch."""
    torch.manual_seed(0)
    model = MODELS[method](size, classes).eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def detect(tiles: Tiles) -> list[Any]:
        images = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float() / 255
        return list(model(list(images.unbind(0))))

    return {"system": "torchvision", "method": method, "by": "torch"}, detect


def measured(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """All rows, the systems in turn."""
    everything = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    dataset = load_dataset(everything / "nuclei" / "train.json")
    names, size = list(dataset.class_names), args.size
    systems: list[System] = []
    for method in MODELS:
        systems += [*ours(method, size, names, folder), torchvision(method, size, len(names))]
    drawn = in_memory(dataset, size, args.batch, args.batches)
    batches = [list(images.numpy()) for images, _ in drawn]
    seconds: list[list[float]] = [[] for _ in systems]
    for _ in range(args.rounds):
        for times, (_, detect) in zip(seconds, systems, strict=True):
            detect(batches[0])
            times += [timed(lambda: detect(tiles))[0] for tiles in batches]  # noqa: B023
    return [
        facts | {"seconds": round(statistics.median(times), 4), "batches": len(times),
                 "tiles_per_second": round(args.batch / statistics.median(times), 2)}
        for (facts, _), times in zip(systems, seconds, strict=True)
    ]  # fmt: skip


def main() -> None:
    """Measure and write ``benchmarks/results/inference.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--batches", type=int, default=8, help="timed, of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/inference.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(args, Path(folder))
    report = {"rows": rows, "size": args.size, "batch": args.batch,
              "threads": args.threads, "provenance": provenance(0)}  # fmt: skip
    write_atomically(args.out, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
