"""From pictures to the one file that glances: learn, export with parity, calibrate."""

from __future__ import annotations

import datetime
import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from foveate import __version__
from foveate.config import write_atomically
from foveate.data.sources import open_source
from foveate.errors import FoveateError
from foveate.inference.glance import OnnxGlance
from foveate.inference.glance_calibration import HeldOut, calibrate
from foveate.inference.glance_info import MULTIPLE, GlanceInfo, detector_hash
from foveate.inference.model_info import METADATA_KEY
from foveate.inference.settings import RunSettings, class_names_of, model_info
from foveate.models.glance import GlanceNet
from foveate.structures import Detector, Tile
from foveate.tiling import plan_pyramid, plan_tiles
from foveate.training.glance import GlanceFit, ReducedPicture, split_lessons, train_glance
from foveate.training.glance_lessons import Lesson

TOLERANCE = 1e-4
"""Of a presence, between torch and the file."""
_OPSET = 18
_MOST_BYTES = 1 << 30
"""Of reduced pictures in memory; further ones do not teach."""


@dataclass(frozen=True, slots=True)
class FitProgress:
    """Whom a fit tells how it goes.

    Attributes:
        on_step: Of each step of training.
        on_held_out: Of each held-out picture that is done.
        say: What should be known, in one line.
    """

    on_step: Callable[[], None] = lambda: None
    on_held_out: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda text: None


def fit_glance(
    lessons: Sequence[Lesson],
    taught_by: Literal["labels", "detector"],
    detector: Detector,
    settings: RunSettings,
    config: GlanceFit,
    out: Path,
    progress: FitProgress | None = None,
) -> GlanceInfo:
    """Fit a glance for a detector, and write its file.

    Args:
        lessons: Pictures and where their objects are.
        taught_by: Where that is known from.
        detector: That the glance is for.
        settings: How it looks: the tile geometry that the calibration counts tiles of.
        config: How to fit.
        out: The file.
        progress: Whom to tell.

    Raises:
        FoveateError: If there are too few pictures, or no objects to learn from.
    """
    progress = progress or FitProgress()
    learn, held = split_lessons(lessons, config)
    pictures = _reduced_pictures(learn, settings, config, progress.say)
    model = train_glance(pictures, config, progress.on_step)
    info = _describe(detector, settings, config, taught_by, pictures)
    content = glance_bytes(model, info)
    with tempfile.TemporaryDirectory() as folder:
        # The file itself is calibrated: what is promised is of what will run.
        path = Path(folder) / "glance.onnx"
        path.write_bytes(content)
        calibration = calibrate(
            OnnxGlance(path),
            _held_out(held, settings),
            settings.plan.overlap_pixels,
            config.by,
            progress.on_held_out,
        )
    info = info.model_copy(update={"calibration": calibration})
    graph = onnx.load_from_string(content)
    helper.set_model_props(graph, {METADATA_KEY: info.model_dump_json()})
    write_atomically(out, graph.SerializeToString())
    return info


def glance_bytes(model: GlanceNet, info: GlanceInfo) -> bytes:
    """The ONNX file of a network, checked against torch.

    Args:
        model: In evaluation mode.
        info: Its metadata.

    Raises:
        FoveateError: If the file would not give what torch gives.
    """
    graph = _to_onnx(model, info.channels)
    del graph.metadata_props[:]
    helper.set_model_props(graph, {METADATA_KEY: info.model_dump_json()})
    graph.producer_name, graph.producer_version = "foveate", __version__
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString()
    check_glance_parity(model, info.channels, content)
    return content


def check_glance_parity(model: GlanceNet, channels: int, content: bytes) -> None:
    """Compare a file with torch on random pictures of several sizes.

    Raises:
        FoveateError: If a presence differs by more than 1e-4.
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for shape in ((1, MULTIPLE, MULTIPLE), (2, 96, 40), (1, 64, 160)):
        images = rng.integers(0, 256, (*shape, channels), dtype=np.uint8)
        with torch.no_grad():
            wanted = model.presence(torch.from_numpy(images)).numpy()
        found = session.run(["presence"], {"images": images})[0]
        gap = float(np.abs(found - wanted).max()) if found.shape == wanted.shape else np.inf
        if not gap <= TOLERANCE:
            raise FoveateError(f"export: a presence differs from torch by {gap:.2g}")


class _Exported(nn.Module):
    """Exactly what the file holds."""

    def __init__(self, model: GlanceNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.presence(images)


def _to_onnx(model: GlanceNet, channels: int) -> onnx.ModelProto:
    """Trace into a graph whose batch, height and width are free."""
    example = torch.zeros(2, 4 * MULTIPLE, 5 * MULTIPLE, channels, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=256)
    rows = torch.export.Dim("rows", min=1, max=4096)
    columns = torch.export.Dim("cols", min=1, max=4096)
    shapes = {0: batch, 1: MULTIPLE * rows, 2: MULTIPLE * columns}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "glance.onnx"
        torch.onnx.export(
            _Exported(model).eval(),
            (example,),
            str(path),
            input_names=["images"],
            output_names=["presence"],
            dynamic_shapes={"images": shapes},
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return onnx.load(str(path))


def _reduced_pictures(
    lessons: Sequence[Lesson], settings: RunSettings, config: GlanceFit, say: Callable[[str], None]
) -> list[ReducedPicture]:
    """As many as memory is given to, in an order drawn by the seed."""
    order = np.random.default_rng(config.seed).permutation(len(lessons)).tolist()
    pictures: list[ReducedPicture] = []
    used = 0
    for place in order:
        lesson = lessons[place]
        source = open_source(lesson.path, settings.reading)
        picture = ReducedPicture.of(source, lesson, config.reduction)
        used += picture.image.nbytes
        if pictures and used > _MOST_BYTES:
            say(f"{len(pictures)} of {len(lessons)} pictures teach: more do not fit into memory")
            break
        pictures.append(picture)
    return pictures


def _held_out(held: Sequence[tuple[str, Lesson]], settings: RunSettings) -> Iterator[HeldOut]:
    for unit, lesson in held:
        source = open_source(lesson.path, settings.reading)
        tiles = _planned(source.width, source.height, settings)
        yield HeldOut(unit, source, lesson.boxes, tiles, settings.size_multiple)


def _planned(width: int, height: int, settings: RunSettings) -> list[Tile]:
    if settings.pyramid is None:
        return plan_tiles(width, height, settings.plan, settings.size_multiple)
    return plan_pyramid(width, height, settings.plan, settings.pyramid, settings.size_multiple)


def _describe(
    detector: Detector,
    settings: RunSettings,
    config: GlanceFit,
    taught_by: Literal["labels", "detector"],
    pictures: Sequence[ReducedPicture],
) -> GlanceInfo:
    found = model_info(detector)
    name = found.name if found else type(detector).__name__
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return GlanceInfo(
        name=f"glance-{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}",
        detector=name,
        detector_hash=detector_hash(detector),
        class_names=class_names_of(detector),
        channels=pictures[0].image.shape[2],
        reduction=config.reduction,
        reach=config.reach,
        tile_plan=settings.plan,
        score_threshold=settings.score_threshold if taught_by == "detector" else 0.0,
        taught_by=taught_by,
        pictures=len(pictures),
        recipe=config.model_dump(mode="json"),
        created=datetime.date.today().isoformat(),
        foveate_version=__version__,
    )
