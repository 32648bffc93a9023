"""The layout of torchvision's exports: Faster R-CNN, RetinaNet, FCOS, SSD.

Each takes one picture with values from 0 to 1, normalises, resizes and suppresses inside, and gives
boxes in pixels of that picture. Names of outputs are the exporter's; they are told by their axes
and types. Source: torchvision's ``models/detection`` (BSD-3-Clause) [S].
"""

from __future__ import annotations

from foveate.inference.foreign.graph import Graph, Port
from foveate.inference.foreign.layout import Frame, Layout, Outputs
from foveate.structures import Detections

_FLOATS, _INTEGERS = {"float", "float16"}, {"int64", "int32"}


def decode_dictionary(outputs: Outputs, frame: Frame) -> Detections:
    """``boxes (N, 4)``, ``labels (N,)`` integers and ``scores (N,)``, in any order."""
    boxes = next(array for array in outputs.values() if array.ndim == 2)
    flat = [array for array in outputs.values() if array.ndim == 1]
    labels = next(array for array in flat if array.dtype.kind == "i")
    scores = next(array for array in flat if array.dtype.kind == "f")
    return Detections(boxes, scores, labels)


def _has_dictionary(graph: Graph) -> bool:
    """Boxes, integer labels and scores, one picture's, without a batch axis."""
    kinds = sorted(filter(None, map(_kind, graph.outputs)))
    return kinds == ["boxes", "labels", "scores"] and len(graph.outputs) == 3


def _kind(port: Port) -> str:
    if len(port.shape) == 2 and port.shape[1] in (4, None) and port.dtype in _FLOATS:
        return "boxes"
    if len(port.shape) == 1 and port.dtype in _INTEGERS:
        return "labels"
    return "scores" if len(port.shape) == 1 and port.dtype in _FLOATS else ""


TORCHVISION: dict[str, Layout] = {
    "torchvision": Layout(
        summary="torchvision: boxes (K, 4), labels (K), scores (K) of one picture",
        accepts=_has_dictionary,
        claims=_has_dictionary,
        decode=decode_dictionary,
        class_count=lambda g: None,
        batched=False,
        score_threshold=0.5,
    ),
}
"""Layouts of this family by name."""
