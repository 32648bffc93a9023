"""Tiny model files in the exact layouts of other tools, whose outputs are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
NAMES = ("ball", "player", "referee")
BOXES = np.array([[8, 10, 16, 20], [30, 5, 50, 45], [31, 6, 50, 46], [2, 40, 20, 62]], np.float32)
SCORES = np.array([0.9, 0.8, 0.6, 0.5], np.float32)
LABELS = np.array([0, 1, 2, 2])

ULTRALYTICS = {
    "author": "Ultralytics",
    "description": "Ultralytics YOLO11n model trained on data.yaml ",
    "license": "AGPL-3.0 License",
    "names": str(dict(enumerate(NAMES))),
}

Axes = Sequence[int | str]


def write_model(
    path: Path,
    outputs: Mapping[str, NDArray[Any]],
    *,
    image: Axes = (1, 3, SIDE, SIDE),
    image_type: int = TensorProto.FLOAT,
    name: str = "images",
    others: Mapping[str, Axes] | None = None,
    axes: Mapping[str, Axes] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A model that gives `outputs` whatever it is shown.

    Args:
        path: To write to.
        outputs: With the batch axis where the layout has one.
        image: Declared axes of the picture; a text is an open length.
        image_type: Its ONNX type.
        name: Of that input.
        others: Further int64 inputs.
        axes: Declared axes of outputs, where they are not the arrays' own.
        metadata: The file's properties.
    """
    inputs = [helper.make_tensor_value_info(name, image_type, list(image))]
    for other, shape in (others or {}).items():
        inputs.append(helper.make_tensor_value_info(other, TensorProto.INT64, list(shape)))
    nodes, infos, weights = [], [], []
    for output, array in outputs.items():
        weights.append(numpy_helper.from_array(array, f"{output}_value"))
        nodes.append(helper.make_node("Identity", [f"{output}_value"], [output]))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        shape = (axes or {}).get(output, array.shape)
        infos.append(helper.make_tensor_value_info(output, kind, list(shape)))
    graph = helper.make_graph(nodes, "tiny", inputs, infos, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, str(path))
    return path


def centred(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners to centre, width, height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + size / 2, size], axis=1)


def one_hot(low: float = 0.0) -> NDArray[np.float32]:
    """Every box's score in its label's column, ``(4, 3)``."""
    scores = np.full((len(BOXES), len(NAMES)), low, np.float32)
    scores[np.arange(len(BOXES)), LABELS] = SCORES
    return scores


def logit(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse of the sigmoid, finite."""
    kept = np.clip(scores, 1e-6, 1 - 1e-6)
    logits: NDArray[np.float32] = np.log(kept / (1 - kept)).astype(np.float32)
    return logits


def rows_on_grid(a_cell: int, *, decoded: bool) -> NDArray[np.float32]:
    """``(1, A, 5 + 3)`` over the strides 8, 16 and 32 with the boxes in cells of their own.

    Args:
        a_cell: Rows a cell.
        decoded: Pixels; otherwise offsets in cells and logarithms of sizes, as YOLOX has them.
    """
    strides = (8, 16, 32)
    cells = [(s, x, y) for s in strides for y in range(SIDE // s) for x in range(SIDE // s)]
    rows = np.zeros((a_cell * len(cells), 8), np.float32)
    for box, scores in zip(centred(BOXES), one_hot(), strict=True):
        stride, x, y = cells[at := cells.index((8, int(box[0] // 8), int(box[1] // 8)))]
        while rows[at * a_cell, 4]:
            at += 1
            stride, x, y = cells[at]
        row = box if decoded else [*(box[:2] / stride - [x, y]), *np.log(box[2:] / stride)]
        # The objectness takes half of the score's exponent, the class the other half.
        rows[at * a_cell] = [*row, np.sqrt(scores.max()), *np.sqrt(scores)]
    return rows[None]
