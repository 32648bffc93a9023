"""What SSD is: which map sees which, its anchors, its loss, and the backbone Inception-v2."""

from __future__ import annotations

import pytest
import torch
from onnxruntime import InferenceSession  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional

from foveate.errors import UsageError
from foveate.export.onnx import model_bytes
from foveate.models import SSD, SSDConfig, Targets
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.dense import Dense

MAPS = ((40, 8), (112, 4), (320, 2))
"""Channels and cells of the maps that the backbone has of a 64-px tile."""


class Given(nn.Module):
    """A backbone whose maps are those it is given."""

    def __init__(self, maps: list[Tensor]) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.maps


def build(**settings: object) -> SSD:
    torch.manual_seed(0)
    small = {"backbone": {"weights": "none"}, "extra_levels": 2, "width": 8, "extra_width": 64}
    return SSD(SSDConfig.from_dict(small | settings), 2).eval()


def seen(**settings: object) -> list[list[bool]]:
    """Whether a change of each of three maps shows in the outputs of each of five levels."""
    method = build(**settings)
    maps = [torch.randn(1, c, s, s, requires_grad=True) for c, s in MAPS]
    method.backbone = Given(maps)  # type: ignore[assignment]
    outputs = method(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    table = []
    for level in outputs.logits.split(outputs.counts, dim=1):
        gradients = torch.autograd.grad(level.sum(), maps, retain_graph=True, allow_unused=True)
        table.append([g is not None and bool(g.any()) for g in gradients])
    return table


OWN_ONLY = [
    [True, False, False], [False, True, False], [False, False, True],
    [False, False, True], [False, False, True],
]  # fmt: skip


@pytest.mark.parametrize("smoothing", [False, True])
def test_no_level_sees_a_map_but_its_own(smoothing: bool) -> None:
    assert seen(smoothing=smoothing) == OWN_ONLY


def test_with_a_pyramid_finer_levels_see_the_coarser_maps() -> None:
    assert seen(smoothing=True, top_down=True) == [
        [True, True, True], [False, True, True], *OWN_ONLY[2:],
    ]  # fmt: skip


def test_the_pyramids_control_has_the_same_parameters() -> None:
    control, pyramid = (
        build(smoothing=True, top_down=top_down).state_dict() for top_down in (False, True)
    )
    assert control.keys() == pyramid.keys()
    assert all(torch.equal(control[name], pyramid[name]) for name in control)


def test_a_pyramid_without_smoothing_is_refused() -> None:
    with pytest.raises(UsageError, match="top_down needs maps of equal width"):
        SSDConfig.from_dict({"top_down": True})


def test_the_cells_of_the_finest_map_have_one_length() -> None:
    maps = [torch.randn(1, c, s, s) * 50 for c, s in MAPS]
    finest, *others = build().neck(maps)
    length = finest.square().mean(dim=1).sqrt()
    torch.testing.assert_close(length, torch.full((1, 8, 8), 20 / 512**0.5))
    assert all(a is b for a, b in zip(others, maps[1:], strict=True))


def test_default_anchors_are_ssd300s() -> None:
    config = SSDConfig()
    assert config.level_strides == (8, 16, 32, 64, 128, 256)
    squares = [level[0][0] for level in config.default_anchors]
    assert squares == pytest.approx([30, 60, 112.5, 165, 217.5, 270])
    finest = config.default_anchors[0]
    assert [round(w / h, 3) for w, h in finest] == [1, 2, 0.5, 3, 0.333, 1]
    assert [w * h for w, h in finest[:5]] == pytest.approx([900] * 5)
    assert finest[5][0] == pytest.approx((30 * 60) ** 0.5)
    assert config.default_anchors[-1][5][0] == pytest.approx((270 * 322.5) ** 0.5)


def test_default_anchors_follow_the_finest_stride() -> None:
    fine = SSDConfig(backbone=BackboneConfig(strides=(4, 8, 16)), extra_levels=0)
    assert [level[0][0] for level in fine.default_anchors] == pytest.approx([15, 30, 135])


def test_only_the_most_wrong_negatives_of_each_tile_teach() -> None:
    method = build(negatives=2.0)
    anchors = torch.tensor([[8.0 * i, 0, 8 * i + 8, 8] for i in range(6)])
    # Tile 0 has its object at the first anchor; tile 1 has none, and its anchor 1 is ignored.
    none, place = torch.zeros(0, 4), torch.tensor([[8.0, 0, 16, 8]])
    targets = [
        Targets(anchors[:1], torch.tensor([1]), none),
        Targets(none, torch.zeros(0, dtype=torch.long), place),
    ]
    logits = torch.full((2, 6, 2), -9.0)
    logits[:, :, 0] = torch.tensor([[5.0, 1, 4, 2, 3, 0], [1, 9, 0, 5, 4, 3]])
    logits.requires_grad_()
    outputs = Dense(logits, torch.zeros(2, 6, 4), anchors, (6,))
    losses = method.loss(outputs, targets)
    losses["class"].backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    taught = logits.grad.any(dim=2)
    assert taught.tolist() == [
        [True, False, True, False, True, False],
        [False, False, False, True, True, False],
    ]
    wrong = functional.softplus(torch.tensor([5.0, 9, 4, 3, 5, 4])).sum()
    expected = wrong + 4 * functional.softplus(torch.tensor(-9.0))
    torch.testing.assert_close(losses["class"], expected)


def test_a_box_a_tenth_of_its_anchor_away_is_one_unit_wrong() -> None:
    method = build()
    anchors = torch.tensor([[0.0, 0, 10, 10]])
    box = torch.tensor([[1.0, 0, 11, 10]])
    target = Targets(box, torch.tensor([0]), torch.zeros(0, 4))
    outputs = Dense(torch.zeros(1, 1, 2), torch.zeros(1, 1, 4), anchors, (1,))
    assert method.loss(outputs, [target])["box"].item() == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["inception_v2", "inception_v2_050"])
