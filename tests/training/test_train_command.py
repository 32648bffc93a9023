"""``foveate train`` and ``foveate export``, as far as the flags go."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foveate.models import CenterPointConfig, RetinaNetConfig
from foveate.models.backbones import BackboneConfig
from foveate.training.recipe import Recipe

Call = Callable[..., Any]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, Path, Path, bool]]:
    """What the loop was called with; nothing is trained."""
    calls: list[tuple[Recipe, Path, Path, bool]] = []

    def train(recipe: Recipe, data: Path, out: Path, resume: bool = True) -> Path:
        calls.append((recipe, data, out, resume))
        return out

    monkeypatch.setattr("foveate.training.loop.train", train)
    return calls


@pytest.fixture
def recipe(foveate: Call) -> Path:
    """A recipe file in the working folder."""
    path = Path("mine.yaml")
    Recipe(name="mine", iterations=7, batch_size=3).to_yaml(path)
    Path("data").mkdir()
    return path


def test_recipe_file_then_config_then_flags(foveate: Call, runs: list[Any], recipe: Path) -> None:
    Path("over.yaml").write_text("batch_size: 5\nseed: 9\noptimiser: {clip: 2.0}\n")
    done = foveate(
        "train", recipe, "--data", "data", "--config", "over.yaml", "--seed", "11",
        "--optimiser.warmup", "4",
    )  # fmt: skip
    assert done.code == 0, done.err
    ((used, data, out, resume),) = runs
    assert (used.name, used.iterations, used.batch_size, used.seed) == ("mine", 7, 5, 11)
    assert (used.optimiser.clip, used.optimiser.warmup) == (2.0, 4)
    assert used.optimiser.learning_rate == Recipe(name="x").optimiser.learning_rate
    assert (data, out, resume) == (Path("data"), Path("runs/mine"), True)
    assert done.err == "done: runs/mine; now 'foveate export runs/mine'\n"


def test_every_method_has_its_own_flags(foveate: Call, runs: list[Any], recipe: Path) -> None:
    done = foveate(
        "train", "retinanet", "--data", "data", "--method.focal.gamma", "0",
        "--method.backbone.weights", "none", "--method.anchors", "default",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert foveate("train", "--method.gamma", "1", "--data", "data", "mine.yaml").code == 0
    anchored, plain = (call[0].method for call in runs)
    assert isinstance(anchored, RetinaNetConfig)
    assert (anchored.focal.gamma, anchored.anchors, anchored.backbone.strides) == (
        0, "default", (8, 16, 32),
    )  # fmt: skip
    assert isinstance(plain, CenterPointConfig)
    assert plain.gamma == 1
    done = foveate("train", "retinanet", "--data", "data", "--method.separable")
    assert (done.code, done.line) == (
        2, "unknown: --method.separable (see 'foveate train --help')",
    )  # fmt: skip
    done = foveate("train", "mine.yaml", "--data", "data", "--method.matching.metric", "giou")
    assert done.line.startswith("invalid choice 'giou'")
    assert "--method.focal.gamma" in foveate("train", "retinanet", "--help").out


def test_a_config_can_change_the_method(foveate: Call, runs: list[Any], recipe: Path) -> None:
    Path("over.yaml").write_text("method: {name: retinanet, width: 24}\n")
    done = foveate("train", recipe, "--data", "data", "--config", "over.yaml")
    assert done.code == 0, done.err
    assert runs[0][0].method == RetinaNetConfig(width=24)
    Path("over.yaml").write_text("method: {backbone: {weights: none}}\n")
    assert foveate("train", recipe, "--data", "data", "--config", "over.yaml").code == 0
    assert runs[1][0].method.backbone == BackboneConfig(weights="none")


def test_folder_and_a_fresh_start(foveate: Call, runs: list[Any], recipe: Path) -> None:
    assert foveate("train", "--data", "data", recipe, "--fresh", "--out", "there").code == 0
    ((_, _, out, resume),) = runs
    assert (out, resume) == (Path("there"), False)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ([], 2, "say which recipe: "),
        (["nope", "--data", "data"], 2, "no recipe 'nope'"),
        (["mine.yaml"], 2, "--data is missing"),
        (["mine.yaml", "--data", "absent"], 1, "absent: no such data set"),
        (["mine.yaml", "--data", "data", "--iterations", "0"], 2, "iterations: input should be"),
        (["mine.yaml", "--data", "data", "--iterations", "x"], 2, "--iterations: expected a whole"),
        (["mine.yaml", "--data", "data", "--optimiser.clip", "0"], 2, "optimiser: clip Input"),
        (["mine.yaml", "--data", "data", "--foo", "1"], 2, "unknown: --foo, 1"),
        (["mine.yaml", "--data", "data", "--config", "no.yaml"], 2, "no.yaml: cannot be read"),
    ],
)
def test_wrong_arguments(
    foveate: Call,
    runs: list[Any],
    recipe: Path,
    arguments: list[str],
    code: int,
    expected: str,
) -> None:
    done = foveate("train", *arguments)
    assert done.code == code
    assert done.line.startswith(expected)
    assert runs == []


def test_a_config_with_a_typo(foveate: Call, runs: list[Any], recipe: Path) -> None:
    Path("over.yaml").write_text("batchsize: 5\n")
    done = foveate("train", recipe, "--data", "data", "--config", "over.yaml")
    assert done.code == 2
    assert done.line == "over.yaml: unknown key 'batchsize'; did you mean 'batch_size'?"


def test_interrupted(foveate: Call, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("foveate.training.loop.train", stop)
    done = foveate("train", recipe, "--data", "data")
    assert done.code == 130
    assert done.line.startswith("interrupted: the same command goes on from the last checkpoint")


def test_help_lists_the_settings(foveate: Call) -> None:
    done = foveate("train", "--help")
    assert done.code == 0
    assert "--optimiser.learning-rate" in done.out


def test_export(foveate: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def export_run(run: Path, out: Path, *, half: bool) -> Path:
        out.write_bytes(bytes(1_200_000 if half else 2_400_000))
        return out

    monkeypatch.setattr("foveate.export.onnx.export_run", export_run)
    assert foveate("export", "absent").line == "absent: no such run folder"
    Path("run").mkdir()
    done = foveate("export", "run")
    assert done.code == 0
    assert done.err.startswith("run/model.onnx: 1.2 MB; try 'foveate detect SOURCE --model run/")
    assert foveate("export", "run", "--out", "other.onnx").code == 0
    assert Path("other.onnx").exists()
    assert foveate("export", "run", "--float32").err.startswith("run/model.onnx: 2.4 MB;")
