import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveate.cli import demo
from foveate.structures import Annotations, UInt8Image

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]
CENTRES = [(60, 40), (300, 31), (200, 100)]


@pytest.fixture
def scene(
    monkeypatch: pytest.MonkeyPatch, paint_blobs: Paint, make_model: Callable[..., Path]
) -> list[int]:
    """A picture of blobs instead of a match; the seeds asked for are appended."""
    seeds: list[int] = []
    boxes = np.array([[x - 4, y - 4, x + 5, y + 5] for x, y in CENTRES], np.float32)
    labels = np.array([0, 0, 1])
    annotations = Annotations(boxes, labels, np.zeros(3, bool))

    def render(seed: int) -> tuple[UInt8Image, Annotations]:
        seeds.append(seed)
        return paint_blobs(400, 200, CENTRES, cold=(2,)), annotations

    monkeypatch.setattr("foveate.data.pitch.render_still", render)
    model = make_model(class_names=["player", "ball"])
    monkeypatch.setattr(demo, "bundled_path", lambda name: model)
    return seeds


def test_shows_the_difference(foveate: Call, shelf: Path, scene: list[int]) -> None:
    done = foveate("demo", "--out", "shown")
    assert done.code == 0
    assert sorted(path.name for path in Path("shown").iterdir()) == [
        "detections-plain.json",
        "detections-tiled.json",
        "index.html",
        "plain.jpg",
        "scores.json",
        "tiled.jpg",
    ]
    lines = {line[:20].strip(): line.split() for line in done.out.splitlines()}
    assert lines["found"] == ["found", "0", "3"]
    assert lines["missed"] == ["missed", "3", "0"]
    assert "seconds a picture" in done.out
    entries = json.loads(Path("shown/detections-tiled.json").read_text())
    assert sorted(entry["category_id"] for entry in entries) == [1, 1, 2]
    assert "a rendered match, 400 x 200" in Path("shown/index.html").read_text()
    assert scene == [2000]


def test_seed_and_json(foveate: Call, shelf: Path, scene: list[int]) -> None:
    done = foveate("demo", "--seed", "5", "--json")
    assert json.loads(done.out)["runs"]["tiled"]["outcomes"]["found"] == 3
    assert scene == [2005]
    assert Path("out/index.html").exists()


def test_a_seed_below_nought(foveate: Call, shelf: Path) -> None:
    done = foveate("demo", "--seed", "-1")
    assert done.code == 2
    assert done.line == "--seed must be 0 or more, got -1"


def test_without_the_model(foveate: Call, shelf: Path) -> None:
    (shelf / "pitch.onnx").unlink()
    done = foveate("demo")
    assert done.code == 1
    assert "no bundled model 'pitch'" in done.line
    assert not Path("out").exists()


def test_unwritable_output_is_found_first(foveate: Call, shelf: Path, scene: list[int]) -> None:
    Path("file").write_bytes(b"")
    done = foveate("demo", "--out", "file/out")
    assert done.code == 1
    assert "file/out: cannot be written to" in done.line
    assert scene == []
