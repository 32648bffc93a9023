"""Our own torch operators, in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import opset18

import foveate.models.proposals  # noqa: F401  (defines the operators)

op: Any = opset18
_ALL = 2**31 - 1
"""Boxes that may stay."""


def _keep_best(boxes: Any, scores: Any, iou: float) -> Any:
    """`foveate.models.proposals.keep_best`: ONNX names those that stay, of the whole batch."""
    chosen = op.NonMaxSuppression(boxes, op.Unsqueeze(scores, [1]), [_ALL], [iou])  # (S, 3)
    place = op.Gather(chosen, [0, 2], axis=1)  # tile and box
    ones = op.Expand([1], op.Slice(op.Shape(place), [0], [1]))
    none = op.Expand([0], op.Shape(scores))
    return op.Cast(op.ScatterND(none, place, ones), to=9)  # bool


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For torch's exporter: how each of our operators is written."""
    return {torch.ops.foveate.keep_best.default: _keep_best}
