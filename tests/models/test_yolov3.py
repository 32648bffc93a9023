"""YOLOv3's priors, its coding of boxes, its score, and its losses against darknet's gradients."""

from __future__ import annotations

import math

import pytest
import torch

from foveate.models import METHODS, Targets
from foveate.models.pyramid import ConcatPyramid
from foveate.models.yolov3 import Priors, YOLOv3, YOLOv3Config

NONE = torch.zeros(0, 4)


def build(**settings: object) -> YOLOv3:
    torch.manual_seed(0)
    backbone = {"weights": "none", "strides": (8, 16)}
    values = {"width": 8, "neck_pairs": 0, "backbone": backbone} | settings
    method = METHODS["yolov3"](YOLOv3Config.from_dict(values), 2)
    assert isinstance(method, YOLOv3)
    return method.eval()


def outputs(method: YOLOv3) -> Priors:
    """All logits 0, of a tile of 32 by 48 px: a leaf for gradients."""
    said: Priors = method(torch.zeros(1, 32, 48, 3, dtype=torch.uint8))
    leaves = [torch.zeros_like(part).requires_grad_() for part in said[:3]]
    return said._replace(offsets=leaves[0], objectness=leaves[1], classes=leaves[2])


def test_priors_are_darknets_and_other_strides_have_the_nearests_in_proportion() -> None:
    nine = YOLOv3Config().anchor_sizes
    assert nine == (
        ((10, 13), (16, 30), (33, 23)),
        ((30, 61), (62, 45), (59, 119)),
        ((116, 90), (156, 198), (373, 326)),
    )
    four = YOLOv3Config.from_dict({"backbone": {"strides": (4, 8, 16, 32)}}).anchor_sizes
    assert four == (((5, 6.5), (8, 15), (16.5, 11.5)), *nine)


def test_a_cell_says_box_then_objectness_then_classes() -> None:
    method = build()
    said = method(torch.zeros(1, 32, 48, 3, dtype=torch.uint8))
    assert said.shapes == ((4, 6), (2, 3))
    assert said.offsets.shape == (1, 3 * (24 + 6), 4)
    assert said.classes.shape == (1, 90, 2)
    assert said.cells[:, 0].tolist() == [8] * 72 + [16] * 18
    # Untrained, every prior is an object with the probability `prior`, and any class.
    assert said.objectness.sigmoid().mean().item() == pytest.approx(0.01, abs=2e-3)
    assert said.classes.sigmoid().mean().item() == pytest.approx(0.5, abs=0.05)


def test_boxes_are_the_papers() -> None:
    method = build()
    said = outputs(method)
    row = (2 * 6 + 3) * 3 + 1  # third row, fourth column, second prior: 16x30
    with torch.no_grad():
        said.offsets[0, row] = torch.tensor([1.0, -2.0, 0.3, -0.4])
        said.objectness[0, row], said.classes[0, row, 1] = 3.0, 2.0
    found = method.decode(said)
    x, y = 8 * (3 + 1 / (1 + math.exp(-1))), 8 * (2 + 1 / (1 + math.exp(2)))
    width, height = 16 * math.exp(0.3), 30 * math.exp(-0.4)
    expected = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    assert found.boxes[0, 0].tolist() == pytest.approx(expected, abs=1e-4)
    assert found.labels[0, 0] == 1
    score = 1 / (1 + math.exp(-3)) / (1 + math.exp(-2))
    assert found.scores[0, 0].item() == pytest.approx(score, abs=1e-6)


def test_no_logit_is_too_large_for_the_score() -> None:
    method = build()
    said = outputs(method)
    with torch.no_grad():
        said.objectness.fill_(-500)
        said.classes.fill_(500)
        said.objectness[0, 0] = 500
    scores = method.decode(said).scores[0]
    assert scores[:2].tolist() == [1, 1]
    assert torch.isfinite(scores).all()
    assert scores[2:].max() < 1e-6


def test_gradients_are_darknets() -> None:
    method = build()
    said = outputs(method)
    box, row = torch.tensor([[26.0, 12, 38, 26]]), (2 * 6 + 4) * 3  # centre 32, 19; prior 10x13
    losses = method.loss(said, [Targets(box, torch.tensor([1]), NONE)])
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert said.offsets.grad is not None
    assert said.objectness.grad is not None
    assert said.classes.grad is not None
    share = 12 * 14 / (32 * 48)
    wanted = torch.tensor([0.0, 19 / 8 - 2, math.log(12 / 10), math.log(14 / 13)])
    given = torch.tensor([0.5, 0.5, 0, 0])  # sigmoid(0) and 0
    torch.testing.assert_close(said.offsets.grad[0, row], (2 - share) * (given - wanted))
    assert said.objectness.grad[0, row] == -0.5
    assert said.classes.grad[0, row].tolist() == [0.5, -0.5]
    elsewhere = torch.arange(90) != row
    assert not said.offsets.grad[0, elsewhere].any()
    assert not said.classes.grad[0, elsewhere].any()
    # Nothing is there, says all the rest but what finds the box as it is.
    assert set(said.objectness.grad[0, elsewhere].tolist()) <= {0.0, 0.5}


@pytest.mark.parametrize("box_loss", ["squared", "giou"])
def test_a_box_that_is_right_costs_nothing(box_loss: str) -> None:
    method = build(box_loss=box_loss)
    said = outputs(method)
    # As large as its prior, and centred in its cell.
    box = torch.tensor([[36 - 5, 20 - 6.5, 36 + 5, 20 + 6.5]])
    losses = method.loss(said, [Targets(box, torch.tensor([0]), NONE)])
    assert losses["box"].item() == pytest.approx(0, abs=1e-4)
    moved = method.loss(said, [Targets(box + 2, torch.tensor([0]), NONE)])
    assert moved["box"].item() > 0.1


def test_a_box_beyond_the_tile_has_a_finite_loss() -> None:
    box = torch.tensor([[40.0, 28, 60, 40], [-9, -9, -1, -1], [5, 5, 5, 5]])
    method = build()
    losses = method.loss(outputs(method), [Targets(box, torch.tensor([0, 1, 0]), NONE)])
    assert all(torch.isfinite(value) for value in losses.values())


def test_focal_loss_makes_less_of_what_is_known() -> None:
    target = [Targets(torch.tensor([[8.0, 8, 18, 20]]), torch.tensor([0]), NONE)]
    plain, focal = build(), build(class_loss="focal")
    said = outputs(plain)._replace(objectness=torch.full((1, 90), -3.0))
    # One positive at p = .05, and sure negatives, which focal loss all but forgets.
    assert focal.loss(said, target)["objectness"] < plain.loss(said, target)["objectness"] / 3
    assert focal.loss(said, target)["box"] == plain.loss(said, target)["box"]


def test_a_concatenating_pyramid_hands_context_down_and_none_up() -> None:
    pyramid = ConcatPyramid([3, 5], width=4, pairs=1).eval()
    fine, coarse = torch.rand(1, 3, 6, 10), torch.rand(1, 5, 3, 5)
    levels = pyramid([fine, coarse])
    assert [tuple(level.shape[1:]) for level in levels] == [(4, 6, 10), (4, 3, 5)]
    assert not torch.equal(pyramid([fine, coarse + 1])[0], levels[0])
    assert torch.equal(pyramid([fine + 1, coarse])[1], levels[1])
