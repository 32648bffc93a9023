"""Generator, discriminator and both together: shapes, starting points, where gradients go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from foveate.models.backbones import BackboneConfig
from foveate.models.mtgan import (
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    Inputs,
    Refiner,
    bicubic,
    box_loss,
    class_loss,
    psnr,
    without_norms,
)

BACKBONE = BackboneConfig(name="test_resnet", strides=(4,), weights="none")
UPSAMPLINGS = ("shuffle", "transposed")


def refiner(inputs: Inputs = "generated", spectral_norm: bool = False) -> Refiner:
    torch.manual_seed(0)
    judge = DiscriminatorConfig(backbone=BACKBONE, spectral_norm=spectral_norm)
    return Refiner(GeneratorConfig(width=8, blocks=1), judge, inputs, class_count=2)


@pytest.fixture
def crops() -> Tensor:
    torch.manual_seed(1)
    return torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8)


FOUND = torch.tensor([[0.25, 0.25, 0.75, 0.75], [0.2, 0.3, 0.7, 0.6], [0.1, 0.1, 0.9, 0.9]])


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("residual", [False, True])
def test_the_generator_enlarges_four_times(upsampling: str, residual: bool) -> None:
    config = GeneratorConfig.from_dict(
        {"width": 8, "blocks": 2, "upsampling": upsampling, "residual": residual}
    )
    generator = Generator(config, channels=4)
    assert generator(torch.rand(2, 4, 6, 6)).shape == (2, 4, 24, 24)


def test_a_residual_generator_starts_as_bicubic() -> None:
    low = torch.rand(2, 3, 8, 8)
    assert torch.equal(Generator(GeneratorConfig(width=8, blocks=1))(low), bicubic(low))


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_the_generator_learns_pixels(upsampling: str) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig.from_dict({"width": 8, "blocks": 1, "upsampling": upsampling})
    generator, low = Generator(config), torch.rand(2, 3, 6, 6)
    real = (low.repeat_interleave(4, 2).repeat_interleave(4, 3) > 0.5).float()
    optimiser = torch.optim.Adam(generator.parameters(), lr=3e-3)
    before = psnr(bicubic(low), real).mean()
    for _ in range(60):
        optimiser.zero_grad()
        (generator(low) - real).square().mean().backward()
        optimiser.step()
    assert psnr(generator(low), real).mean() > before + 3


def test_the_discriminator_has_three_heads() -> None:
    judge = Discriminator(DiscriminatorConfig(backbone=BACKBONE), class_count=5)
    judged = judge(torch.rand(2, 3, 32, 32))
    assert judged.real.shape == (2,)
    assert judged.classes.shape == (2, 6)
    assert torch.equal(judged.deltas, torch.zeros(2, 4))


@pytest.mark.parametrize("inputs", ["generated", "bicubic", "plain"])
def test_what_is_exported(inputs: Inputs, crops: Tensor) -> None:
    model = refiner(inputs).eval()
    probabilities, boxes = model(crops, FOUND)
    assert probabilities.shape == (3, 2)
    assert (probabilities > 0).all()
    assert (probabilities.sum(1) < 1).all()
    torch.testing.assert_close(boxes, FOUND)
    side = 8 if inputs == "plain" else 32
    assert model.shown(torch.rand(1, 3, 8, 8)).shape == (1, 3, side, side)


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_every_loss_reaches_the_generator(crops: Tensor, spectral_norm: bool) -> None:
    model = refiner(spectral_norm=spectral_norm)
    with torch.no_grad():
        model.discriminator.box.weight.normal_()
        model.generator.leave.weight.normal_(std=0.01)  # type: ignore[union-attr]
    low = crops.permute(0, 3, 1, 2) / 255
    labels, holds = torch.tensor([0, 1, 2]), torch.tensor([True, True, False])
    for name in ("class", "box", "real"):
        model.zero_grad()
        judged = model.discriminator(model.shown(low))
        loss = {
            "class": class_loss(judged, labels),
            "box": box_loss(judged, FOUND, FOUND + 0.1, holds),
            "real": judged.real.sum(),
        }[name]
        loss.backward()
        moved = [p.grad is not None and p.grad.abs().sum() > 0
                 for p in model.generator.enter.parameters()]  # type: ignore[union-attr]  # fmt: skip
        assert all(moved), name


def test_box_loss_without_an_object_is_nothing(crops: Tensor) -> None:
    judged = refiner().discriminator(torch.rand(3, 3, 32, 32))
    assert box_loss(judged, FOUND, FOUND, torch.zeros(3, dtype=torch.bool)).item() == 0


def test_spectral_norm_bounds_the_gain_and_is_baked_in(crops: Tensor) -> None:
    model = refiner(spectral_norm=True)
    for _ in range(30):  # the power iteration goes on with every step of training
        model(crops, FOUND)
    model.eval()
    expected = model(crops, FOUND)
    plain = without_norms(model)
    weight = plain.discriminator.real.weight
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, rel=1e-3)
    torch.testing.assert_close(plain(crops, FOUND).probabilities, expected.probabilities)
    assert not any("parametrizations" in name for name in plain.state_dict())
    assert any("parametrizations" in name for name in model.state_dict())


def test_psnr_of_a_known_error() -> None:
    real = torch.full((2, 3, 8, 8), 0.5)
    torch.testing.assert_close(psnr(real + 0.1, real), torch.full((2,), 20.0))
    assert torch.isfinite(psnr(real, real)).all()
