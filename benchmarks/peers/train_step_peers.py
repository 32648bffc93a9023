"""Time the steps of YOLO11's own training loop, through its callbacks.

Runs in the benchmark-only environment (``benchmarks/requirements.txt``), never in foveate's own.
The last line printed is JSON: seconds of each step alone (`step`), and from the end of one step to
the end of the next, its loader included (`all`); parameters and products of the model (`extent`).

    python benchmarks/peers/train_step_peers.py data.yaml --size 256 --batch 8 --threads 2
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import pairwise
from typing import Any


def main() -> None:
    """Train one epoch from random weights and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    import torch
    from ultralytics import YOLO

    started: list[float] = []
    ended: list[float] = []
    model = YOLO(f"{args.model}.yaml")
    extent = measured(model.model, args.size)

    def on_start(trainer: Any) -> None:
        torch.set_num_threads(args.threads)

    model.add_callback("on_train_start", on_start)
    model.add_callback("on_train_batch_start", lambda trainer: started.append(time.perf_counter()))
    model.add_callback("on_train_batch_end", lambda trainer: ended.append(time.perf_counter()))
    with tempfile.TemporaryDirectory() as folder:
        model.train(
            data=args.data, imgsz=args.size, epochs=1, batch=args.batch, seed=0, pretrained=False,
            device="cpu", workers=0, plots=False, amp=False, val=False, save=False, project=folder,
            nbs=args.batch,
        )  # fmt: skip
    step = [end - start for start, end in zip(started, ended, strict=True)]
    everything = [b - a for a, b in pairwise(ended)]
    print(json.dumps({"step": step, "all": everything, "extent": extent}))


def measured(model: Any, size: int) -> dict[str, int]:
    """Parameters, and multiplications of the forward pass over one tile."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "products": counter.get_total_flops() // 2,
    }


if __name__ == "__main__":
    main()
