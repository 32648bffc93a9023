"""Make a bundled model's int8 file, where the measurement says that it may ship.

    python scripts/bundle_int8.py aerial "int8, 7-bit weights" ../shared/data/aerial/train.json

The way must be among those that ``benchmarks/precision.py`` measured: the file is made again as it
was made there, byte for byte, and its card says the AP of that measurement. It ships if it loses no
more than .003 AP and is faster.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import onnx
from onnx import helper

from foveate.config import write_atomically
from foveate.data.formats import load_dataset
from foveate.data.sources import open_source
from foveate.export.quantise import QuantiseConfig, quantise
from foveate.inference.bundled import BUNDLED_FOLDER, bundled_path
from foveate.inference.calibration_tiles import calibration_tiles
from foveate.inference.model_info import METADATA_KEY, Measured
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.settings import run_settings

RESULT = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "precision.json"
MOST_LOST = 0.003
METRICS = ("AP", "AP50", "AP_small")


def main() -> None:
    """Write ``src/foveate/bundled/NAME-int8.onnx``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("way", help="a variant in benchmarks/results/precision.json")
    parser.add_argument("labels", type=Path, help="training pictures")
    args = parser.parse_args()
    measured = json.loads(RESULT.read_text())["models"][args.name]
    rows = {row["variant"]: row for row in measured["rows"]}
    floats, row = measured["rows"][0], rows[args.way]
    if floats["AP"] - row["AP"] > MOST_LOST or row["ratio"] <= 1:
        raise SystemExit(f"{args.way} of {args.name}: loses too much, or is not faster")
    made = row["made"]
    detector = OnnxDetector(bundled_path(args.name), threads=1)
    config = QuantiseConfig(
        tiles=made["tiles"], ranges=made["ranges"], weight_bits=made["weight_bits"]
    )
    paths = [sample.path for sample in load_dataset(args.labels).samples]
    settings = run_settings(detector, {})
    shown = calibration_tiles(paths, partial(open_source), settings, config.tiles)
    out = BUNDLED_FOLDER / f"{args.name}-int8.onnx"
    quantise(detector, shown, out, config, (made["calibration"], made["pictures"]))
    info = OnnxDetector(out, threads=1).info
    of_floats = detector.info.measured[-1]
    card = Measured(
        dataset=of_floats.dataset,
        setting=of_floats.setting,
        metrics={name: round(row[name], 4) for name in METRICS},
    )
    model = onnx.load(out)
    del model.metadata_props[:]
    info = info.model_copy(update={"measured": (card,)})
    helper.set_model_props(model, {METADATA_KEY: info.model_dump_json()})
    write_atomically(out, model.SerializeToString())
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {card.metrics}")


if __name__ == "__main__":
    main()
