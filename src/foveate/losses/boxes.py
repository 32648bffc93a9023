"""Losses between paired boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def paired_iou_and_giou(boxes_a: Tensor, boxes_b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of row i of both, ``(..., )`` each (Rezatofighi 2019 [M]).

    Args:
        boxes_a: ``(..., 4)`` xyxy.
        boxes_b: ``(..., 4)`` xyxy.
    """
    low = torch.maximum(boxes_a[..., :2], boxes_b[..., :2])
    high = torch.minimum(boxes_a[..., 2:], boxes_b[..., 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (boxes_a, boxes_b)]
    union = areas[0] + areas[1] - overlap
    hull_low = torch.minimum(boxes_a[..., :2], boxes_b[..., :2])
    hull_high = torch.maximum(boxes_a[..., 2:], boxes_b[..., 2:])
    hull = (hull_high - hull_low).clamp(min=0).prod(-1)
    tiny = 1e-6
    iou = overlap / (union + tiny)
    return iou, iou - (hull - union) / (hull + tiny)
