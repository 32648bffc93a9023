"""Hard mining: how many are chosen, which, and that ties do not matter."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from foveate.losses import hardest


def test_the_hardest_of_each_tile() -> None:
    loss = torch.tensor([[1.0, 5, 3, 4], [2, 2, 2, 2]])
    allowed = torch.tensor([[True, False, True, True], [False, True, True, True]])
    chosen = hardest(loss, allowed, torch.tensor([2, 2]))
    assert chosen.tolist() == [[False, False, True, True], [False, True, True, False]]


@given(st.integers(0, 2**31), st.integers(0, 40))
def test_no_more_than_asked_for_and_none_that_is_not_allowed(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    loss = torch.randint(0, 4, (3, 30), generator=generator).float()
    allowed = torch.rand(3, 30, generator=generator) < 0.5
    chosen = hardest(loss, allowed, torch.tensor([count, 0, 30]))
    assert not (chosen & ~allowed).any()
    assert chosen.sum(1).tolist() == [min(count, int(allowed[0].sum())), 0, int(allowed[2].sum())]
    if chosen[0].any() and (allowed & ~chosen)[0].any():
        assert loss[0][chosen[0]].min() >= loss[0][(allowed & ~chosen)[0]].max()
