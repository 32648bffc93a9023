"""The loop on a tiny data set made here: learns, resumes exactly, stops on bad numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from squares import tiny, write_squares

from foveate.errors import FoveateError, UsageError
from foveate.export.onnx import export_run, load_run
from foveate.inference.onnx_detector import OnnxDetector
from foveate.training.checkpoint import CHECKPOINT, part, read_checkpoint
from foveate.training.ema import MovingAverage
from foveate.training.loop import build_method, build_optimiser, set_learning_rate, train
from foveate.training.recipe import Recipe, load_recipe, shipped_recipes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"))


def weights(run: Path, which: str = "model") -> dict[str, torch.Tensor]:
    return part(read_checkpoint(run / CHECKPOINT)[0], which)


def test_a_run_leaves_all_that_repeats_and_judges_it(data: Path, tmp_path: Path) -> None:
    run = train(tiny(), data, tmp_path / "run")
    assert Recipe.from_yaml(run / "recipe.yaml") == tiny()
    assert (run / "log.csv").read_text().splitlines()[0].startswith("iteration,seconds,heat")
    assert list((run / "tensorboard").iterdir())
    rows = json.loads((run / "validation.json").read_text())
    assert rows[-1]["iteration"] == 4
    assert {"AP", "AP50"} <= set(rows[-1]["overall"])


def test_a_stopped_run_goes_on_exactly_where_it_was(data: Path, tmp_path: Path) -> None:
    recipe = tiny(iterations=4)
    straight = train(recipe, data, tmp_path / "straight")

    class KilledError(Exception):
        pass

    def stop_at_three(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int) -> None:
        if step == 3:
            raise KilledError
        set_learning_rate(optimiser, recipe, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foveate.training.loop.set_learning_rate", stop_at_three)
        with pytest.raises(KilledError):
            train(recipe, data, tmp_path / "halves")
    assert read_checkpoint(tmp_path / "halves" / CHECKPOINT)[1]["iteration"] == "2"
    resumed = train(recipe, data, tmp_path / "halves")
    for which in ("model", "average"):
        expected = weights(straight, which)
        for name, value in weights(resumed, which).items():
            assert torch.equal(value, expected[name]), name


def test_workers_do_not_change_the_result(data: Path, tmp_path: Path) -> None:
    one = train(tiny(iterations=2), data, tmp_path / "one")
    two = train(tiny(iterations=2, workers=2), data, tmp_path / "two")
    expected = weights(one)
    assert all(torch.equal(value, expected[name]) for name, value in weights(two).items())


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foveate.models import CenterPoint

    honest, calls = CenterPoint.loss, iter(range(100))

    def broken(self, outputs, targets):  # type: ignore[no-untyped-def]
        losses = honest(self, outputs, targets)
        return losses if next(calls) < 3 else {"heat": losses["heat"] * float("nan")}

    monkeypatch.setattr(CenterPoint, "loss", broken)
    with pytest.raises(FoveateError, match="loss is nan at iteration 3"):
        train(tiny(), data, tmp_path / "run")
    tensors, facts = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert facts["iteration"] == "2"
    assert all(torch.isfinite(value.float()).all() for value in tensors.values())


def test_another_recipe_in_the_same_folder_is_refused(data: Path, tmp_path: Path) -> None:
    run = train(tiny(iterations=1), data, tmp_path / "run")
    with pytest.raises(UsageError, match="another recipe"):
        train(tiny(iterations=2), data, run)
    with pytest.raises(UsageError, match="holds a run already"):
        train(tiny(iterations=1), data, run, resume=False)


def test_other_classes_in_the_same_folder_are_refused_and_nothing_is_lost(
    data: Path, tmp_path: Path
) -> None:
    run = train(tiny(iterations=2), data, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    coco = json.loads((data / "train.json").read_text())
    coco["categories"].append({"id": 99, "name": "kite"})
    other = tmp_path / "other"
    other.mkdir()
    (other / "train.json").write_text(json.dumps(coco))
    (other / "images").symlink_to(data / "images")
    with pytest.raises(
        UsageError, match=r"holds a run with the classes .*; the pictures have .*kite"
    ):
        train(tiny(iterations=2), other, run)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_missing_or_broken_pictures_are_named(data: Path, tmp_path: Path) -> None:
    coco = json.loads((data / "train.json").read_text())
    coco["images"][0]["file_name"] = "gone.png"
    (tmp_path / "train.json").write_text(json.dumps(coco))
    with pytest.raises(FoveateError, match=r"gone\.png"):
        train(tiny(), tmp_path, tmp_path / "run")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "gone.png").write_text("not a picture")
    for name in ("train1.png", "train2.png"):
        (tmp_path / "images" / name).write_bytes((data / "images" / name).read_bytes())
    with pytest.raises(FoveateError, match=r"gone\.png"):
        train(tiny(iterations=20), tmp_path, tmp_path / "run")


def test_what_is_trained_is_exported_and_found_by_the_runtime(data: Path, tmp_path: Path) -> None:
    run = train(tiny(iterations=1), data, tmp_path / "run")
    path = export_run(run, tmp_path / "model.onnx")
    detector = OnnxDetector(path)
    assert detector.info.class_names == ("square",)
    assert detector.info.recipe_hash == tiny(iterations=1).fingerprint()
    assert detector.info.tile_plan == tiny().tile_plan
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    method, _, _ = load_run(run)
    for parameter in method.parameters():
        parameter.data = parameter.data.half().float()
    with torch.no_grad():
        wanted = method.decode(method(torch.from_numpy(images)))
    found = detector(list(images))[0]
    scores = np.sort(found.scores)[::-1][:5]
    assert np.abs(scores - wanted.scores[0, :5].numpy()).max() < 1e-3


def test_a_pyramid_is_validated_with_and_travels_in_the_file(data: Path, tmp_path: Path) -> None:
    several = tiny(iterations=1, pyramid={"scales": (1, 2), "sides": (8, 32)})
    for recipe, name in ((tiny(iterations=1), "one"), (several, "several")):
        train(recipe, data, tmp_path / name)
    one, both = (
        json.loads((tmp_path / name / "validation.json").read_text()) for name in ("one", "several")
    )
    assert one != both
    info = OnnxDetector(export_run(tmp_path / "several", tmp_path / "model.onnx")).info
    assert info.pyramid == several.pyramid
    # The finest scale is cut with the recipe's own overlap.
    assert info.small_object == several.tile_plan.overlap_pixels / 2


def test_export_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(FoveateError, match="not a run folder"):
        export_run(tmp_path, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_the_average_forgets_its_start_and_follows() -> None:
    model = torch.nn.Linear(2, 2)
    average = MovingAverage(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(5.0)
    for step in range(200):
        average.update(model, step)
    assert torch.allclose(average.model.weight, model.weight, atol=1e-4)  # type: ignore[arg-type]


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    recipe = tiny(iterations=100)
    optimiser = build_optimiser(build_method(recipe, 1), recipe.optimiser)
    rates = []
    for step in range(100):
        set_learning_rate(optimiser, recipe, step)
        rates.append([group["lr"] for group in optimiser.param_groups])
    fastest = [max(rate) for rate in rates]
    assert fastest[0] < 0.1 * max(fastest)
    assert fastest[-1] < 0.01 * max(fastest)
    assert min(rates[60]) == pytest.approx(recipe.optimiser.backbone_factor * max(rates[60]))
    decays = {group["weight_decay"] for group in optimiser.param_groups}
    assert decays == {0.0, recipe.optimiser.weight_decay}


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid_and_say_what_differs(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert Recipe.from_dict(recipe.model_dump(mode="json")) == recipe


def test_a_typo_in_a_recipe_names_the_right_key(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\niteration: 3\n")
    with pytest.raises(UsageError, match=r"'iteration'; did you mean 'iterations'"):
        load_recipe(str(tmp_path / "bad.yaml"))
    with pytest.raises(UsageError, match="no recipe 'nothing'"):
        load_recipe("nothing")
