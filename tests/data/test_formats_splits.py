from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats.splits import load_splits, split_names
from foveate.errors import FoveateError


def coco(path: Path) -> None:
    labels = {
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(labels))


def test_a_coco_folder(tmp_path: Path) -> None:
    for name in ("val", "train", "moving"):
        coco(tmp_path / f"{name}.json")
    assert split_names(tmp_path) == ["train", "val"]
    assert list(load_splits(tmp_path)) == ["train", "val"]


def test_coco_names_of_the_original(tmp_path: Path) -> None:
    coco(tmp_path / "annotations" / "instances_train.json")
    assert split_names(tmp_path) == ["train"]


def test_a_single_file_is_one_part_under_its_own_name(tmp_path: Path) -> None:
    coco(tmp_path / "data" / "pond.json")
    assert split_names(tmp_path / "data" / "pond.json") == []
    (dataset,) = load_splits(tmp_path / "data" / "pond.json").values()
    assert len(dataset) == 1


def test_yolo_with_and_without_settings(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "images" / split / "a.png"), np.zeros((8, 8, 3), np.uint8))
        (tmp_path / "labels" / split / "a.txt").write_text("0 .5 .5 .25 .25\n")
    assert split_names(tmp_path) == ["train", "val"]
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [thing]\n")
    assert split_names(tmp_path) == ["train"]


def test_voc(tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation/>")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_text("a\n")
    assert split_names(tmp_path) == ["test"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FoveateError, match="does not exist"):
        split_names(tmp_path / "nowhere")


def test_dota_without_a_list_of_classes_gets_one(tmp_path: Path) -> None:
    for split, name in (("train", "ship"), ("val", "plane")):
        for kind in ("images", "labelTxt"):
            (tmp_path / split / kind).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / split / "images" / "a.png"), np.zeros((30, 30, 3), np.uint8))
        text = f"1 1 9 1 9 9 1 9 {name} 0\n"
        (tmp_path / split / "labelTxt" / "a.txt").write_text(text)
    splits = load_splits(tmp_path)
    assert {name: part.class_names for name, part in splits.items()} == {
        "train": ("ship", "plane"),
        "val": ("ship", "plane"),
    }
    assert splits["val"].samples[0].annotations.labels.tolist() == [1]
