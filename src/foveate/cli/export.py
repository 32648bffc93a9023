"""``foveate export``: from a training run to the one file that detects."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from foveate.cli.arguments import Calibrating, OptionalFile, OptionalText, parse
from foveate.cli.quantise import quantise_file
from foveate.cli.terminal import note
from foveate.cli.train import require_training
from foveate.errors import FoveateError, UsageError


@dataclass(frozen=True)
class Export:
    """Make one ONNX file of a training run, checked against torch.

    Attributes:
        run: The run's folder, as 'foveate train' made it.
        out: The file; model.onnx, or mtgan.onnx of a refiner, in the run's folder by default.
        float32: Keep the weights as they were trained: twice the file, and torch's very results.
            A refiner's always are.
        int8: Make model-int8.onnx, as 'foveate quantise' does of any model file.
        calibrate: With --int8: pictures or a data set like those it will see, and none of those
            that it is measured on.
        split: Which split of a data set that has several; train, mostly.
    """

    run: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    out: OptionalFile = None
    float32: bool = False
    int8: bool = False
    calibrate: Calibrating = None
    split: OptionalText = None


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Export, "export", arguments)
    require_training("export")
    if flags.calibrate is not None and not flags.int8:
        raise UsageError("--calibrate is for --int8")
    if not flags.run.is_dir():
        raise FoveateError(f"{flags.run}: no such run folder")
    from foveate.export.onnx import export_run
    from foveate.export.refiner import REFINER_FILE, export_refiner, is_refiner_run

    if flags.int8:
        _export_int8(flags)
        return
    if is_refiner_run(flags.run):
        path = export_refiner(flags.run, flags.out or flags.run / REFINER_FILE)
        use = f"--model BASE --refine {path}"
    else:
        out = flags.out or flags.run / "model.onnx"
        path = export_run(flags.run, out, half=not flags.float32)
        use = f"--model {path}"
    note(f"{path}: {path.stat().st_size / 1e6:.1f} MB; try 'foveate detect SOURCE {use}'")


def _export_int8(flags: Export) -> None:
    """By way of a file of floats that is thrown away."""
    from foveate.api import load
    from foveate.export.onnx import export_run
    from foveate.export.quantise import QuantiseConfig
    from foveate.export.refiner import is_refiner_run

    if is_refiner_run(flags.run):
        raise UsageError("--int8 is for detectors; this run is a refiner's")
    if flags.calibrate is None:
        raise UsageError("--int8 needs pictures to calibrate on: --calibrate IMAGES|DATASET")
    with tempfile.TemporaryDirectory() as folder:
        floats = export_run(flags.run, Path(folder) / "model.onnx", half=False)
        detector = load(floats, runtime="cpu")
        out = flags.out or flags.run / "model-int8.onnx"
        quantise_file(detector, flags.calibrate, flags.split, out, QuantiseConfig())
