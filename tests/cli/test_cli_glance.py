"""Selected tiles on the command line, and what a fit says before torch is needed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from foveate.cli import train
from foveate.structures import UInt8Image

Call = Callable[..., Any]
Make = Callable[..., Path]


@pytest.fixture
def pictures(tmp_path: Path, paint_blobs: Callable[..., UInt8Image]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, centres in (("a", [(40, 40), (420, 100)]), ("b", [(200, 120)])):
        cv2.imwrite(str(folder / f"{name}.png"), paint_blobs(480, 240, centres)[..., ::-1])
    return folder


def test_detect_says_what_was_looked_at(
    foveate: Call, pictures: Path, blob_model: Path, make_glance: Make
) -> None:
    chosen = ("--glance", make_glance(), "--select", "recall=0.95")
    done = foveate("detect", pictures, "--model", blob_model, *chosen, "--profile")
    assert done.code == 0
    said = "of all tiles' pixels, for which by calibration at most 5 % of the objects are missed"
    assert said in done.err
    assert "  glance  " in done.err
    assert re.search(r" \d+ \(\d%\) ", done.out)
    page = Path("out/index.html").read_text()
    assert "pixels looked at, for which by calibration at most 5 %" in page
    assert "tiles selected for recall=0.95 by glance-blob" in page


def test_json_says_it_too(
    foveate: Call, pictures: Path, blob_model: Path, make_glance: Make
) -> None:
    run = ("detect", pictures, "--model", blob_model, "--json")
    full = json.loads(foveate(*run).out)
    few = json.loads(foveate(*run, "--glance", make_glance(), "--select", "tiles=2").out)
    assert few["settings"]["select"] == "tiles=2"
    assert len(few["settings"]["glance"]) == 64
    for image, whole in zip(few["images"], full["images"], strict=True):
        assert 1 <= image["tiles"] <= 2
        assert image["unselected_tiles"] == image["skipped_tiles"]
        assert image["tiles"] + image["skipped_tiles"] == whole["tiles"]
        assert 0 < image["looked_share"] < 0.1 < whole["looked_share"] == 1
        assert 0 < image["expected_miss"] <= 1
        assert whole["expected_miss"] is None
    totals = few["totals"]
    assert totals["tiles"] + totals["skipped_tiles"] == full["totals"]["tiles"]


def test_evaluate_chooses_tiles_but_not_for_plain(
    foveate: Call, pictures: Path, blob_model: Path, make_glance: Make
) -> None:
    entries = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [36, 36, 9, 9], "area": 81,
                "iscrowd": 0}]  # fmt: skip
    images = [{"id": 1, "file_name": "a.png", "width": 480, "height": 240}]
    labels = {"images": images, "annotations": entries, "categories": [{"id": 1, "name": "warm"}]}
    (pictures / "labels.json").write_text(json.dumps(labels))
    done = foveate("evaluate", blob_model, pictures / "labels.json", "--repeats", 2,
                   "--glance", make_glance(), "--select", "recall=0.95")  # fmt: skip
    assert done.code == 0
    assert done.err.count("looked at") == 1
    assert "tiled: looked at " in done.err


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--select", "recall=0.9"], 2, "say by which glance: --glance FILE"),
        (["--select", "most", "--glance", "G"], 2, "expected recall=0.95, tiles=40 or budget=2s"),
        (["--glance", "G"], 2, "say how much is looked at"),
        (["--select", "recall=0.999", "--glance", "G"], 1, "cannot promise a recall of 0.999"),
        (["--select", "tiles=1", "--glance", "gone.onnx"], 1, "gone.onnx: no such model file"),
        (["--select", "tiles=1", "--glance", "M"], 1, "no glance; 'foveate glance fit' makes one"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    foveate: Call, pictures: Path, blob_model: Path, make_glance: Make,
    flags: list[str], code: int, said: str,
) -> None:  # fmt: skip
    files = {"G": str(make_glance()), "M": str(blob_model)}
    given = [files.get(flag, flag) for flag in flags]
    done = foveate("detect", pictures, "--model", blob_model, *given)
    assert done.code == code
    assert said in done.line


def test_a_glance_is_no_detector(foveate: Call, pictures: Path, make_glance: Make) -> None:
    done = foveate("detect", pictures, "--model", make_glance())
    assert done.code == 1
    assert "give it with --glance" in done.line


def test_fit_without_torch(foveate: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    done = foveate("glance", "fit", "pictures", "--model", "aerial")
    assert done.code == 1
    assert done.line == (
        'glance fit needs torch, which is not installed: pip install "foveate[train]"'
    )


@pytest.mark.parametrize("arguments", [(), ("look",), ("--model", "aerial")])
def test_what_can_be_done_with_a_glance(foveate: Call, arguments: tuple[str, ...]) -> None:
    done = foveate("glance", *arguments)
    assert done.code == 2
    assert "what can be done is 'fit'" in done.line
