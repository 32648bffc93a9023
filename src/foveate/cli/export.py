"""``foveate export``: from a training run to the one file that detects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from foveate.cli.arguments import OptionalFile, parse
from foveate.cli.terminal import note
from foveate.cli.train import require_training
from foveate.errors import FoveateError


@dataclass(frozen=True)
class Export:
    """Make one ONNX file of a training run, checked against torch.

    Attributes:
        run: The run's folder, as 'foveate train' made it.
        out: The file; model.onnx, or mtgan.onnx of a refiner, in the run's folder by default.
        float32: Keep the weights as they were trained: twice the file, and torch's very results.
            A refiner's always are.
    """

    run: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    out: OptionalFile = None
    float32: bool = False


def main(arguments: Sequence[str]) -> None:
    """Run the command."""
    flags = parse(Export, "export", arguments)
    require_training("export")
    if not flags.run.is_dir():
        raise FoveateError(f"{flags.run}: no such run folder")
    from foveate.export.onnx import export_run
    from foveate.export.refiner import REFINER_FILE, export_refiner, is_refiner_run

    if is_refiner_run(flags.run):
        path = export_refiner(flags.run, flags.out or flags.run / REFINER_FILE)
        use = f"--model BASE --refine {path}"
    else:
        out = flags.out or flags.run / "model.onnx"
        path = export_run(flags.run, out, half=not flags.float32)
        use = f"--model {path}"
    note(f"{path}: {path.stat().st_size / 1e6:.1f} MB; try 'foveate detect SOURCE {use}'")
