"""Write the tiny glance that tests run: present is what is bright in the picture reduced by four.

    python tests/data_files/make_glance_model.py

The file holds the graph alone; the fixture `make_glance` adds what it says of itself.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from make_blob_model import constant
from onnx import TensorProto, helper


def build() -> onnx.ModelProto:
    """Build the graph: the highest value in 4 x 4 reduced pixels, 40 as 0 and 140 as 1."""
    node = helper.make_node
    nodes = [
        node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        node("Transpose", ["float"], ["nchw"], perm=[0, 3, 1, 2]),
        node("MaxPool", ["nchw"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        node("ReduceMax", ["cells", "channel"], ["highest"], keepdims=0),
        node("Sub", ["highest", "dark"], ["above"]),
        node("Mul", ["above", "gain"], ["share"]),
        node("Clip", ["share", "zero", "one"], ["presence"]),
    ]
    initializers = [
        constant("channel", [1], int),
        constant("dark", 40),
        constant("gain", 0.01),
        constant("zero", 0),
        constant("one", 1),
    ]
    graph = helper.make_graph(
        nodes,
        "glance",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("presence", TensorProto.FLOAT, ["N", "h", "w"])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    onnx.save(build(), Path(__file__).parent / "glance.onnx")
