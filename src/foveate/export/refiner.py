"""From SOD-MTGAN's run folder to the one file that refines, with numerical parity checked."""

from __future__ import annotations

import datetime
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from foveate import __version__
from foveate.config import write_atomically
from foveate.errors import FoveateError
from foveate.inference.model_info import METADATA_KEY
from foveate.inference.refiner_info import RefinerInfo
from foveate.models.mtgan import Refiner, without_norms
from foveate.training.checkpoint import CHECKPOINT, part, read_checkpoint
from foveate.training.crops import REDUCTION
from foveate.training.loop import FACTS, RECIPE
from foveate.training.mtgan import MtganRecipe

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 1e-3
"""Share of the crop's side."""
REFINER_FILE = "mtgan.onnx"
"""Its name in the run's folder."""
_OPSET = 18


class _Exported(nn.Module):
    """Exactly what the file holds."""

    def __init__(self, model: Refiner) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        probabilities, boxes = self.model(crops, found)
        return probabilities, boxes


def is_refiner_run(run: Path) -> bool:
    """Whether a folder is of a refiner's run, and not of a detector's."""
    try:
        return "base" in json.loads((run / FACTS).read_text())
    except (OSError, ValueError):
        return False


def load_refiner_run(run: Path) -> tuple[Refiner, RefinerInfo]:
    """The averaged weights of a run, in evaluation mode and without norms, and its metadata.

    Raises:
        FoveateError: If the folder holds no run.
    """
    if not (run / RECIPE).is_file() or not (run / FACTS).is_file():
        raise FoveateError(f"{run}: not a run folder; `foveate train mtgan --out {run}` makes one")
    recipe = MtganRecipe.from_yaml(run / RECIPE)
    facts = json.loads((run / FACTS).read_text())
    judge = recipe.discriminator
    backbone = judge.backbone.model_copy(update={"weights": "none"})
    model = Refiner(
        recipe.generator,
        judge.model_copy(update={"backbone": backbone}),
        recipe.inputs,
        len(facts["class_names"]),
        facts["channels"],
    )
    model.load_state_dict(part(read_checkpoint(run / CHECKPOINT)[0], "average"))
    info = RefinerInfo(
        name=recipe.name,
        class_names=tuple(facts["class_names"]),
        channels=facts["channels"],
        crop_size=recipe.crops.size // REDUCTION,
        margin=recipe.crops.margin,
        small=recipe.crops.small,
        least_score=recipe.crops.least_score,
        padding=facts["padding"],
        inputs=recipe.inputs,
        recipe=recipe.model_dump(mode="json"),
        recipe_hash=recipe.fingerprint(),
        created=datetime.date.today().isoformat(),
        foveate_version=__version__,
    )
    return without_norms(model.eval()), info


def export_refiner(run: Path, out: Path) -> Path:
    """Write a run's file.

    Args:
        run: As `foveate.training.mtgan.train_refiner` leaves it.
        out: The ONNX file to write.

    Returns:
        `out`.

    Raises:
        FoveateError: If there is no run, or the file would not give what torch gives.
    """
    model, info = load_refiner_run(run)
    graph = _to_onnx(model, info)
    del graph.metadata_props[:]
    helper.set_model_props(graph, {METADATA_KEY: info.model_dump_json()})
    graph.producer_name, graph.producer_version = "foveate", __version__
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString()
    check_refiner_parity(model, info, content)
    write_atomically(out, content)
    return out


def check_refiner_parity(model: Refiner, info: RefinerInfo, content: bytes) -> None:
    """Compare a file with torch on random crops, for several batches.

    Raises:
        FoveateError: If a score or a box differs by more than 1e-3.
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for count in (1, 3):
        crops, found = _random_crops(rng, count, info)
        with torch.no_grad():
            wanted = model(torch.from_numpy(crops), torch.from_numpy(found))
        given = session.run(["scores", "boxes"], {"crops": crops, "found": found})
        for what, mine, theirs, most in zip(
            ("score", "box"), given, wanted, (SCORE_TOLERANCE, BOX_TOLERANCE), strict=True
        ):
            gap = float(np.abs(mine - theirs.numpy()).max())
            if not gap <= most:
                raise FoveateError(f"export: a {what} differs from torch by {gap:.2g}")


def _random_crops(
    rng: np.random.Generator, count: int, info: RefinerInfo
) -> tuple[np.ndarray, np.ndarray]:
    side = info.crop_size
    crops = rng.integers(0, 256, (count, side, side, info.channels), dtype=np.uint8)
    low = rng.uniform(0.1, 0.4, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.2, 0.5, (count, 2))], axis=1)
    return crops, boxes.astype(np.float32)


def _to_onnx(model: Refiner, info: RefinerInfo) -> onnx.ModelProto:
    """Trace into a graph whose batch is free."""
    crops, found = _random_crops(np.random.default_rng(0), 2, info)
    batch = torch.export.Dim("batch", min=1, max=4096)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Exported(model).eval(),
            (torch.from_numpy(crops), torch.from_numpy(found)),
            str(path),
            input_names=["crops", "found"],
            output_names=["scores", "boxes"],
            dynamic_shapes={"crops": {0: batch}, "found": {0: batch}},
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return onnx.load(str(path))
