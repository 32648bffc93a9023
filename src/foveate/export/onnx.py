"""From a run folder to the one file the runtime needs, with numerical parity checked."""

from __future__ import annotations

import datetime
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from foveate import __version__
from foveate.config import write_atomically
from foveate.errors import FoveateError
from foveate.export.operators import translations
from foveate.inference.model_info import METADATA_KEY, Measured, ModelInfo
from foveate.models import Method
from foveate.structures import UInt8Image
from foveate.training.checkpoint import CHECKPOINT, part, read_checkpoint
from foveate.training.loop import FACTS, RECIPE, build_method
from foveate.training.recipe import Recipe

BOX_TOLERANCE = 0.1
SCORE_TOLERANCE = 1e-3
LEAST_SCORE = 0.1
_OPSET = 18


class _Exported(nn.Module):
    """Exactly what the file holds: raw pixels in, boxes, scores and labels out."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, labels = self.method.decode(self.method(images))
        return boxes, scores, labels


def load_run(run: Path) -> tuple[Method, Recipe, list[str]]:
    """The averaged weights of a run, ready to use.

    Args:
        run: A run folder, as `foveate.training.loop.train` leaves it.

    Returns:
        The method in evaluation mode, its recipe, and the class names.

    Raises:
        FoveateError: If the folder holds no run.
    """
    if not (run / RECIPE).is_file() or not (run / FACTS).is_file():
        raise FoveateError(f"{run}: not a run folder; `foveate train RECIPE --out {run}` makes one")
    recipe = Recipe.from_yaml(run / RECIPE)
    names: list[str] = json.loads((run / FACTS).read_text())["class_names"]
    tensors, _ = read_checkpoint(run / CHECKPOINT)
    backbone = recipe.method.backbone.model_copy(update={"weights": "none"})
    bare = recipe.model_copy(
        update={"method": recipe.method.model_copy(update={"backbone": backbone})}
    )
    method = build_method(bare, len(names))
    method.load_state_dict(part(tensors, "average"))
    return method.eval(), recipe, names


def export_run(
    run: Path,
    out: Path,
    *,
    half: bool = True,
    measured: tuple[Measured, ...] = (),
    pictures: tuple[UInt8Image, ...] = (),
) -> Path:
    """Write a run's model file.

    Args:
        run: A run folder.
        out: The ONNX file to write.
        half: Store weights as float16 (half the file); they are widened when the file is loaded,
            and all arithmetic is float32.
        measured: Results for the card.
        pictures: Real tiles, beside random ones, to check parity on.

    Returns:
        `out`.

    Raises:
        FoveateError: If there is no run, or the file would not give what torch gives.
    """
    method, recipe, names = load_run(run)
    info = describe(method, recipe, names, measured)
    content = model_bytes(method, half=half, metadata={METADATA_KEY: info.model_dump_json()})
    check_parity(method, content, recipe, pictures)
    write_atomically(out, content)
    return out


def model_bytes(method: Method, *, half: bool, metadata: dict[str, str] | None = None) -> bytes:
    """The ONNX file of a method.

    Args:
        method: In evaluation mode; with `half` its weights are rounded in place.
        half: See `export_run`.
        metadata: For the file's metadata properties.
    """
    if half:
        _round_to_half(method)
    model = _to_onnx(method)
    if half:
        _store_as_half(model)
    del model.metadata_props[:]
    helper.set_model_props(model, metadata or {})
    model.producer_name, model.producer_version = "foveate", __version__
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def rewrite_info(path: Path, info: ModelInfo, out: Path) -> Path:
    """Write a copy of a model file that says `info` of itself; the graph stays as it is."""
    model = onnx.load(path)
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: info.model_dump_json()})
    write_atomically(out, model.SerializeToString())
    return out


def describe(
    method: Method, recipe: Recipe, names: list[str], measured: tuple[Measured, ...] = ()
) -> ModelInfo:
    """The metadata of a trained method."""
    card = recipe.card
    finest = max(recipe.pyramid.scales) if recipe.pyramid else recipe.tile_plan.scale
    return ModelInfo(
        name=recipe.name,
        description=card.description,
        method=recipe.method.name,
        class_names=tuple(names),
        channels=recipe.input_channels,
        motion=recipe.motion,
        size_multiple=method.size_multiple,
        strides=method.strides,
        max_detections=method.max_detections,
        suppression=method.suppression,
        mean=method.mean,
        std=method.std,
        tile_plan=recipe.tile_plan,
        pyramid=recipe.pyramid,
        merge=recipe.merge,
        score_threshold=recipe.score_threshold,
        small_object=recipe.tile_plan.overlap_pixels / finest,
        dataset=card.dataset,
        attribution=card.attribution,
        data_licence=card.data_licence,
        recipe=recipe.model_dump(mode="json"),
        recipe_hash=recipe.fingerprint(),
        created=datetime.date.today().isoformat(),
        foveate_version=__version__,
        measured=measured,
    )


def _to_onnx(method: Method) -> onnx.ModelProto:
    """Trace the method into a graph whose batch, height and width are free."""
    multiple, channels = method.size_multiple, len(method.mean)
    # The coarsest map must have several cells: a side of one would be written as always one.
    cells = max(1, max(method.strides) // multiple)
    sides = (4 * cells * multiple, 5 * cells * multiple)
    example = torch.zeros(2, *sides, channels, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=256)
    rows, columns = (
        torch.export.Dim("rows", min=1, max=256),
        torch.export.Dim("cols", min=1, max=256),
    )
    shapes = {0: batch, 1: multiple * rows, 2: multiple * columns}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Exported(method).eval(),
            (example,),
            str(path),
            input_names=["images"],
            output_names=["boxes", "scores", "labels"],
            dynamic_shapes={"images": shapes},
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
            custom_translation_table=translations(),
        )
        return onnx.load(str(path))


def _round_to_half(method: Method) -> None:
    """Move weights to where the stored file will have them, so that torch and the file agree.

    The exporter folds each batch norm into the convolution before it. What is stored as float16 is
    the product, so it is the product that is rounded, and the convolution's weight follows.
    """
    with torch.no_grad():
        folded = _convolutions_before_norms(method)
        for module in method.modules():
            if not isinstance(module, nn.Conv2d):
                continue
            factor = torch.ones(len(module.weight))
            if module in folded:
                norm = folded[module]
                factor = norm.weight / (norm.get_buffer("running_var") + norm.eps).sqrt()
                factor = torch.where(factor == 0, 1.0, factor)
            factor = factor[:, None, None, None]
            module.weight.copy_((module.weight * factor).half().float() / factor)


def _convolutions_before_norms(method: Method) -> dict[nn.Module, nn.BatchNorm2d]:
    """Which convolution feeds which batch norm, seen by watching one picture pass."""
    made_by: dict[int, nn.Module] = {}
    outputs: list[Tensor] = []  # kept, so that no id is given twice
    pairs: dict[nn.Module, nn.BatchNorm2d] = {}

    def remember(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        made_by[id(output)] = module
        outputs.append(output)

    def pair(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in made_by and isinstance(module, nn.BatchNorm2d):
            pairs[made_by[id(inputs[0])]] = module

    hooks = []
    for module in method.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(remember))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(pair))
    side = method.size_multiple
    method(torch.zeros(1, side, side, len(method.mean), dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return pairs


def _store_as_half(model: onnx.ModelProto) -> None:
    """Store large float32 weights as float16 followed by a cast, which is folded on loading.

    Only those that float16 holds as they are: not biases, nor weights before a batch norm that the
    exporter did not fold, since torch has them otherwise.
    """
    casts = []
    for constant in model.graph.initializer:
        if constant.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(constant)
        half = values.astype(np.float16)
        if values.size < 1024 or not np.allclose(half, values, rtol=1e-5, atol=1e-8):
            continue
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def check_parity(
    method: Method,
    content: bytes,
    recipe: Recipe,
    pictures: tuple[UInt8Image, ...] = (),
    least_score: float = LEAST_SCORE,
) -> None:
    """Compare the file with torch on random and real input, for several sizes and batches.

    Args:
        method: What was exported.
        content: The file.
        recipe: Says the tile size.
        pictures: Real tiles, ``(H, W, C)`` uint8, sides multiples of the method's.
        least_score: Boxes below it are not compared: on even ground a near-tie of neighbouring
            cells decides which is the peak.

    Raises:
        FoveateError: If a confident box differs by more than 0.1 px or a score by more than 1e-3,
            but for the share that may hang on near-ties (`Method.near_ties`).
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    multiple, channels = method.size_multiple, len(method.mean)
    size = -(-recipe.tile_plan.size // multiple) * multiple
    shapes = [(1, size, size), (2, multiple, 3 * multiple)]
    inputs = [rng.integers(0, 256, (*shape, channels), dtype=np.uint8) for shape in shapes]
    for images in [*inputs, *(picture[None] for picture in pictures)]:
        with torch.no_grad():
            wanted = method.decode(method(torch.from_numpy(images)))
        found = session.run(None, {"images": images})
        reference = [part.numpy() for part in wanted]
        require_alike(found, reference, least_score, method.near_ties)
        require_alike(reference, found, least_score, method.near_ties)


def require_alike(
    found: list[np.ndarray], wanted: list[np.ndarray], least_score: float, near_ties: float
) -> None:
    """See that each confident box of `found` has its like in `wanted`: label, place and score.

    Args:
        found: Boxes, scores and labels, as `Decoded` has them.
        wanted: Likewise.
        least_score: Boxes below it are not compared.
        near_ties: Share of a tile's confident boxes that may have none.

    Raises:
        FoveateError: If more have none; it says how far the first is off.
    """
    for boxes, scores, labels, *reference in zip(*found, *wanted, strict=True):
        # Where all K rows are used, a near-tie decides which box is the last.
        least = max(least_score, scores.min() + 2 * SCORE_TOLERANCE)
        confident = np.flatnonzero(scores > least)
        wrong = []
        for row in confident:
            alike = reference[2] == labels[row]
            gaps = np.abs(reference[0][alike] - boxes[row]).max(axis=1)
            gap = gaps.min(initial=np.inf)
            if gap > BOX_TOLERANCE:
                wrong.append(f"a box differs from torch by {gap:.2g} px")
                continue
            error = abs(reference[1][alike][gaps.argmin()] - scores[row])
            if error > SCORE_TOLERANCE:
                wrong.append(f"a score differs from torch by {error:.2g}")
        if len(wrong) > near_ties * len(confident):
            raise FoveateError(f"export: {wrong[0]}")
