"""Every row of METHODS, tested alike: a new row is tested without writing a test."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
import torch

from foveate.errors import FoveateError
from foveate.export.onnx import check_parity, model_bytes, require_alike
from foveate.models import METHODS, Method, MethodConfig, Targets
from foveate.training.recipe import Recipe, load_recipe, shipped_recipes
from foveate.training.validate import TorchDetector

FEW: dict[str, object] = {
    "anchors": "8x8,14x14", "candidates": 200,
    "proposals": {"considered": 100, "kept": 40}, "regions": {"drawn": 64},
}  # fmt: skip
"""Anchors and proposals for the two pictures, for any method of two stages with one level."""

TINY: dict[str, dict[str, object]] = {
    "center-point": {"head_width": 16},
    "faster-rcnn": FEW | {"backbone": {"weights": "none", "strides": (8,)}},
    "faster-rcnn-fpn": FEW | {
        "backbone": {"weights": "none", "strides": (4, 8)}, "canonical": 64.0,
        "anchors": "8x8,14x14; 10x10,16x16; 24x24,32x32",
    },
    "multiscale-rcnn": FEW | {"backbone": {"weights": "none", "strides": (4, 8)}},
    "remote-rcnn": FEW | {"backbone": {"weights": "none", "strides": (4, 8)}},
    "retinanet": {
        "backbone": {"weights": "none", "strides": (8, 16)}, "extra_levels": 1, "head_convs": 1,
    },
    "ssd": {
        "backbone": {"weights": "none", "strides": (8, 16)}, "extra_levels": 1, "extra_width": 16,
        "anchors": "8x8,14x14; 16x16,24x24; 32x32,48x48",
        "negatives": 40.0,  # so that every map is among them
    },
    "tiny-faces": {
        "anchors": "8x8,10x10,14x14", "matching": {"positive": 0.5, "negative": 0.5, "best": 0.0},
    },
    "yolov3": {"backbone": {"weights": "none", "strides": (8, 16)}, "neck_pairs": 1},
}  # fmt: skip
"""What makes a method small enough for a test, beyond what all share; a new row may need none."""

FORMS: dict[str, dict[str, object]] = {
    **{name: {"name": name} for name in METHODS},
    "center-point, separable, balanced": {
        "name": "center-point", "separable": True, "balance_classes": True,
    },
    "faster-rcnn, +++": {
        "name": "faster-rcnn",
        "regions": {"drawn": 64, "refinements": 1, "global_context": True},
    },
    "faster-rcnn-fpn, finest only, one box a region": {
        "name": "faster-rcnn-fpn", "finest_only": True, "anchors": "8x8,14x14",
        "regions": {"drawn": 64, "class_agnostic": True},
    },
    "faster-rcnn-fpn, no lateral": {"name": "faster-rcnn-fpn", "lateral": False},
    "multiscale-rcnn, plain": {"name": "multiscale-rcnn", "scales": "plain"},
    "remote-rcnn, no context": {"name": "remote-rcnn", "context": False},
    "retinanet, P2, given anchors": {
        "name": "retinanet", "backbone": {"weights": "none", "strides": (4, 8)},
        "coarse_weight": 3.0, "anchors": "6x6,8x10; 10x14,16x16; 24x24,40x40",
    },
    "ssd, top-down": {"name": "ssd", "smoothing": True, "top_down": True},
    "ssd, Inception": {
        "name": "ssd",
        "backbone": {"name": "inception_v2_050", "weights": "none", "strides": (8, 16)},
    },
    "tiny-faces, no context": {"name": "tiny-faces", "context": False},
    "yolov3, a head of stride 4": {
        "name": "yolov3", "backbone": {"weights": "none", "strides": (4, 8, 16)},
    },
}  # fmt: skip
"""Every method as it is by default, and the forms whose networks compute something else."""

EXPORTED = (
    "center-point, separable, balanced", "faster-rcnn, +++", "faster-rcnn, NWD", "faster-rcnn-fpn",
    "multiscale-rcnn", "remote-rcnn", "retinanet", "ssd, Inception", "tiny-faces", "yolov3",
)  # fmt: skip
"""Of each method the forms whose graphs have most in them: an export takes long."""

VARIANTS: dict[str, dict[str, object]] = {
    **FORMS,
    "center-point, gamma 0": {"name": "center-point", "gamma": 0.0},
    "faster-rcnn, NWD": {
        "name": "faster-rcnn",
        "proposals": {
            "considered": 100,
            "kept": 40,
            "metric": "nwd",
            "matching": {"metric": "nwd"},
        },
    },
    "faster-rcnn-fpn, no top-down": {"name": "faster-rcnn-fpn", "top_down": False},
    "retinanet, gamma 0": {"name": "retinanet", "focal": {"gamma": 0.0, "alpha": 0.75}},
    "retinanet, NWD": {"name": "retinanet", "matching": {"metric": "nwd", "positive": 0.6}},
    "ssd, focal": {"name": "ssd", "class_loss": "focal"},
    "ssd, its own anchors": {"name": "ssd", "anchors": "default"},
    "tiny-faces, focal": {"name": "tiny-faces", "class_loss": "focal"},
    "yolov3, focal": {"name": "yolov3", "class_loss": "focal"},
    "yolov3, GIoU, ignore .5": {"name": "yolov3", "box_loss": "giou", "ignore_iou": 0.5},
}
"""Those, and the forms that only learn in another way."""


def build(variant: str, class_count: int = 2, channels: int = 3) -> Method:
    torch.manual_seed(0)
    chosen = VARIANTS[variant]
    (config,) = (
        c for c in get_args(MethodConfig) if c.model_fields["name"].default == chosen["name"]
    )
    small = {"backbone": {"weights": "none"}, "width": 16, "max_detections": 20}
    small = {key: value for key, value in small.items() if key in config.model_fields}
    settings = small | TINY.get(str(chosen["name"]), {}) | chosen
    recipe = Recipe.from_dict({"name": "tiny", "method": settings})
    return METHODS[recipe.method.name](recipe.method, class_count, channels)


def two_pictures() -> tuple[torch.Tensor, list[Targets]]:
    """Two 64-px tiles with bright and dark squares of 6 to 14 px."""
    rng = np.random.default_rng(0)
    images = rng.integers(90, 110, (2, 64, 64, 3), dtype=np.uint8)
    rows = [[(8, 8, 16, 16, 0), (40, 30, 54, 44, 1)], [(30, 10, 38, 20, 1), (12, 44, 18, 50, 0)]]
    targets = []
    for image, objects in zip(images, rows, strict=True):
        for x1, y1, x2, y2, label in objects:
            image[y1:y2, x1:x2] = 255 if label else 0
        table = torch.tensor(objects)
        targets.append(Targets(table[:, :4].float(), table[:, 4], torch.zeros(0, 4)))
    return torch.from_numpy(images), targets


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_is_finite_and_reaches_every_parameter(variant: str) -> None:
    method = build(variant).train()
    images, targets = two_pictures()
    losses = method.loss(method(images), targets)
    total = torch.stack(list(losses.values())).sum()
    assert torch.isfinite(total)
    total.backward()  # type: ignore[no-untyped-call]
    unreached = [n for n, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tile_without_objects_has_a_finite_loss(variant: str) -> None:
    method = build(variant).train()
    none = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(1, 4))
    losses = method.loss(method(two_pictures()[0]), [none, none])
    assert all(torch.isfinite(value) for value in losses.values())


@cache
def taught(variant: str) -> Method:
    """A method that has seen the two pictures ninety times, or 150 with a second stage.

    That one learns from what the first moves, and settles only when the rate falls.
    """
    method = build(variant).train()
    images, targets = two_pictures()
    optimiser = torch.optim.AdamW(method.parameters(), lr=3e-3)
    steps = 150 if method.loss_parameters() else 90
    for step in range(steps):
        if method.loss_parameters():
            optimiser.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        losses = method.loss(method(images), targets)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return method


def grouped(variants: Iterable[str]) -> list[Any]:
    """Those that one worker does, so that a method is taught once."""
    return [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in variants]


@pytest.mark.parametrize("variant", grouped(VARIANTS))
def test_overfits_two_pictures(variant: str) -> None:
    method = taught(variant)
    images, targets = two_pictures()
    found = TorchDetector(method, torch.device("cpu"))(list(images.numpy()))
    for detections, wanted in zip(found, targets, strict=True):
        sure = detections[detections.scores > 0.3]
        assert len(sure) == len(wanted.labels)
        for box, label in zip(wanted.boxes, wanted.labels, strict=True):
            gaps = np.abs(sure.boxes - box.numpy()).max(axis=1)
            assert gaps.min() < 2.5
            assert sure.labels[gaps.argmin()] == label


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("variant", FORMS)
def test_takes_any_channel_count(variant: str, channels: int) -> None:
    method = build(variant, channels=channels).eval()
    images = torch.zeros(1, 64, 96, channels, dtype=torch.uint8)
    boxes, scores, labels = method.decode(method(images))
    assert boxes.shape == (1, method.candidates, 4)
    assert scores.shape == labels.shape == (1, method.candidates)
    assert method.max_detections == 20 <= method.candidates


def test_every_method_is_exported() -> None:
    assert {VARIANTS[variant]["name"] for variant in EXPORTED} == METHODS.keys()


@pytest.mark.parametrize("variant", grouped(EXPORTED))
def test_exported_file_gives_what_torch_gives_and_a_changed_one_does_not(variant: str) -> None:
    # With the batch's own statistics in place of running ones, which ninety steps leave behind.
    method = deepcopy(taught(variant))
    for module in method.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    images = two_pictures()[0]
    method(images)
    method.eval()
    content = model_bytes(method, half=True)
    with torch.no_grad():
        scores = method.decode(method(images)).scores
    assert scores.amax() > 0.5
    assert scores.amin() < 0.3
    recipe, pictures = Recipe(name="tiny"), tuple(images.numpy())
    check_parity(method, content, recipe, pictures)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.mul_(1.05)
    with pytest.raises(FoveateError, match=r"differs? from torch"):
        check_parity(method, content, recipe, pictures)


def test_no_more_boxes_may_differ_than_near_ties_decide() -> None:
    left, nought = np.arange(0, 1000, 10, dtype=np.float32), np.zeros(100, np.float32)
    boxes = np.stack([left, nought, left + 8, nought + 8], axis=1)[None]
    scores, labels = np.linspace(0.9, 0.4, 100, dtype=np.float32)[None], np.zeros((1, 100), int)
    wanted = [boxes, scores, labels]
    moved = boxes.copy()
    moved[0, :2] += 3
    require_alike([moved, scores, labels], wanted, 0.3, near_ties=0.03)
    with pytest.raises(FoveateError, match="a box differs from torch by 3 px"):
        require_alike([moved, scores, labels], wanted, 0.3, near_ties=0.0)
    moved[0, 2:4] += 3
    with pytest.raises(FoveateError, match="a box differs"):
        require_alike([moved, scores, labels], wanted, 0.3, near_ties=0.03)
    with pytest.raises(FoveateError, match=r"a score differs from torch by 0\.01"):
        require_alike([boxes, scores - 0.01, labels], wanted, 0.3, near_ties=0.03)


def test_balanced_classes_count_the_same_however_few_their_objects() -> None:
    method = build("center-point, separable, balanced", class_count=3)
    shares = method._class_shares(torch.tensor([0, 0, 0, 0, 2]))  # type: ignore[operator]
    # Four of one class and one of another; the class that is absent counts per object.
    assert shares.tolist() == pytest.approx([1 / 8, 1 / 5, 1 / 2])
    plain = build("center-point", class_count=3)
    assert plain._class_shares(torch.tensor([0, 0, 2])).tolist() == pytest.approx([1 / 3] * 3)  # type: ignore[operator]


def test_separable_has_far_fewer_products_at_the_finest_level() -> None:
    dense, separable = (
        sum(p.numel() for name, p in build(variant).named_parameters() if ".smooth.0." in name)
        for variant in ("center-point", "center-point, separable, balanced")
    )
    assert 0 < separable < dense / 2


def test_every_method_has_settings_of_its_name() -> None:
    names = [config.model_fields["name"].default for config in get_args(MethodConfig)]
    assert names == list(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_has_a_recipe(name: str) -> None:
    assert name in {load_recipe(recipe).method.name for recipe in shipped_recipes()}
