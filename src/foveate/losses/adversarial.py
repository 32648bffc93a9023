"""Losses of two networks against each other: one makes pictures, one tells them from real ones."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def discriminator_loss(real: Tensor, generated: Tensor, *, relativistic: bool) -> Tensor:
    """What the discriminator minimises: cross-entropy of telling real from generated.

    Relativistic (Jolicoeur-Martineau 2018, arXiv:1807.00734, the average form [M]): it tells
    whether a crop is more real than the others' mean, so that its gradient does not fade once it
    is sure of itself.

    Args:
        real: ``(R,)`` logits of real crops.
        generated: ``(F,)`` logits of generated ones; without a gradient to the generator.
        relativistic: Whether each is judged from the mean of the others.

    Returns:
        A scalar; 0 where either is empty.
    """
    if not len(real) or not len(generated):
        return 0.0 * (real.sum() + generated.sum())
    if relativistic:
        real, generated = real - generated.mean(), generated - real.mean()
    return (functional.softplus(-real).mean() + functional.softplus(generated).mean()) / 2


def generator_loss(real: Tensor, generated: Tensor, *, relativistic: bool) -> Tensor:
    """What the generator minimises: that its crops are taken for real ones.

    The non-saturating form; relativistic, that real crops are also taken for less real than its.

    Args:
        real: ``(R,)`` logits of real crops; only used if `relativistic`.
        generated: ``(F,)`` logits of generated ones.
        relativistic: As in `discriminator_loss`.

    Returns:
        A scalar; 0 where there is nothing to judge.
    """
    if not len(generated) or (relativistic and not len(real)):
        return 0.0 * (real.sum() + generated.sum())
    if not relativistic:
        return functional.softplus(-generated).mean()
    more, less = generated - real.mean(), real - generated.mean()
    return (functional.softplus(-more).mean() + functional.softplus(less).mean()) / 2


def discriminator_accuracy(real: Tensor, generated: Tensor, *, relativistic: bool) -> float:
    """Share of crops told right, real and generated ones weighing the same; .5 is chance.

    Args:
        real: ``(R,)`` logits, at least one.
        generated: ``(F,)`` logits, at least one.
        relativistic: As in `discriminator_loss`.
    """
    if relativistic:
        real, generated = real - generated.mean(), generated - real.mean()
    right = (real > 0).float().mean() + (generated < 0).float().mean()
    return float(right) / 2
