import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_lists_what_is_bundled(foveate: Call, shelf: Path) -> None:
    done = foveate("models")
    assert done.code == 0
    assert "Bright blobs on a dark ground" in done.out
    assert "AP 0.500" in done.out
    assert "Apache-2.0" in done.out


def test_json(foveate: Call, shelf: Path) -> None:
    models = json.loads(foveate("models", "--json").out)
    assert [model["name"] for model in models] == ["blob", "blob"]
    assert models[0]["measured"][0]["metrics"] == {"AP": 0.5}


def test_nothing_bundled(foveate: Call, shelf: Path) -> None:
    for path in shelf.iterdir():
        path.unlink()
    done = foveate("models")
    assert (done.code, done.out) == (0, "")
    assert "none is bundled" in done.err
