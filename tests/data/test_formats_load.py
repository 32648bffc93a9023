from __future__ import annotations

from pathlib import Path

import pytest

from foveate.data.formats import FORMATS, load_dataset
from foveate.data.formats.common import dataset_name, one_line
from foveate.data.formats.load import recognise
from foveate.errors import FoveateError, UsageError


@pytest.mark.parametrize(
    ("file", "given", "format"),
    [
        ("val.json", "val.json", "coco"),
        ("val.json", ".", "coco"),
        ("annotations/val.json", ".", "coco"),
        ("data.yaml", "data.yaml", "yolo"),
        ("data.yaml", ".", "yolo"),
        ("pets.yml", "pets.yml", "yolo"),
        ("labels/a.txt", ".", "yolo"),
        ("images/train/a.png", "images/train", "yolo"),
        ("Annotations/a.xml", ".", "voc"),
        ("annotations.xml", ".", "cvat"),
        ("job.XML", "job.XML", "cvat"),
        ("labelTxt/a.txt", ".", "dota"),
        ("labelTxt/a.txt", "labelTxt", "dota"),
        ("train/labelTxt/a.txt", ".", "dota"),
        ("annotations/a.txt", ".", "visdrone"),
        ("VisDrone2019-DET-val/annotations/a.txt", ".", "visdrone"),
    ],
)
def test_formats_are_recognised(file: str, given: str, format: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    assert recognise(tmp_path / given) == format
    assert format in FORMATS


def test_data_yaml_wins_over_other_json(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").touch()
    (tmp_path / "notes.json").touch()
    assert recognise(tmp_path) == "yolo"


def test_nothing_recognised_says_what_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FoveateError, match=r"no COCO \.json, no YOLO data\.yaml or labels/"):
        load_dataset(tmp_path)
    with pytest.raises(FoveateError, match=r"give a COCO \.json, a YOLO data\.yaml, a CVAT \.xml"):
        load_dataset(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match="unknown data-set format 'coc'; choose from coco, yolo"):
        load_dataset(tmp_path, format="coc")
    with pytest.raises(FoveateError, match="holds no COCO JSON"):
        load_dataset(tmp_path, format="coco")
    with pytest.raises(FoveateError, match=r"neither a data\.yaml nor a folder"):
        load_dataset(tmp_path / "notes.txt", format="yolo")


@pytest.mark.parametrize(
    ("folder", "part", "name"),
    [
        ("/sets/nuclei", "val", "nuclei/val"),
        ("/sets/nuclei/annotations", "val", "nuclei/val"),
        ("/sets/nuclei/images/val", "", "nuclei/val"),
        ("/sets/nuclei/data", "", "nuclei"),
        ("/", "val", "val"),
    ],
)
def test_names_say_what_matters(folder: str, part: str, name: str) -> None:
    assert dataset_name(Path(folder), part) == name


def test_one_line_takes_only_text() -> None:
    assert one_line(" a\n b ") == "a b"
    assert one_line(3) == ""
