import math

import pytest
import torch
from torchvision.ops import box_iou, generalized_box_iou  # type: ignore[import-untyped]

from foveate.losses import gaussian_focal_loss, paired_iou_and_giou


def test_focal_loss_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 2.0]]]])
    target = torch.tensor([[[[1.0, 0.5]]]])
    p = 1 / (1 + math.exp(-2.0))
    expected = 0.25 * math.log(2) - (0.5**4) * p**2 * math.log(1 - p)
    found = gaussian_focal_loss(logits, target, torch.ones(1, 1, 1, 2))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_is_summed_by_class() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 5, generator=generator), torch.zeros(2, 3, 4, 5)
    found = gaussian_focal_loss(logits, target, torch.ones(2, 1, 4, 5))
    alone = [
        gaussian_focal_loss(logits[:, [c]], target[:, [c]], torch.ones(2, 1, 4, 5)).item()
        for c in range(3)
    ]
    assert found.tolist() == pytest.approx(alone)


def test_focal_loss_switched_off_and_extreme_logits() -> None:
    logits = torch.tensor([[[[80.0, -80.0]]]])
    target = torch.tensor([[[[0.0, 1.0]]]])
    assert gaussian_focal_loss(logits, target, torch.zeros(1, 1, 1, 2)).item() == 0
    assert gaussian_focal_loss(logits, target, torch.ones(1, 1, 1, 2)).item() == pytest.approx(160)


def test_iou_and_giou_equal_torchvision() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(2, 50, 2, generator=generator) * 20
    size = torch.rand(2, 50, 2, generator=generator) * 20 + 0.5
    a, b = torch.cat([corner, corner + size], dim=2)
    iou, giou = paired_iou_and_giou(a, b)
    assert torch.allclose(iou, box_iou(a, b).diagonal(), atol=1e-5)
    assert torch.allclose(giou, generalized_box_iou(a, b).diagonal(), atol=1e-5)
