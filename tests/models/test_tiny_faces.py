"""tiny-faces: how far it sees, its templates, and which of them learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foveate.data.anchors import centred_iou
from foveate.errors import UsageError
from foveate.models import Targets, TinyFaces, TinyFacesConfig

CELLS = 50


def build(**settings: object) -> TinyFaces:
    torch.manual_seed(0)
    values = {"backbone": {"weights": "none"}, "anchors": "10x10,14x14,20x20"} | settings
    return TinyFaces(TinyFacesConfig.from_dict(values), 2)


def seen(method: TinyFaces) -> torch.Tensor:
    """How much each pixel matters to the cell in the middle of a tile, ``(400, 400)``."""
    pixels = torch.randn(1, 3, 8 * CELLS, 8 * CELLS, requires_grad=True)
    logits = method.eval().judge(pixels).logits.view(CELLS, CELLS, -1)
    (gradient,) = torch.autograd.grad(logits[CELLS // 2, CELLS // 2].sum(), pixels)
    return gradient.abs().sum(dim=(0, 1))


@pytest.mark.parametrize(("context", "across"), [(True, 355), (False, 67)])
@pytest.mark.parametrize("width", [0, 16])
def test_how_far_a_cell_sees(context: bool, across: int, width: int) -> None:
    places = seen(build(context=context, width=width)).nonzero()
    assert (places.amax(dim=0) - places.amin(dim=0) + 1).tolist() == [across, across]


def test_25_templates_for_any_square_of_10_to_160_pixels() -> None:
    (level,) = TinyFacesConfig().default_anchors
    sizes = np.array(level)
    assert len(sizes) == 25
    assert sizes.min() == 10
    squares = np.repeat(np.linspace(10, 160, 500)[:, None], 2, axis=1)
    assert centred_iou(squares, sizes).max(axis=1).min() > 0.7


@pytest.mark.parametrize("context", [True, False])
def test_each_map_gives_a_class_and_a_box_of_every_template(context: bool) -> None:
    method = build(context=context)
    channels = [of[-1].out_channels for of in method.predict]  # type: ignore[index]
    assert channels == [3 * (2 + 4)] * (1 + context)
    outputs = method(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))
    assert outputs.counts == (8 * 12 * 3,) == (len(outputs.anchors),)
    assert outputs.logits.shape == (1, 8 * 12 * 3, 2)


def learners(**settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each of two tiles, which templates learn their class, and which have a box; ``(2, R)``."""
    method = build(**settings)
    boxes = torch.tensor([[7.0, 7, 17, 17], [36, 36, 56, 56]])
    none = torch.zeros(0, 4)
    targets = [
        Targets(boxes, torch.tensor([0, 1]), none),
        Targets(none, torch.zeros(0, dtype=torch.long), none),
    ]
    outputs = method(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    outputs.logits.retain_grad()
    losses = method.loss(outputs, targets)
    losses["class"].backward()  # type: ignore[no-untyped-call]
    assert outputs.logits.grad is not None
    return outputs.logits.grad.any(dim=2), (outputs.logits.grad < 0).any(dim=2)


def test_only_the_hardest_learn_their_class() -> None:
    taught, positive = learners(prior=0.5, mined=7)
    assert positive.sum(1).tolist() == [2, 0]
    assert taught.sum(1).tolist() == [2 + 7, 7]
    # Untrained at a prior of .01 nothing that is not there costs more than .03.
    taught, positive = learners()
    assert taught.sum(1).tolist() == positive.sum(1).tolist() == [2, 0]
    taught, _ = learners(class_loss="focal")
    assert taught.sum(1).min() > 150


def test_strides_must_be_two() -> None:
    with pytest.raises(UsageError, match=r"expected two, such as 8, 16; got 4, 8, 16"):
        TinyFacesConfig.from_dict({"backbone": {"strides": (4, 8, 16)}})
