"""Processor milliseconds of one thread on one tile, by OpenVINO and by ONNX Runtime, in turn.

    PEERS/bin/python benchmarks/peers/openvino_tiles.py SIDE MODEL.onnx [MODEL.onnx ...] > out.json

Needs openvino and onnxruntime, in an environment of their own, and no foveate. OpenVINO is given
the tile's fixed size and weights that ONNX Runtime has widened to float32, which suit it best.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import openvino

OUTPUTS = ["boxes", "scores", "labels"]
ROUNDS = 8


def by_onnxruntime(path: Path, widened: Path | None = None) -> Callable[[Any], Any]:
    """The model by ONNX Runtime on the CPU; also saved with wide weights, if it is said where."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if widened is not None:
        basic = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.graph_optimization_level = basic
        options.optimized_model_filepath = str(widened)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda tile: session.run(OUTPUTS, {"images": tile})


def by_openvino(path: Path, shape: tuple[int, ...], precision: str) -> Callable[[Any], Any]:
    """The model by OpenVINO on the CPU."""
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({"images": list(shape)})
    asked = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
             "INFERENCE_PRECISION_HINT": precision}  # fmt: skip
    request = core.compile_model(model, "CPU", asked).create_infer_request()
    return lambda tile: [request.infer({"images": tile})[name] for name in OUTPUTS]


def main() -> None:
    """Print the milliseconds of each model and way as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", type=int)
    parser.add_argument("models", type=Path, nargs="+")
    args = parser.parse_args()
    shape = (1, args.side, args.side, 3)
    tile = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    rows = []
    for path in args.models:
        with tempfile.TemporaryDirectory() as folder:
            wide = Path(folder) / "wide.onnx"
            by_onnxruntime(path, wide)
            ways = {
                "ONNX Runtime, float32": by_onnxruntime(path),
                "OpenVINO, float32": by_openvino(wide, shape, "f32"),
                "OpenVINO, bf16": by_openvino(wide, shape, "bf16"),
            }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(ROUNDS + 2):
            for way, detect in ways.items():
                started = time.process_time()
                detect(tile)
                if turn >= 2:
                    times[way].append(1000 * (time.process_time() - started))
        rows += [
            {"model": path.stem, "by": way, "milliseconds": round(statistics.median(taken), 2)}
            for way, taken in times.items()
        ]
    versions = {"openvino": openvino.__version__, "onnxruntime": onnxruntime.__version__}
    print(json.dumps({"tile": f"{args.side}x{args.side}", "rows": rows, "versions": versions}))


if __name__ == "__main__":
    main()
