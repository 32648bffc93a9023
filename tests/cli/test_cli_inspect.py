from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from foveate.structures import UInt8Image

Call = Callable[..., Any]
Paint = Callable[..., UInt8Image]


@pytest.fixture
def folder(tmp_path: Path, paint_blobs: Paint) -> Path:
    """Two splits of three pictures each with 9-px objects."""
    root = tmp_path / "blobs"
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number in range(3):
            name = f"{split}{number}.png"
            centres = [(int(x), int(y)) for x, y in rng.integers(10, 90, (4, 2))]
            cv2.imwrite(str(root / "images" / name), paint_blobs(400, 100, centres)[..., ::-1])
            images.append({"id": number, "file_name": name, "width": 400, "height": 100})
            annotations += [
                {
                    "id": len(annotations) + row,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x - 4, y - 4, 9, 9],
                }
                for row, (x, y) in enumerate(centres)
            ]
        labels = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "warm"}],
        }
        (root / f"{split}.json").write_text(json.dumps(labels))
    return root


def test_table_advice_page_and_recipe(foveate: Call, folder: Path) -> None:
    done = foveate("inspect", folder, "--out", "seen", "--write", "mine.yaml")
    assert done.code == 0, done.err
    assert "blobs/train: 12 objects in 3 pictures" in done.out
    assert "enlarge pictures x2" in done.out
    assert "index.html are in seen" in done.err
    page = Path("seen/index.html").read_text()
    assert "The smallest objects" in page
    assert "9 px, train" in page
    recipe = yaml.safe_load(Path("mine.yaml").read_text())
    assert recipe["name"] == "blobs"
    assert recipe["tile_plan"]["scale"] == 2
    found = json.loads(Path("seen/inspection.json").read_text())
    assert found["views"]["plain"]["overall"]["side_quantiles_px"]["0.5"] == pytest.approx(14.4)


def test_json_alone_on_stdout(foveate: Call, folder: Path) -> None:
    done = foveate("inspect", folder, "--json", "--labels-only", "--split", "val")
    found = json.loads(done.out)
    assert found["dataset"] == "blobs/val"
    assert found["objects"] == 12
    assert found["measured"] == {}
    assert {one["topic"] for one in found["advice"]["recommendations"]} >= {"scale", "tile"}


def test_asking_about_tiles_and_strides(foveate: Call, folder: Path) -> None:
    done = foveate(
        "inspect", folder, "--json", "--labels-only", "--tile", 200, "--scale", 1.5, "--strides",
        "2,16",
    )  # fmt: skip
    view = json.loads(done.out)["views"]["tiles"]
    assert view["tile_plan"]["size"] == 200
    assert view["overall"]["side_quantiles_px"]["0.5"] == 13.5
    assert view["overall"]["lost_by_stride"] == {"2": 0.0, "16": 1.0}


def test_asking_about_a_model(foveate: Call, folder: Path, blob_model: Path) -> None:
    done = foveate("inspect", folder, "--json", "--labels-only", "--model", blob_model)
    assert done.code == 0, done.err
    asked = json.loads(done.out)["views"]["tiles"]["tile_plan"]
    default = foveate("inspect", folder, "--json", "--labels-only")
    assert asked != json.loads(default.out)["views"]["tiles"]["tile_plan"]


def test_a_sweep_marks_a_knee_and_goes_on(foveate: Call, folder: Path, blob_model: Path) -> None:
    done = foveate("inspect", folder, "--sweep", blob_model, "--out", "seen")
    assert done.code == 0, done.err
    assert "(knee)" in done.out
    found = json.loads(Path("seen/inspection.json").read_text())["sweep"]
    assert sum(one["knee"] for one in found) == 1
    assert {"plain", "own", "advised"} <= {one["name"] for one in found}
    assert "Accuracy against time" in Path("seen/index.html").read_text()
    kept = json.loads(Path("seen/sweep.json").read_text())
    for values in kept["done"].values():
        values["seconds"] = 77.0
    Path("seen/sweep.json").write_text(json.dumps(kept))
    again = foveate("inspect", folder, "--sweep", blob_model, "--out", "seen", "--json")
    assert {one["seconds_per_image"] for one in json.loads(again.out)["sweep"]} == {77.0}


def test_leaks_between_splits_are_found(foveate: Call, folder: Path) -> None:
    data = (folder / "images" / "train1.png").read_bytes()
    (folder / "images" / "val2.png").write_bytes(data)
    done = foveate("inspect", folder, "--json")
    errors = [one for one in json.loads(done.out)["health"] if one["severity"] == "error"]
    assert errors
    assert "val2.png" in " ".join(errors[0]["examples"])


