"""Adversarial losses: against arithmetic by hand, their gradients' directions, empty input."""

from __future__ import annotations

import math

import pytest
import torch

from foveate.losses import discriminator_accuracy, discriminator_loss, generator_loss

REAL = torch.tensor([2.0, 0.5, -1.0])
MADE = torch.tensor([-1.0, 0.25])


def minus_log_sigmoid(value: float) -> float:
    return math.log(1 + math.exp(-value))


def test_plain_losses_are_cross_entropies() -> None:
    right = sum(minus_log_sigmoid(v) for v in REAL.tolist()) / 3
    wrong = sum(minus_log_sigmoid(-v) for v in MADE.tolist()) / 2
    loss = discriminator_loss(REAL, MADE, relativistic=False)
    assert loss.item() == pytest.approx((right + wrong) / 2, rel=1e-6)
    fooled = sum(minus_log_sigmoid(v) for v in MADE.tolist()) / 2
    assert generator_loss(REAL, MADE, relativistic=False).item() == pytest.approx(fooled, rel=1e-6)


def test_relativistic_losses_compare_with_the_others_mean() -> None:
    mean_real, mean_made = 0.5, -0.375
    right = sum(minus_log_sigmoid(v - mean_made) for v in REAL.tolist()) / 3
    wrong = sum(minus_log_sigmoid(mean_real - v) for v in MADE.tolist()) / 2
    loss = discriminator_loss(REAL, MADE, relativistic=True)
    assert loss.item() == pytest.approx((right + wrong) / 2, rel=1e-6)
    swapped = discriminator_loss(MADE, REAL, relativistic=True)
    assert generator_loss(REAL, MADE, relativistic=True).item() == pytest.approx(swapped.item())
    # A constant added to all logits changes nothing: only the difference is judged.
    moved = discriminator_loss(REAL + 7, MADE + 7, relativistic=True)
    assert moved.item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("relativistic", [False, True])
def test_the_two_pull_in_opposite_directions(relativistic: bool) -> None:
    made = MADE.clone().requires_grad_()
    told = discriminator_loss(REAL, made, relativistic=relativistic)
    fooled = generator_loss(REAL, made, relativistic=relativistic)
    assert (torch.autograd.grad(told, made)[0] > 0).all()
    assert (torch.autograd.grad(fooled, made)[0] < 0).all()


@pytest.mark.parametrize("relativistic", [False, True])
def test_nothing_to_judge_costs_nothing(relativistic: bool) -> None:
    none = torch.zeros(0, requires_grad=True)
    assert discriminator_loss(none, MADE, relativistic=relativistic).item() == 0
    assert discriminator_loss(REAL, none, relativistic=relativistic).item() == 0
    assert generator_loss(REAL, none, relativistic=relativistic).item() == 0


def test_accuracy_weighs_both_kinds_the_same() -> None:
    assert discriminator_accuracy(REAL, MADE, relativistic=False) == pytest.approx(
        (2 / 3 + 0.5) / 2
    )
    assert discriminator_accuracy(REAL + 9, REAL - 9, relativistic=False) == 1
