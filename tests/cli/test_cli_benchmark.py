"""``foveate benchmark``: what it tries, chooses and remembers. Its times are played, but once."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foveate as library
from foveate.cli import benchmark
from foveate.cli.measuring import Cost, Way, tile_cost
from foveate.errors import FoveateError
from foveate.inference.tuning import remembered
from foveate.structures import UInt8Image

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Way]:
    """Two processors; two threads are twice as fast, larger batches are by 1 %; no CUDA."""
    ways: list[Way] = []

    def cost(way: Way, tiles: Sequence[UInt8Image], seconds: float) -> Cost:
        ways.append(way)
        if way.runtime == "cuda":
            raise FoveateError("cuda cannot be used here")
        return Cost(0.1 / way.threads - 0.0005 * (way.batch_size > way.threads), 100.0)

    monkeypatch.setattr(benchmark, "tile_cost", cost)
    monkeypatch.setattr(benchmark, "processors", lambda: 2)
    monkeypatch.setattr(benchmark, "runtimes_offered", lambda: ["cpu", "cuda", "tensorrt"])
    return ways


def test_the_plainest_of_the_fastest_is_remembered(
    foveate: Call, blob_model: Path, tried: list[Way]
) -> None:
    done = foveate("benchmark", blob_model)
    assert done.code == 0
    assert {(way.threads, way.batch_size) for way in tried} == {(1, 1), (1, 2), (2, 2), (2, 4)}
    assert {way.runtime for way in tried} == {"cpu", "cuda"}
    assert "cuda is left out: cuda cannot be used here" in done.err
    assert "20.0" in done.out
    choice = remembered(blob_model)
    assert choice is not None
    assert (choice.runtime, choice.threads, choice.batch_size) == ("cpu", 2, 2)
    assert library.load(blob_model).parallel == 2
    assert "forgotten: 1" in foveate("benchmark", blob_model, "--forget").err
    assert remembered(blob_model) is None


def test_json_and_a_second_file(
    foveate: Call, blob_model: Path, make_model: Callable[..., Path], tried: list[Way]
) -> None:
    other = make_model(description="another")
    done = foveate("benchmark", blob_model, "--also", other, "--runtimes", "cpu", "--json")
    report = json.loads(done.out)
    assert report["tile"] == [64, 64]
    assert [Path(row["file"]) for row in report["best"]] == [blob_model, other]
    assert len(report["ways"]) == 8
    assert report["ways"][0] == {
        "file": str(blob_model), "runtime": "cpu", "threads": 1, "batch_size": 1,
        "tiles_per_second": 10.0, "seconds": 0.1, "peak_megabytes": 100.0,
    }  # fmt: skip
    assert remembered(other) is not None


def test_bad_input_is_one_line_and_remembers_nothing(
    foveate: Call, blob_model: Path, tried: list[Way]
) -> None:
    assert foveate("benchmark", blob_model, "--seconds", "0").code == 2
    assert foveate("benchmark", "absent.onnx").code == 1
    assert foveate("benchmark", blob_model, "--images", "nowhere.png").code == 1
    assert tried == []
    done = foveate("benchmark", blob_model, "--runtimes", "cuda")
    assert (done.code, done.line) == (1, "cuda cannot be used here")
    assert remembered(blob_model) is None


def test_an_interruption_remembers_nothing(
    foveate: Call, blob_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> Cost:
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "tile_cost", interrupted)
    assert foveate("benchmark", blob_model).code == 130
    assert remembered(blob_model) is None


def test_a_way_is_measured_in_a_process_of_its_own(blob_model: Path) -> None:
    tiles = [np.zeros((64, 64, 3), np.uint8)] * 3
    cost = tile_cost(Way(blob_model, "cpu", 1, 2), tiles, 0.05)
    assert 0 < cost.seconds < 5
    assert cost.megabytes is None or cost.megabytes > 20