def test_pictures_that_are_missing_are_a_finding(foveate: Call, folder: Path) -> None:
    for picture in (folder / "images").iterdir():
        picture.unlink()
    done = foveate("inspect", folder, "--out", "seen")
    assert done.code == 0, done.err
    assert "error" in done.out


@pytest.mark.parametrize(
    ("annotations", "said"),
    [([], "label some objects"), ([[5, 5, 3, 3]], "1 object in 1 picture")],
)
def test_hardly_anything(
    foveate: Call, tmp_path: Path, annotations: list[list[int]], said: str
) -> None:
    labels = {
        "images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": box} for box in annotations
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "one.json").write_text(json.dumps(labels))
    done = foveate("inspect", tmp_path / "one.json", "--out", "seen")
    assert done.code == 0, done.err
    assert said in done.out
    assert Path("seen/index.html").is_file()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--strides", "0,4"), "--strides must be whole numbers from 1"),
        (("--strides", "a"), "expected a number"),
        (("--tile", 5), "size"),
        (("--split", "night"), "night"),
        (("--sweep", "nowhere.onnx"), "no such model file"),
        (("--write", "."), "--write .: is there and no file"),
    ],
)
def test_wrong_usage_is_one_line(
    foveate: Call, folder: Path, flags: tuple[object, ...], said: str
) -> None:
    done = foveate("inspect", folder, *flags)
    assert done.code in (1, 2)
    assert said in done.line
    assert done.out == ""


def test_what_is_no_file_is_not_replaced_by_the_recipe(foveate: Call, folder: Path) -> None:
    os.mkfifo("pipe")  # as /dev/null: renaming a file onto it would take its place
    done = foveate("inspect", folder, "--labels-only", "--write", "pipe")
    assert "--write pipe: is there and no file" in done.line
    assert Path("pipe").is_fifo()


def test_no_data_set(foveate: Call) -> None:
    assert "does not exist" in foveate("inspect", "nowhere").line


def test_a_damaged_sweep_is_said(foveate: Call, folder: Path, blob_model: Path) -> None:
    assert foveate("inspect", folder, "--sweep", blob_model, "--out", "seen").code == 0
    kept = json.loads(Path("seen/sweep.json").read_text())
    kept["done"] = {key: {"metrics": {}} for key in kept["done"]}
    Path("seen/sweep.json").write_text(json.dumps(kept))
    done = foveate("inspect", folder, "--sweep", blob_model, "--out", "seen")
    assert "sweep.json was damaged; delete it" in done.err
    assert done.code == 1


def test_a_sweep_of_mended_labels_begins_anew(
    foveate: Call, folder: Path, blob_model: Path
) -> None:
    assert foveate("inspect", folder, "--sweep", blob_model, "--out", "seen").code == 0
    before = json.loads(Path("seen/sweep.json").read_text())["identity"]
    labels = json.loads((folder / "val.json").read_text())
    labels["annotations"][0]["bbox"][0] += 1
    (folder / "val.json").write_text(json.dumps(labels))
    assert foveate("inspect", folder, "--sweep", blob_model, "--out", "seen").code == 0
    assert json.loads(Path("seen/sweep.json").read_text())["identity"] != before


def test_a_sweep_without_pictures_is_one_line(
    foveate: Call, folder: Path, blob_model: Path
) -> None:
    for picture in (folder / "images").iterdir():
        picture.unlink()
    done = foveate("inspect", folder, "--labels-only", "--sweep", blob_model)
    assert "none of the 3 pictures of blobs/val is there" in done.line


def test_names_with_control_characters_and_markup(foveate: Call, tmp_path: Path) -> None:
    labels = {
        "images": [{"id": 1, "file_name": "a\u0007\n.png", "width": 50, "height": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 3, 5, 5]}],
        "categories": [{"id": 1, "name": "<script>\u001b[31m"}],
    }
    (tmp_path / "odd.json").write_text(json.dumps(labels))
    done = foveate("inspect", tmp_path / "odd.json", "--out", "seen", "--write", "odd.yaml")
    assert done.code == 0, done.err
    page = Path("seen/index.html").read_text()
    assert "<script>\u001b" not in page
    assert "\u001b" not in page
    assert "\u001b" not in done.out


def test_half_a_character_is_no_class_name(foveate: Call, tmp_path: Path) -> None:
    text = json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}],
            "annotations": [],
            "categories": [{"id": 1, "name": "HALF"}],
        }
    ).replace("HALF", "\\ud800")
    (tmp_path / "half.json").write_text(text)
    assert "is no text; rename it" in foveate("inspect", tmp_path / "half.json").line
