"""What narrower arithmetic costs in AP and saves in time, for each bundled model.

    python benchmarks/precision.py                          # nuclei and aerial, from FOVEATE_DATA
    python benchmarks/precision.py pitch --data data/pitch --pictures 24
    python benchmarks/precision.py sky --data data/sky --pictures 426

adds the named models to ``benchmarks/results/precision.json``. Every variant is a file that the
runtime loads: the bundled one (weights stored as float16, arithmetic in float32), and int8 made by
``foveate.export.quantise`` on tiles of the *training* pictures, in the ways that are named. AP is
that of `accuracy.py`: held-out pictures, the model's own tiles, scores from 0.01. Times are
processor milliseconds of one thread on one real tile, medians of runs in turn; how
many times as fast a variant is, is the median over pairs of runs. Differences of AP have paired
bootstrap intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from accuracy import METRICS, Predictions, compare, predict
from onnx import TensorProto, numpy_helper
from provenance import provenance

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.data.sources import open_source
from foveate.evaluation import evaluate_detections
from foveate.export.quantise import QuantiseConfig, quantise
from foveate.inference.bundled import resolve_model
from foveate.inference.calibration_tiles import calibration_tiles, chosen
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.settings import run_settings
from foveate.structures import Dataset, UInt8Image

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "precision.json"
FLOATS = "float32, weights stored as float16"
WAYS: dict[str, dict[str, Any]] = {
    "int8": {},
    "int8, 7-bit weights": {"weight_bits": 7},
    "int8, last 2 convolutions float": {"float_last": 2},
    "int8, last 3 convolutions float": {"float_last": 3},
    "int8, first convolution float": {"float_first": True},
    "int8, depthwise convolutions float": {"float_depthwise": True},
    "int8, ranges by percentile": {"ranges": "percentile"},
    "int8, ranges by entropy": {"ranges": "entropy"},
    "int8, 16 tiles": {"tiles": 16},
}
"""Name to `QuantiseConfig`."""


def train_tiles(labels: Path, detector: OnnxDetector, count: int) -> list[UInt8Image]:
    """Tiles of the training pictures beside the held-out ones."""
    paths = [sample.path for sample in load_dataset(labels.with_name("train.json")).samples]
    settings = run_settings(detector, {})
    return list(calibration_tiles(paths, partial(open_source), settings, count))


def variants(
    name: str, labels: Path, ways: Sequence[str], tiles: int, folder: Path
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The file of each variant, and how it was made."""
    source = resolve_model(name)
    detector = OnnxDetector(source, threads=1)
    made: dict[str, tuple[Path, dict[str, Any]]] = {FLOATS: (source, {})}
    pictures = len(load_dataset(labels.with_name("train.json")))
    for way in ways:
        config = QuantiseConfig.model_validate({"tiles": tiles} | WAYS[way])
        shown = train_tiles(labels, detector, config.tiles)
        out = folder / f"{name}-{len(made)}.onnx"
        done = quantise(detector, shown, out, config, (f"{name} train", min(pictures, len(shown))))
        made[way] = (out, done.model_dump(mode="json", exclude={"source_sha256"}))
        print(name, way, f"{out.stat().st_size / 1e6:.2f} MB", flush=True)
    return made


def tile_milliseconds(
    files: dict[str, tuple[Path, dict[str, Any]]], tile: UInt8Image, rounds: int
) -> dict[str, list[float]]:
    """Processor milliseconds of each run on one tile, the files in turn."""
    detectors = {way: OnnxDetector(path, threads=1) for way, (path, _) in files.items()}
    times: dict[str, list[float]] = {way: [] for way in files}
    for turn in range(rounds + 2):
        for way, detector in detectors.items():
            started = time.process_time()
            detector([tile])
            if turn >= 2:  # the first are warm-ups
                times[way].append(1000 * (time.process_time() - started))
    return times


