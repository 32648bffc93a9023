"""Pure box arithmetic. Bare ``boxes`` means ``(N, 4)`` xyxy pixels; no function writes its input.

Shapes: A, B = numbers of boxes. *Paired* functions compare row i with row i.
"""

from __future__ import annotations

import numpy as np

from foveate.structures.types import BoolArray, FloatArray


def box_area(boxes: FloatArray) -> FloatArray:
    """Area in square pixels, ``(N,)``; 0 for empty or inverted boxes."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    area: FloatArray = size[:, 0] * size[:, 1]
    return area


def paired_intersection(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Intersection area of row i of both, ``(N,)`` square pixels."""
    size = np.minimum(boxes_a[:, 2:], boxes_b[:, 2:]) - np.maximum(boxes_a[:, :2], boxes_b[:, :2])
    size = np.maximum(size, 0)
    area: FloatArray = size[:, 0] * size[:, 1]
    return area


def paired_iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Intersection over union of row i of both, ``(N,)`` in ``[0, 1]``; 0 where both are empty."""
    overlap = paired_intersection(boxes_a, boxes_b)
    return _ratio(overlap, box_area(boxes_a) + box_area(boxes_b) - overlap)


def paired_ios(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Intersection over the smaller area of row i of both, ``(N,)`` in ``[0, 1]``."""
    overlap = paired_intersection(boxes_a, boxes_b)
    return _ratio(overlap, np.minimum(box_area(boxes_a), box_area(boxes_b)))


def box_intersection(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Intersection areas, pairwise, ``(A, B)`` square pixels."""
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])  # (A, B, 2)
    high = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])  # (A, B, 2)
    size = np.maximum(high - low, 0)
    area: FloatArray = size[..., 0] * size[..., 1]
    return area


def box_iou(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Intersection over union, pairwise, ``(A, B)`` in ``[0, 1]``; 0 where both are empty."""
    overlap = box_intersection(boxes_a, boxes_b)
    return _ratio(overlap, box_area(boxes_a)[:, None] + box_area(boxes_b)[None] - overlap)


def box_ios(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Intersection over the smaller area, pairwise, ``(A, B)`` in ``[0, 1]``.

    Unlike IoU it stays high when one box lies inside another, which is how a box cut by a
    tile edge meets its complete twin from the neighbouring tile.
    """
    overlap = box_intersection(boxes_a, boxes_b)
    return _ratio(overlap, np.minimum(box_area(boxes_a)[:, None], box_area(boxes_b)[None]))


def box_nwd(boxes_a: FloatArray, boxes_b: FloatArray, constant: float = 12.8) -> FloatArray:
    """Normalised Gaussian Wasserstein distance, pairwise, ``(A, B)`` in ``(0, 1]``.

    Each box is a Gaussian with its centre as mean and half its sides as deviations; unlike IoU
    the likeness decays smoothly when tiny boxes stop overlapping (Wang 2021, arXiv:2110.13389).

    Args:
        boxes_a: ``(A, 4)`` xyxy pixels.
        boxes_b: ``(B, 4)`` xyxy pixels.
        constant: The data set's typical object size in pixels; the paper's C.
    """
    a, b = xyxy_to_cxcywh(boxes_a)[:, None], xyxy_to_cxcywh(boxes_b)[None]
    centre = np.square(a[..., :2] - b[..., :2]).sum(-1)
    size = np.square(a[..., 2:] - b[..., 2:]).sum(-1) / 4
    likeness: FloatArray = np.exp(-np.sqrt(centre + size) / constant)
    return likeness


def xyxy_to_xywh(boxes: FloatArray) -> FloatArray:
    """Corners to left, top, width, height (COCO's ``bbox``)."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def xywh_to_xyxy(boxes_xywh: FloatArray) -> FloatArray:
    """Left, top, width, height to corners."""
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def xyxy_to_cxcywh(boxes: FloatArray) -> FloatArray:
    """Corners to centre, width, height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] + size / 2, size], axis=1)


def cxcywh_to_xyxy(boxes_cxcywh: FloatArray) -> FloatArray:
    """Centre, width, height to corners."""
    half = boxes_cxcywh[:, 2:] / 2
    return np.concatenate([boxes_cxcywh[:, :2] - half, boxes_cxcywh[:, :2] + half], axis=1)


def clip_boxes(boxes: FloatArray, width: float, height: float) -> FloatArray:
    """Cut boxes to a picture of ``width`` x ``height`` pixels; boxes outside become empty."""
    limit = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.clip(boxes, 0, limit)


def valid_boxes(boxes: FloatArray) -> BoolArray:
    """Which boxes are finite and have a positive width and height, ``(N,)``."""
    finite = np.isfinite(boxes).all(axis=1)
    return np.logical_and(finite, (boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
