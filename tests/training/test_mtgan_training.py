"""SOD-MTGAN's loop on crops of blobs: learns, resumes exactly, says what collapses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_crops import write_blobs
from torch import nn

from foveate.errors import FoveateError, UsageError
from foveate.inference.onnx_file import read_model_info
from foveate.models.mtgan import Refiner
from foveate.structures import UInt8Image
from foveate.training.checkpoint import CHECKPOINT, part, read_checkpoint
from foveate.training.collapse import CollapseWatch, variety
from foveate.training.crop_batches import CropBatches
from foveate.training.crops import BACKGROUND, Crops
from foveate.training.mtgan import MtganRecipe, RefinerTrainer, train_refiner


def tiny(**changes: object) -> MtganRecipe:
    values: dict[str, object] = {
        "crops": {"size": 16, "least_score": 0.3, "hard_score": 0.3},
        "generator": {"width": 8, "blocks": 1},
        "discriminator": {"backbone": {"name": "test_resnet", "strides": (4,), "weights": "none"}},
        "pretrain": 2,
        "iterations": 4,
        "batch_size": 4,
        "save_every": 3,
        "learning_rate": 1e-3,
    }
    return MtganRecipe.from_dict(values | changes)


@pytest.fixture
def data(blob_model: Path, paint_blobs: Callable[..., UInt8Image], tmp_path: Path) -> Path:
    write_blobs(tmp_path / "data", paint_blobs, read_model_info(blob_model).class_names)
    return tmp_path / "data"


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open() as file:
        return list(csv.DictReader(file))


def synthetic(labels: list[int], real: list[bool]) -> Crops:
    count, rng = len(labels), np.random.default_rng(0)
    rows = np.where(real, np.cumsum(real) - 1, -1)
    box = np.tile(np.array([[0.1, 0.2, 0.5, 0.6]], np.float32), (count, 1))
    return Crops(
        rng.integers(0, 256, (count, 4, 4, 3), np.uint8),
        rng.integers(0, 256, (sum(real), 16, 16, 3), np.uint8),
        rows, np.array(labels), box, box, np.ones(count, np.float32), np.ones(count, np.float32),
    )  # fmt: skip


def test_batches_depend_on_the_step_alone() -> None:
    crops = synthetic([0, 1, BACKGROUND, 0, BACKGROUND, 1], [True, True, True, False, False, False])
    draw = CropBatches(crops, 8, 0.5, 0.5, seed=3, background=2)
    one, other = draw(5), draw(6)
    assert torch.equal(one.low, draw(5).low)
    assert not torch.equal(one.low, other.low)
    assert one.low.shape == (8, 3, 4, 4)
    assert one.high.shape == (4, 3, 16, 16)
    assert one.holds.tolist() == [True, True, False, False] * 2
    assert ((one.labels == 2) == ~one.holds).all()
    assert draw(5, only_real=True).high.shape == (8, 3, 16, 16)
    assert one.twice().labels.tolist() == one.labels[:4].tolist() + one.labels.tolist()


def test_a_mirrored_crop_has_mirrored_boxes() -> None:
    crops = synthetic([0], [True])
    batch = CropBatches(crops, 16, 0.5, 0.5, seed=0, background=1)(0)
    plain = torch.from_numpy(crops.low[0]).permute(2, 0, 1) / 255
    mirrored = [not torch.allclose(low, plain) for low in batch.low]
    assert 0 < sum(mirrored) < 16
    for low, high, box, is_mirrored in zip(
        batch.low, batch.high, batch.boxes, mirrored, strict=True
    ):
        expected = [0.5, 0.2, 0.9, 0.6] if is_mirrored else [0.1, 0.2, 0.5, 0.6]
        assert box.tolist() == pytest.approx(expected)
        assert torch.allclose(low.flip(2) if is_mirrored else low, plain)
        whole = torch.from_numpy(crops.high[0]).permute(2, 0, 1) / 255
        assert torch.allclose(high.flip(2) if is_mirrored else high, whole)


def test_a_run_leaves_all_that_repeats_it(blob_model: Path, data: Path, tmp_path: Path) -> None:
    run = train_refiner(tiny(iterations=18), blob_model, data, tmp_path / "run")
    assert MtganRecipe.from_yaml(run / "recipe.yaml") == tiny(iterations=18)
    names = read_model_info(blob_model).class_names
    assert json.loads((run / "facts.json").read_text())["class_names"] == list(names)
    log = rows(run)
    assert [row["iteration"] for row in log] == ["10", "20"]
    assert 0 <= float(log[-1]["accuracy"]) <= 1
    assert all(float(log[-1][name]) > 0 for name in ("pixels", "d_real", "g_real", "psnr"))
    assert list((run / "tensorboard").iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"relativistic": True, "generator": {"width": 8, "blocks": 1, "upsampling": "transposed"}},
    ],
)
def test_a_stopped_run_goes_on_exactly_where_it_was(
    blob_model: Path, data: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    recipe = tiny(**changes)
    straight = train_refiner(recipe, blob_model, data, tmp_path / "straight")
    honest = RefinerTrainer.step

    class KilledError(Exception):
        pass

    def stop_at_five(self: RefinerTrainer, number: int) -> dict[str, float]:
        if number == 5:
            raise KilledError
        return honest(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RefinerTrainer, "step", stop_at_five)
        with pytest.raises(KilledError):
            train_refiner(recipe, blob_model, data, tmp_path / "halves")
    assert read_checkpoint(tmp_path / "halves" / CHECKPOINT)[1]["iteration"] == "3"
    train_refiner(recipe, blob_model, data, tmp_path / "halves")
    expected, facts = read_checkpoint(straight / CHECKPOINT)
    resumed, resumed_facts = read_checkpoint(tmp_path / "halves" / CHECKPOINT)
    assert resumed_facts == facts
    assert resumed.keys() == expected.keys()
    for name, value in resumed.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("inputs", ["bicubic", "plain"])
def test_the_controls_have_no_generator(
    blob_model: Path, data: Path, tmp_path: Path, inputs: str
) -> None:
    recipe = tiny(inputs=inputs)
    assert recipe.steps == 4
    run = train_refiner(recipe, blob_model, data, tmp_path / "run")
    assert not any("generator" in name for name in read_checkpoint(run / CHECKPOINT)[0])
    last = rows(run)[-1]
    assert float(last["d_class"]) > 0
    assert float(last["d_real"]) == float(last["pixels"]) == 0


def test_both_networks_learn(blob_model: Path, data: Path, tmp_path: Path) -> None:
    before = train_refiner(tiny(pretrain=1, iterations=1, save_every=1), blob_model, data,
                           tmp_path / "short")  # fmt: skip
    after = train_refiner(tiny(pretrain=1, iterations=40), blob_model, data, tmp_path / "long")
    old, new = (part(read_checkpoint(run / CHECKPOINT)[0], "model") for run in (before, after))
    learned = [name for name in new if name.endswith(("weight", "bias"))]
    assert all(not torch.equal(old[name], new[name]) for name in learned)
    assert float(rows(after)[-1]["d_class"]) < float(rows(before)[-1]["d_class"])


def test_the_generator_leaves_the_judge_as_it_is(
    blob_model: Path, data: Path, tmp_path: Path
) -> None:
    from foveate.data.formats import load_dataset
    from foveate.training.crops import mine

    recipe = tiny(weights={"adversarial": 1.0, "classes": 1.0, "boxes": 1.0})
    mined = mine(blob_model, load_dataset(data / "train.json"), recipe.crops, tmp_path / "cache")
    trainer = RefinerTrainer(recipe, mined)

    def parameters(network: nn.Module | None) -> list[torch.Tensor]:
        assert network is not None
        return [p.detach().clone() for p in network.parameters()]

    judge, maker = parameters(trainer.model.discriminator), parameters(trainer.model.generator)
    trainer._learn_to_generate(trainer.batches(0))
    same = zip(judge, parameters(trainer.model.discriminator), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    moved = zip(maker, parameters(trainer.model.generator), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)
    assert all(p.requires_grad for p in trainer.model.discriminator.parameters())


def test_another_run_in_the_same_folder_is_refused(
    blob_model: Path, data: Path, tmp_path: Path
) -> None:
    recipe = tiny(pretrain=0, iterations=1)
    run = train_refiner(recipe, blob_model, data, tmp_path / "run")
    with pytest.raises(UsageError, match="another recipe, base or data"):
        train_refiner(tiny(pretrain=0, iterations=2), blob_model, data, run)
    with pytest.raises(UsageError, match="holds a run already"):
        train_refiner(recipe, blob_model, data, run, resume=False)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good(
    blob_model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = Refiner.shown, iter(range(100))

    def broken(self: Refiner, low: torch.Tensor) -> torch.Tensor:
        made = honest(self, low)
        return made if next(calls) < 4 else made * float("nan")

    monkeypatch.setattr(Refiner, "shown", broken)
    with pytest.raises(FoveateError, match="nan at iteration 3"):
        train_refiner(tiny(), blob_model, data, tmp_path / "run")
    tensors, facts = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert facts["iteration"] == "3"
    assert all(torch.isfinite(value.float()).all() for value in tensors.values())


def test_crops_that_do_not_suit_the_backbone_are_refused() -> None:
    with pytest.raises(UsageError, match=r"6 px are shown.*stride, 4"):
        tiny(inputs="plain", crops={"size": 24})


def test_a_collapse_is_said_after_a_while_and_not_at_once() -> None:
    watch = CollapseWatch()
    for _ in range(99):
        watch.see(1.0, 0.0)
    assert watch.found() == []
    for _ in range(400):
        watch.see(1.0, 0.0)
    assert [one.name for one in watch.found()] == ["one-sided", "alike"]
    again = CollapseWatch(*json.loads(json.dumps(watch.state())))
    assert again.state() == watch.state()
    for _ in range(400):
        watch.see(0.7, 0.9)
    assert watch.found() == []


def test_variety_is_relative_to_the_plain_crops() -> None:
    plain = torch.rand(4, 3, 8, 8)
    assert variety(plain, plain) == pytest.approx(1)
    assert variety(plain[:1].expand(4, -1, -1, -1), plain) == pytest.approx(0, abs=1e-6)
    assert variety(plain, torch.ones(4, 3, 8, 8)) == 1
