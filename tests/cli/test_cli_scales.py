"""``--scales`` and ``--scale-sides``, of each command that runs a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

import foveate as package
from foveate.structures import UInt8Image

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]
CENTRES = [(30, 30), (60, 31), (300, 20)]
SEVERAL = ["--scales", "0.9,1,1.1", "--scale-sides", "6:32"]


@pytest.fixture
def dataset(tmp_path: Path, paint_blobs: Paint) -> Path:
    """A picture of 400 x 70 with three 9-px objects, and its labels."""
    cv2.imwrite(str(tmp_path / "blobs.png"), paint_blobs(400, 70, CENTRES)[..., ::-1])
    annotations = [
        {"id": number, "image_id": 1, "category_id": 1, "bbox": [x - 4, y - 4, 9, 9]}
        for number, (x, y) in enumerate(CENTRES, start=1)
    ]
    labels = {
        "images": [{"id": 1, "file_name": "blobs.png", "width": 400, "height": 70}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "warm"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return tmp_path / "labels.json"


def told(call: Call, picture: Path, model: Path, *flags: str) -> dict[str, Any]:
    done = call("detect", picture, "--model", model, "--json", *flags)
    assert done.code == 0, done.err
    said: dict[str, Any] = json.loads(done.out)
    for image in said["images"]:
        del image["seconds"]
    return said


def test_detect(foveate: Call, dataset: Path, blob_model: Path) -> None:
    picture = dataset.with_name("blobs.png")
    said = told(foveate, picture, blob_model, *SEVERAL)
    assert said["totals"]["detections"] == len(CENTRES)
    assert said["settings"]["pyramid"] == {"scales": [1.1, 1, 0.9], "sides": [6, 32]}
    other = ["--scales", "1.1,0.9,1", "--scale-sides", "6:32", "--batch-size", "3"]
    assert told(foveate, picture, blob_model, *other)["images"] == said["images"]
    tiles = [
        told(foveate, picture, blob_model, "--overlap", "18", "--scale", scale)["images"][0][
            "tiles"
        ]
        for scale in ("0.9", "1", "1.1")
    ]
    several = told(foveate, picture, blob_model, "--overlap", "18", *SEVERAL)
    assert several["images"][0]["tiles"] == sum(tiles)


def test_one_of_scales_is_scale(foveate: Call, dataset: Path, blob_model: Path) -> None:
    picture = dataset.with_name("blobs.png")
    one = told(foveate, picture, blob_model, "--scale", "1.5")
    other = told(foveate, picture, blob_model, "--scales", "1.5")
    assert other["images"] == one["images"]
    assert other["settings"] == one["settings"]


def test_the_page_says_the_scales(foveate: Call, dataset: Path, blob_model: Path) -> None:
    done = foveate("detect", dataset.with_name("blobs.png"), "--model", blob_model, *SEVERAL)
    assert done.code == 0
    said = "enlarged 0.9, 1 and 1.1 times (boxes of 6 to 32 px from each)"
    assert said in Path("out/index.html").read_text()


def test_evaluate(foveate: Call, dataset: Path, blob_model: Path) -> None:
    flags = ["--repeats", "2", "--json", *SEVERAL]
    done = foveate("evaluate", blob_model, dataset, *flags)
    assert done.code == 0, done.err
    runs = json.loads(done.out)["runs"]
    assert runs["plain"]["scores"]["overall"]["AP50"] == 0
    assert runs["tiled"]["scores"]["overall"]["AP50"] == pytest.approx(1)
    refused = foveate("evaluate", "predictions.json", dataset, "--scales", "1,2")
    assert refused.code == 2
    assert refused.line.startswith("--tile, --only and the like are for models")


def test_compare(foveate: Call, dataset: Path, blob_model: Path) -> None:
    Path("none.json").write_text("[]")
    flags = ["--repeats", "20", "--json", *SEVERAL]
    done = foveate("compare", "none.json", blob_model, dataset, *flags)
    assert done.code == 0, done.err
    assert json.loads(done.out)["verdict"].startswith("blob against none: AP +")
    both = foveate("compare", "none.json", blob_model, dataset, *SEVERAL, "--scale", "1")
    assert both.code == 2
    assert both.line == "scale and scales exclude each other; give one of them"


def test_in_python(dataset: Path, blob_model: Path) -> None:
    detector = package.load(blob_model, threads=1)
    picture = dataset.with_name("blobs.png")
    found = package.detect(picture, detector, scales=(0.9, 1, 1.1), scale_sides=(6, 32))
    assert len(found.detections) == len(CENTRES)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--scale", "1", "--scales", "1,2"], "scale and scales exclude each other"),
        (["--scales", "1,x"], "--scales: expected a number, got '1,x'"),
        (["--scales", "1,0"], "scales.1: input should be greater than 0, got 0"),
        (["--scale-sides", "24:96"], "scale_sides chooses between several scales"),
        (["--scales", "1,2", "--scale-sides", "24"], "scale_sides: expected LOW:HIGH such as"),
        (["--scales", "1,4", "--scale-sides", "9:27"], "scale_sides: 9:27 leaves out objects"),
    ],
)
def test_wrong_options(
    foveate: Call, dataset: Path, blob_model: Path, flags: list[str], expected: str
) -> None:
    done = foveate("detect", dataset.with_name("blobs.png"), "--model", blob_model, *flags)
    assert done.code == 2
    assert expected in done.line
    assert not Path("out").exists()
