"""The focal loss of dense methods, against torchvision's and at its ends."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss  # type: ignore[import-untyped]

from foveate.losses import focal_loss


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 50, 2, generator=generator) * 4
    return logits, (torch.rand(3, 50, 2, generator=generator) < 0.2).float()


@given(st.integers(0, 2**31), st.floats(0, 5), st.floats(0.05, 0.95))
def test_equals_torchvision(seed: int, gamma: float, alpha: float) -> None:
    logits, targets = drawn(seed)
    expected = sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    found = focal_loss(logits, targets, gamma=gamma, alpha=alpha)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_gamma_0_is_the_balanced_cross_entropy() -> None:
    logits, targets = drawn(0)
    plain = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    found = focal_loss(logits, targets, gamma=0, alpha=0.75)
    torch.testing.assert_close(found, plain * torch.where(targets == 1, 0.75, 0.25))


def test_an_easy_negative_counts_a_hundred_times_less_at_gamma_2() -> None:
    # p = .1 of an object that is not there: (1 - .9)^2.
    easy, none = torch.tensor([0.1]).logit(), torch.zeros(1)
    share = focal_loss(easy, none, gamma=2, alpha=0.25) / focal_loss(
        easy, none, gamma=0, alpha=0.25
    )
    assert share.item() == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_no_logit_gives_a_gradient_that_is_no_number(gamma: float) -> None:
    logits = torch.tensor([200.0, -200.0, 200.0, -200.0], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([1.0, 0.0, 0.0, 1.0]), gamma=gamma, alpha=0.25)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert loss.tolist() == pytest.approx([0, 0, 150, 50])
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