def test_inceptions_maps_are_exact(name: str) -> None:
    config = BackboneConfig(name=name, strides=(2, 4, 8, 16, 32), weights="none")
    backbone = Backbone(config, in_channels=5).eval()
    maps = backbone(torch.zeros(1, 5, 96, 160))
    share = 1.0 if name == "inception_v2" else 0.5
    published = (64, 192, 320, 576, 1024)
    assert backbone.channels == [int(c * share) for c in published]
    assert [tuple(m.shape[1:]) for m in maps] == [
        (c, 96 // s, 160 // s) for c, s in zip(backbone.channels, config.strides, strict=True)
    ]


def test_inceptions_unused_stages_are_not_built() -> None:
    sizes = [
        sum(p.numel() for p in Backbone(config).parameters())
        for config in (
            BackboneConfig(name="inception_v2_050", strides=strides, weights="none")
            for strides in ((8, 16), (8, 16, 32))
        )
    ]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.xdist_group("ssd exported")  # once
@pytest.mark.parametrize("sides", [(32, 32), (64, 96), (544, 288)])
def test_exported_maps_of_one_cell_are_of_one_cell_only_there(
    exported: InferenceSession, sides: tuple[int, int]
) -> None:
    method = build(extra_levels=3)
    images = torch.randint(0, 255, (1, *sides, 3), dtype=torch.uint8)
    with torch.no_grad():
        wanted = method.decode(method(images))
    boxes, scores, _ = exported.run(None, {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(scores), wanted.scores, rtol=1e-3, atol=1e-4)
    assert boxes.shape == wanted.boxes.shape


@pytest.fixture(scope="module")
def exported() -> InferenceSession:
    content = model_bytes(build(extra_levels=3), half=False)
    return InferenceSession(content, providers=["CPUExecutionProvider"])
