"""Every format is read back: by our own readers where there are, else by a library or its rules."""

from __future__ import annotations

import csv
import io
import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as Xml

import cv2
import hotcoco
import numpy as np
import pytest

from foveate.cli.detect import ExportFormat
from foveate.data.formats import load_dataset
from foveate.reports.exports import EXPORTS
from foveate.reports.geo import GEO_EXPORTS
from foveate.structures import Detections, Tile

NAMES = ("player", "red ball")
WIDTH, HEIGHT = 200, 100
BOXES = [[10.25, 20.5, 30.75, 60], [100, 5, 104, 9.5]]


@dataclass
class Picture:
    name: str
    detections: Detections
    width: int = WIDTH
    height: int = HEIGHT
    tiles: list[Tile] = field(default_factory=list)
    seconds: float = 0.0
    capped_tiles: int = 0
    skipped_tiles: int = 0
    uniform_tiles: int = 0
    unselected_tiles: int = 0
    expected_miss: float | None = None
    planned_pixels: int = 0
    geo: None = None


FOUND = Picture("a.png", Detections(np.array(BOXES), np.array([0.9, 0.4]), np.array([0, 1])))
NOTHING = Picture("b.png", Detections.empty())


def write(folder: Path, name: str, names: Sequence[str] = NAMES) -> Path:
    export = EXPORTS[name](names)
    for picture in (FOUND, NOTHING):
        for path, content in export.picture(picture, Path(picture.name).stem):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    for path, content in export.finish():
        (folder / path).write_bytes(content)
    return folder


def with_pictures(folder: Path) -> None:
    folder.mkdir()
    for picture in (FOUND, NOTHING):
        cv2.imwrite(str(folder / picture.name), np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def test_the_command_line_offers_every_format() -> None:
    assert set(typing.get_args(ExportFormat)) == {*EXPORTS, *GEO_EXPORTS}


def test_yolo(tmp_path: Path) -> None:
    with_pictures(write(tmp_path, "yolo") / "yolo" / "images")
    dataset = load_dataset(tmp_path / "yolo", split="train")
    assert dataset.class_names == NAMES
    first, second = (sample.annotations for sample in dataset.samples)
    assert first.boxes == pytest.approx(np.array(BOXES), abs=2e-4)
    assert first.labels.tolist() == [0, 1]
    assert len(second) == 0


def test_voc(tmp_path: Path) -> None:
    with_pictures(write(tmp_path, "voc") / "voc" / "JPEGImages")
    dataset = load_dataset(tmp_path / "voc")
    boxes = {sample.path.name: sample.annotations.boxes for sample in dataset.samples}
    assert boxes["a.png"] == pytest.approx(np.array(BOXES), abs=0.006)
    assert len(boxes["b.png"]) == 0
    assert set(dataset.class_names) == set(NAMES)


@pytest.mark.parametrize("name", ["voc", "cvat"])
def test_names_are_escaped(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, names=("player", "ball & <co>"))
    trees = [Xml.parse(path).getroot() for path in tmp_path.rglob("*.xml")]
    texts = {element.text for tree in trees for element in tree.iter("name")}
    assert "ball & <co>" in texts


def test_csv(tmp_path: Path) -> None:
    text = (write(tmp_path, "csv") / "detections.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["class"] for row in rows] == list(NAMES)
    assert rows[0]["file_name"] == "a.png"
    assert float(rows[0]["score"]) == 0.9
    assert [float(rows[1][key]) for key in ("x1", "y1", "x2", "y2")] == BOXES[1]


def test_cvat(tmp_path: Path) -> None:
    coco = hotcoco.COCO.from_cvat(str(write(tmp_path, "cvat") / "cvat.xml"))
    assert [category["name"] for category in coco.load_cats(coco.get_cat_ids())] == list(NAMES)
    assert len(coco.get_img_ids()) == 2
    boxes = [a["bbox"] for a in coco.load_anns(coco.get_ann_ids())]
    assert boxes == pytest.approx(np.array([[10.25, 20.5, 20.5, 39.5], [100, 5, 4, 4.5]]))


def test_label_studio(tmp_path: Path) -> None:
    folder = write(tmp_path, "label-studio")
    first, second = json.loads((folder / "label-studio.json").read_text())
    assert first["data"]["image"].endswith("a.png")
    (region, _) = first["predictions"][0]["result"]
    value = region["value"]
    percent = [value[key] for key in ("x", "y", "width", "height")]
    assert percent == pytest.approx([5.125, 20.5, 10.25, 39.5])
    assert value["rectanglelabels"] == ["player"]
    assert second["predictions"][0]["result"] == []
    view = Xml.parse(folder / "label-studio.xml").getroot()
    assert [label.get("value") for label in view.iter("Label")] == list(NAMES)
    (tool,) = view.iter("RectangleLabels")
    assert (tool.get("name"), tool.get("toName")) == (region["from_name"], region["to_name"])


@pytest.mark.parametrize("name", EXPORTS)
def test_classes_without_names(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, names=())
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    if name != "yolo":  # which has numbers only
        assert any("class 1" in text for text in texts)
    assert texts
