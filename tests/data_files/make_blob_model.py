"""Make blob.onnx: a tiny graph that follows foveate's model contract and finds bright blobs.

Run with the train extra installed: ``python tests/data_files/make_blob_model.py``. A blob is a
local maximum of the smoothed brightness; its label is 0 where red exceeds blue, otherwise 1, and
its box is a fixed 9 x 9 network pixels around the peak.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS = 40
SIDE = 9


def metadata(**changes: Any) -> dict[str, Any]:
    """The model's metadata, with changes for tests of bad files."""
    values: dict[str, Any] = {
        "schema_version": 1,
        "name": "blob",
        "description": "Bright blobs on a dark ground; for tests.",
        "method": "blob",
        "class_names": ["warm", "cold"],
        "channels": 3,
        "size_multiple": 8,
        "strides": [1],
        "max_detections": ROWS,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "tile_plan": {"size": 64, "overlap": 0.25},
        "score_threshold": 0.3,
        "small_object": 9.0,
        "dataset": "none",
        "licence": "Apache-2.0",
        "measured": [{"dataset": "none", "setting": "tiled 64", "metrics": {"AP": 0.5}}],
    }
    return values | changes


def constant(name: str, value: Any, dtype: type = np.float32) -> TensorProto:
    """A named initialiser."""
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def build(values: dict[str, Any] | None = None) -> onnx.ModelProto:
    """Build the graph; `values` is the metadata, None for a foreign model."""
    node = helper.make_node
    smooth = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]) / 81
    rng = np.random.default_rng(0)
    mix = np.concatenate([np.eye(3)[:, :, None, None], rng.normal(size=(13, 3, 1, 1))])
    nodes = [
        node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        node("Mul", ["float", "unit"], ["scaled"]),
        node("Transpose", ["scaled"], ["nchw"], perm=[0, 3, 1, 2]),
        # Sixteen channels of real convolutions, so that thread and batch effects would show.
        node("Conv", ["nchw", "mix"], ["mixed"]),
        node("Conv", ["mixed", "smooth"], ["smoothed"], pads=[2, 2, 2, 2], group=16),
        node("Conv", ["smoothed", "bright", "dark"], ["brightness"]),
        node("Sigmoid", ["brightness"], ["heat"]),
        node("MaxPool", ["brightness"], ["highest"], kernel_shape=[7, 7], pads=[3, 3, 3, 3]),
        node("Equal", ["brightness", "highest"], ["is_peak"]),
        node("Where", ["is_peak", "heat", "zero"], ["peaks"]),
        node("Conv", ["smoothed", "warmth"], ["warm"]),
        node("Shape", ["peaks"], ["width_1"], start=3, end=4),
        node("Flatten", ["peaks"], ["flat"], axis=1),
        node("Flatten", ["warm"], ["flat_warm"], axis=1),
        node("TopK", ["flat", "rows"], ["best", "index"], axis=1),
        node("GatherElements", ["flat_warm", "index"], ["best_warm"], axis=1),
        node("Less", ["best_warm", "zero"], ["is_cold"]),
        node("Cast", ["is_cold"], ["labels"], to=TensorProto.INT64),
        node("Div", ["index", "width_1"], ["row"]),
        node("Mod", ["index", "width_1"], ["column"]),
        node("Cast", ["row"], ["y"], to=TensorProto.FLOAT),
        node("Cast", ["column"], ["x"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["x", "last"], ["x_1"]),
        node("Unsqueeze", ["y", "last"], ["y_1"]),
        node("Concat", ["x_1", "y_1", "x_1", "y_1"], ["corners"], axis=2),
        node("Add", ["corners", "reach"], ["boxes"]),
        node("Greater", ["best", "floor"], ["is_used"]),
        node("Where", ["is_used", "best", "zero"], ["scores"]),
    ]
    half = SIDE / 2
    bright = np.zeros((1, 16, 1, 1))
    bright[0, :3] = 4
    warmth = np.zeros((1, 16, 1, 1))
    warmth[0, 0], warmth[0, 2] = 1, -1
    initializers = [
        constant("unit", 1 / 255),
        constant("mix", mix),
        constant("smooth", np.tile(smooth, (16, 1, 1, 1))),
        constant("bright", bright),
        constant("dark", [-4]),
        constant("warmth", warmth),
        constant("zero", 0),
        constant("floor", 0.2),
        constant("rows", [ROWS], np.int64),
        constant("last", [2], np.int64),
        constant("reach", [0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half]),
    ]
    graph = helper.make_graph(
        nodes,
        "blob",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", ROWS, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", ROWS]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["N", ROWS]),
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    if values is not None:
        helper.set_model_props(model, {"foveate": json.dumps(values)})
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    onnx.save(build(metadata()), Path(__file__).parent / "blob.onnx")