def measured_way(dataset: Dataset, path: Path) -> Predictions:
    """The predictions of a file."""
    detector = OnnxDetector(path, threads=1)
    info = detector.info
    return predict(dataset, detector, info.tile_plan, info.merge, info.size_multiple)[0]


def half_arithmetic(folder: Path, kind: int) -> str:
    """Whether ONNX Runtime's CPU provider computes a convolution in this type; what it says."""
    tensor = np.ones((4, 4, 3, 3), np.float32)
    shapes: list[str | int | None] = ["N", 4, "H", "W"]
    weight = (
        numpy_helper.from_array(tensor.astype(np.float16), "w")
        if kind == TensorProto.FLOAT16
        else onnx.helper.make_tensor("w", kind, tensor.shape, tensor.ravel().tolist())
    )
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w"], ["y"])], "one",
        [onnx.helper.make_tensor_value_info("x", kind, shapes)],
        [onnx.helper.make_tensor_value_info("y", kind, shapes)], [weight],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 22)]
    target = folder / f"type-{kind}.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), target)
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "as-run.onnx")
    try:
        onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return f"refused: {str(error).strip().splitlines()[0][:120]}"
    kinds = [node.op_type for node in onnx.load(folder / "as-run.onnx").graph.node]
    return "computed in float32, with casts around it" if "Cast" in kinds else "computed as it is"


def model_report(name: str, labels: Path, args: argparse.Namespace) -> dict[str, Any]:
    """All rows of one model."""
    whole = load_dataset(labels)
    few = chosen(len(whole), args.pictures or len(whole))
    dataset = replace(whole, samples=tuple(whole.samples[i] for i in few))
    with tempfile.TemporaryDirectory() as folder:
        files = variants(name, labels, args.ways, args.tiles, Path(folder))
        (tile,) = train_tiles(labels, OnnxDetector(files[FLOATS][0], threads=1), 1)
        times = tile_milliseconds(files, tile, args.rounds)
        rows: list[dict[str, Any]] = []
        base: Predictions = {}
        for way, (path, made) in files.items():
            found = measured_way(dataset, path)
            base = base or found
            scores = evaluate_detections(dataset, found).flat()
            rows.append({
                "variant": way,
                **{metric: scores[metric] for metric in METRICS if metric in scores},
                "difference": compare(dataset, base, found) if found is not base else None,
                "milliseconds": round(statistics.median(times[way]), 2),
                "ratio": round(statistics.median(
                    a / b for a, b in zip(times[FLOATS], times[way], strict=True)), 3),
                "megabytes": round(path.stat().st_size / 1e6, 3),
                "made": made,
            })  # fmt: skip
            print(name, rows[-1], flush=True)
    size = f"{tile.shape[1]}x{tile.shape[0]}"
    return {"dataset": f"{name} val: {len(dataset)} of {len(whole)} pictures", "tile": size,
            "rows": rows}  # fmt: skip


def main() -> None:
    """Measure and write ``benchmarks/results/precision.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["nuclei", "aerial"])
    parser.add_argument("--data", type=Path, help="folder of one model's train.json and val.json")
    parser.add_argument("--pictures", type=int, help="held-out pictures, evenly drawn; all if not")
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=["int8"])
    parser.add_argument("--tiles", type=int, default=64, help="that ranges are calibrated on")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    everything = Path(os.environ.get("FOVEATE_DATA", ROOT.parent / "shared" / "data"))
    report = json.loads(args.out.read_text()) if args.out.exists() else {"models": {}}
    for name in args.names:
        labels = (args.data or everything / name) / "val.json"
        report["models"][name] = model_report(name, labels, args)
        with tempfile.TemporaryDirectory() as folder:
            report["types"] = {
                word: half_arithmetic(Path(folder), kind)
                for word, kind in (("float16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16))
            }
        report["provenance"] = provenance(0)
        write_atomically(args.out, (json.dumps(report, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
