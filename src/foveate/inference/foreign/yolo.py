"""Layouts of the YOLO family: Ultralytics' exports, YOLOv5's and YOLOX's.

Known from their documentation and from what exported files hold; no code of theirs was read but
YOLOX's, which is under Apache-2.0. Marks: [S] YOLOX's ``demo_utils.py``; [D] the published default
settings of each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foveate.inference.foreign.graph import Graph
from foveate.inference.foreign.layout import (
    LEAST_SCORE,
    Frame,
    Layout,
    Outputs,
    Pixels,
    best_class,
    every_class,
    from_unit,
    only,
)
from foveate.structures import Detections, FloatArray

GREY = 114
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_YOLOV5_ANCHORS = 3


def decode_columns(outputs: Outputs, frame: Frame) -> Detections:
    """``(4 + C, A)``: cxcywh network pixels, then a probability a class; a column an anchor."""
    rows = only(outputs).T
    return best_class(rows[:, :4], rows[:, 4:])


def decode_rows(outputs: Outputs, frame: Frame) -> Detections:
    """``(A, 5 + C)``: cxcywh network pixels, objectness, a probability a class."""
    rows = only(outputs)
    rows = rows[rows[:, 4] >= LEAST_SCORE]
    return best_class(rows[:, :4], rows[:, 5:] * rows[:, 4:5])


def decode_raw_grid(outputs: Outputs, frame: Frame) -> Detections:
    """``(A, 5 + C)`` as YOLOX leaves it: centres as offsets in cells, sizes as logarithms [S]."""
    raw = only(outputs)
    strides = next(s for s in _STRIDES if _cells(*frame, s) == len(raw))
    corner, stride = _grid(frame, strides)
    centre = (raw[:, :2] + corner) * stride
    size = np.exp(np.minimum(raw[:, 2:4], 20)) * stride
    return decode_rows({"": np.concatenate([centre, size, raw[:, 4:]], axis=1)}, frame)


def decode_finished(outputs: Outputs, frame: Frame) -> Detections:
    """``(K, 6)``: xyxy network pixels, score, class; the model has chosen already."""
    rows = only(outputs)
    rows = rows[rows[:, 4] >= LEAST_SCORE]
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].round())


def decode_rtdetr(outputs: Outputs, frame: Frame) -> Detections:
    """``(Q, 6)`` or ``(Q, 4 + C)``: cxcywh as shares, then score and class or C probabilities."""
    rows = only(outputs)
    boxes = from_unit(rows[:, :4], frame)
    # Two classes make six columns as well, but no column of whole numbers.
    if rows.shape[1] == 6 and (rows[:, 5] == rows[:, 5].round()).all():
        return decode_finished({"": np.concatenate([boxes, rows[:, 4:]], axis=1)}, frame)
    return every_class(boxes, rows[:, 4:])


def _cells(height: int, width: int, strides: tuple[int, ...]) -> int:
    return sum((height // s) * (width // s) for s in strides)


def _grid(frame: Frame, strides: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Every cell's column and row, ``(A, 2)``, and its stride, ``(A, 1)``."""
    corners, sides = [], []
    for stride in strides:
        rows, columns = np.mgrid[: frame.height // stride, : frame.width // stride]
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        sides.append(np.full((rows.size, 1), stride))
    return (
        np.concatenate(corners).astype(np.float32),
        np.concatenate(sides).astype(np.float32),
    )


def _anchors_are(graph: Graph, a_cell: int) -> bool:
    """Whether the only output has so many rows for each cell of the usual strides."""
    shape, (height, width) = graph.lone_output(3), graph.size
    if shape is None or shape[1] is None or height is None or width is None:
        return False
    return any(shape[1] == a_cell * _cells(height, width, strides) for strides in _STRIDES)


def _by_ultralytics(graph: Graph, word: str = "") -> bool:
    """Whether the metadata names this exporter, and a word of its model's description."""
    said = f"{graph.metadata.get('description', '')} {graph.metadata.get('head', '')}".lower()
    return graph.metadata.get("author") == "Ultralytics" and word in said


def _has_columns(graph: Graph) -> bool:
    shape = graph.lone_output(3)
    if shape is None or shape[1] is None or shape[1] < 5:
        return False
    return shape[2] is None or shape[2] > shape[1]


def _has_rows(graph: Graph, least: int) -> bool:
    shape = graph.lone_output(3)
    return shape is not None and (shape[2] is None or shape[2] >= least)


def _is_finished(graph: Graph) -> bool:
    shape = graph.lone_output(3)
    return shape is not None and shape[2] == 6 and (shape[1] or 0) <= 3000


def _beyond(graph: Graph, axis: int, boxes: int) -> int | None:
    """Length of the only output's axis after `boxes` columns."""
    shape = graph.lone_output(3)
    length = shape[axis] if shape else None
    return None if length is None else length - boxes


_YOLOX = Layout(
    summary="YOLOX: one output (N, one a cell, 5 + classes), undecoded; BGR from 0 to 255",
    accepts=lambda g: _has_rows(g, 6),
    claims=lambda g: _has_rows(g, 6) and _anchors_are(g, 1) and not _by_ultralytics(g),
    decode=decode_raw_grid,
    class_count=lambda g: _beyond(g, 2, 5),
    pixels=Pixels(std=(1.0, 1.0, 1.0), bgr=True),
    padding=GREY,
    suppress=0.45,
    score_threshold=0.3,
)

YOLO: dict[str, Layout] = {
    "ultralytics": Layout(
        summary="YOLOv8, 11 and others of Ultralytics: one output (N, 4 + classes, anchors)",
        accepts=_has_columns,
        claims=lambda g: _has_columns(g) and not _by_ultralytics(g, "rtdetr"),
        decode=decode_columns,
        class_count=lambda g: _beyond(g, 1, 4),
        padding=GREY,
        suppress=0.7,
        score_threshold=0.25,
    ),
    "ultralytics-end2end": Layout(
        summary="YOLO26, YOLOv10, or NMS in the file: one output (N, K, 6), xyxy, score, class",
        accepts=_is_finished,
        claims=lambda g: (
            _is_finished(g)
            and not _by_ultralytics(g, "rtdetr")
            and not _anchors_are(g, 1)
            and not _anchors_are(g, _YOLOV5_ANCHORS)
        ),
        decode=decode_finished,
        class_count=lambda g: None,
        padding=GREY,
        score_threshold=0.25,
    ),
    "ultralytics-rtdetr": Layout(
        summary="RT-DETR of Ultralytics: one output (N, K, 6) or (N, K, 4 + classes), shares",
        accepts=lambda g: _has_rows(g, 5),
        claims=lambda g: _has_rows(g, 5) and _by_ultralytics(g, "rtdetr"),
        decode=decode_rtdetr,
        class_count=lambda g: None if _beyond(g, 2, 4) == 2 else _beyond(g, 2, 4),
        padding=GREY,
        score_threshold=0.25,
    ),
    "yolov5": Layout(
        summary="YOLOv5: one output (N, 3 anchors a cell, 5 + classes), pixels",
        accepts=lambda g: _has_rows(g, 6),
        claims=lambda g: _has_rows(g, 6) and _anchors_are(g, _YOLOV5_ANCHORS),
        decode=decode_rows,
        class_count=lambda g: _beyond(g, 2, 5),
        padding=GREY,
        suppress=0.45,
        score_threshold=0.25,
    ),
    "yolox": _YOLOX,
    "yolox-decoded": replace(
        _YOLOX,
        summary="YOLOX exported with --decode_in_inference: the same, in pixels",
        claims=lambda g: False,
        decode=decode_rows,
    ),
}
"""Layouts of this family by name."""
