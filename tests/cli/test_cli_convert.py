from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset

Call = Callable[..., Any]


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A COCO folder with two splits of one picture each."""
    root = tmp_path / "birds"
    (root / "images").mkdir(parents=True)
    for name in ("train", "val"):
        cv2.imwrite(str(root / "images" / f"{name}.png"), np.zeros((50, 80, 3), np.uint8))
        box = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}
        crowd = box | {"id": 2, "bbox": [9, 9, 20, 20], "iscrowd": 1}
        content = {
            "info": {"license": "CC0 1.0"},
            "images": [{"id": 1, "file_name": f"{name}.png", "width": 80, "height": 50}],
            "annotations": [box, crowd],
            "categories": [{"id": 2, "name": "gull"}],
        }
        (root / f"{name}.json").write_text(json.dumps(content))
    return root


def test_one_split(foveate: Call, birds: Path) -> None:
    done = foveate("convert", birds, "out", "--to", "yolo", "--split", "val")
    assert done.code == 0
    assert done.out == (
        "out: yolo, 1 pictures, 1 objects of 1 classes, 1 ignored boxes (of birds/val)\n"
    )
    assert done.line.startswith("yolo: 1 ignored box left out; the licence left out (CC0 1.0)")
    (sample,) = load_dataset("out").samples
    assert sample.path == Path("out/images/val/val.png")
    np.testing.assert_allclose(sample.annotations.boxes, [[1, 2, 4, 6]], atol=1e-3)


def test_every_split(foveate: Call, birds: Path) -> None:
    done = foveate("convert", birds, "out", "--to", "coco", "--images", "link", "--json")
    assert json.loads(done.out) == {
        "out": "out",
        "format": "coco",
        "pictures": 2,
        "objects": 2,
        "ignored": 2,
        "classes": ["gull"],
        "notes": [],
    }
    assert done.err == ""
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "images",
        "train.json",
        "val.json",
    ]
    sample = load_dataset("out/train.json").samples[0]
    assert sample.path.is_symlink()
    assert sample.annotations.ignore.tolist() == [False, True]


def test_a_file_of_one_split_remains_that_split(foveate: Call, birds: Path) -> None:
    assert foveate("convert", birds / "val.json", "yolo", "--to", "yolo").code == 0
    assert load_dataset("yolo").name == "yolo/val"
    (birds / "val.json").rename(birds / "gulls.json")
    assert foveate("convert", birds / "gulls.json", "coco", "--to", "coco").code == 0
    assert Path("coco/labels.json").is_file()
    assert load_dataset("coco").samples[0].path == Path("coco/images/val.png")


def test_a_split_that_is_another_one_is_left_out(foveate: Call, birds: Path) -> None:
    foveate("convert", birds / "val.json", "yolo", "--to", "yolo")
    settings = Path("yolo/data.yaml")
    settings.write_text(settings.read_text() + "train: images/val\n")
    done = foveate("convert", "yolo", "voc", "--to", "voc")
    assert done.code == 0
    assert "voc: val left out, which has the pictures of train" in done.err
    assert [path.name for path in Path("voc/JPEGImages").iterdir()] == ["val.png"]


def test_the_format_may_be_named(foveate: Call, birds: Path) -> None:
    done = foveate("convert", birds / "val.json", "out", "--to", "cvat", "--from", "coco")
    assert done.code == 0
    assert load_dataset("out/annotations.xml").class_names == ("gull",)
    done = foveate("convert", birds / "val.json", "other", "--to", "cvat", "--from", "coc")
    assert (done.code, done.line) == (
        2,
        "unknown data-set format 'coc'; choose from coco, yolo, voc, cvat, dota, visdrone",
    )
    done = foveate("convert", birds, "other", "--to", "cvat", "--from", "voc")
    assert done.code == 1
    assert done.line.endswith("holds no Annotations/*.xml")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["absent", "out", "--to", "coco"], 1, "absent does not exist"),
        (["{data}", "out"], 2, "--to is missing"),
        (["{data}", "{data}", "--to", "coco"], 1, "{data} is there already, and not empty; give"),
        (["{data}", "out", "--to", "coco", "--split", "test"], 1, "{data} holds no single file"),
        (["{data}", "out", "--to", "word"], 2, "invalid choice 'word' for argument '--to'"),
    ],
)
def test_wrong_arguments(
    foveate: Call, birds: Path, arguments: list[str], code: int, says: str
) -> None:
    done = foveate("convert", *(word.format(data=birds) for word in arguments))
    assert done.code == code
    assert says.format(data=birds) in done.line
    assert not Path("out").exists()


def test_missing_pictures_are_named(foveate: Call, birds: Path) -> None:
    (birds / "images" / "val.png").unlink()
    done = foveate("convert", birds, "out", "--to", "dota")
    assert done.code == 1
    assert "val.png does not exist" in done.line
    assert not Path("out").exists()
    assert foveate("convert", birds, "out", "--to", "dota", "--images", "none").code == 0
