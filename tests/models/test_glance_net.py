import torch

from foveate.models.glance import GlanceConfig, GlanceNet


def test_it_is_tiny_and_learns_everywhere() -> None:
    model = GlanceNet(GlanceConfig())
    assert sum(p.numel() for p in model.parameters()) < 300_000
    images = torch.randint(0, 256, (2, 64, 48, 3), dtype=torch.uint8)
    logits = model(images)
    assert logits.shape == (2, 1, 16, 12)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_untrained_it_expects_little() -> None:
    presence = GlanceNet(GlanceConfig(prior=0.01), channels=4).eval().presence
    with torch.no_grad():
        seen = presence(torch.full((1, 32, 40, 4), 128, dtype=torch.uint8))
    assert seen.shape == (1, 8, 10)
    assert float(seen.mean()) < 0.1
