"""Layouts of the DETR family: queries that give each object once, so nothing is suppressed.

Sources: the export scripts and post-processing of RT-DETR (lyuwenyu/RT-DETR), D-FINE and RF-DETR,
and of Hugging Face's transformers, all under Apache-2.0 [S].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foveate.inference.foreign.graph import Graph
from foveate.inference.foreign.layout import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Frame,
    Layout,
    Outputs,
    Pixels,
    every_class,
    from_unit,
)
from foveate.structures import Detections, FloatArray

TARGET_SIZES = "orig_target_sizes"
"""Input of RT-DETR's and D-FINE's exports: width and height that their boxes are scaled to."""
PIXEL_MASK = "pixel_mask"
"""Input of some transformers exports: 1 where the picture is."""

_IMAGENET = Pixels(IMAGENET_MEAN, IMAGENET_STD)
_COCO_QUERIES, _COCO_LOGITS, _COCO_IDS = 100, 92, 91


def decode_deployed(outputs: Outputs, frame: Frame) -> Detections:
    """``labels (Q,)``, ``boxes (Q, 4)`` in pixels of the size asked for, ``scores (Q,)``."""
    return Detections(outputs["boxes"], outputs["scores"], outputs["labels"])


def decode_rfdetr(outputs: Outputs, frame: Frame) -> Detections:
    """``dets (Q, 4)`` as shares and ``labels (Q, C)`` logits.

    The last column is the background's, but for COCO's 91, which are its category ids.
    """
    scores = _sigmoid(outputs["labels"])
    classes = _rfdetr_classes(scores.shape[1])
    return every_class(from_unit(outputs["dets"], frame), scores[:, :classes])


def _rfdetr_classes(columns: int) -> int:
    return columns if columns == _COCO_IDS else columns - 1


def decode_sigmoid(outputs: Outputs, frame: Frame) -> Detections:
    """``pred_boxes (Q, 4)`` as shares and ``logits (Q, C)``, each class on its own."""
    return every_class(from_unit(outputs["pred_boxes"], frame), _sigmoid(outputs["logits"]))


def decode_softmax(outputs: Outputs, frame: Frame) -> Detections:
    """``pred_boxes (Q, 4)`` as shares and ``logits (Q, C + 1)``, the last one for no object."""
    logits = outputs["logits"] - outputs["logits"].max(axis=1, keepdims=True)
    odds = np.exp(logits)
    scores = (odds / odds.sum(axis=1, keepdims=True))[:, :-1]
    boxes = from_unit(outputs["pred_boxes"], frame)
    return Detections(boxes, scores.max(axis=1), scores.argmax(axis=1))


def _sigmoid(logits: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), np.float32)


def _is_transformers(graph: Graph) -> bool:
    return {"logits", "pred_boxes"} <= graph.output_names


def _columns(graph: Graph, output: str) -> int | None:
    """Length of the last axis of an output."""
    return next((port.shape[-1] for port in graph.outputs if port.name == output), None)


def _is_original_detr(graph: Graph) -> bool:
    """Whether it looks like DETR itself, whose scores are a softmax: 100 queries, or a mask."""
    queries = next((port.shape[1] for port in graph.outputs if port.name == "logits"), None)
    return (
        PIXEL_MASK in graph.input_names
        or queries == _COCO_QUERIES
        or _columns(graph, "logits") == _COCO_LOGITS
    )


def _without_none(graph: Graph) -> int | None:
    columns = _columns(graph, "logits")
    return None if columns is None else columns - 1


_SIGMOID = Layout(
    summary="RT-DETR, D-FINE of transformers: logits (N, K, classes) and pred_boxes, sigmoid",
    accepts=_is_transformers,
    claims=lambda g: _is_transformers(g) and not _is_original_detr(g),
    decode=decode_sigmoid,
    class_count=lambda g: _columns(g, "logits"),
    score_threshold=0.5,
)

DETR: dict[str, Layout] = {
    "rt-detr": Layout(
        summary="RT-DETR, D-FINE, DEIM: images and orig_target_sizes in; labels, boxes, scores out",
        accepts=lambda g: {"labels", "boxes", "scores"} <= g.output_names,
        claims=lambda g: (
            {"labels", "boxes", "scores"} <= g.output_names and TARGET_SIZES in g.input_names
        ),
        decode=decode_deployed,
        class_count=lambda g: None,
        score_threshold=0.5,
    ),
    "rf-detr": Layout(
        summary="RF-DETR: outputs dets (N, K, 4) and labels (N, K, classes)",
        accepts=lambda g: {"dets", "labels"} <= g.output_names,
        claims=lambda g: {"dets", "labels"} <= g.output_names,
        decode=decode_rfdetr,
        class_count=lambda g: (n := _columns(g, "labels")) and _rfdetr_classes(n),
        pixels=_IMAGENET,
        score_threshold=0.5,
    ),
    "detr": Layout(
        summary="DETR of transformers: logits (N, K, classes + 1) and pred_boxes, softmax",
        accepts=_is_transformers,
        claims=lambda g: _is_transformers(g) and _is_original_detr(g),
        decode=decode_softmax,
        class_count=_without_none,
        pixels=_IMAGENET,
        score_threshold=0.5,
    ),
    "rt-detr-transformers": _SIGMOID,
    "deformable-detr": replace(
        _SIGMOID,
        summary="Deformable DETR of transformers: the same, pixels normalised as for ImageNet",
        claims=lambda g: False,
        pixels=_IMAGENET,
    ),
}
"""Layouts of this family by name."""
