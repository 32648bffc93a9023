from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset
from foveate.data.formats.load import recognise
from foveate.errors import FoveateError

LINES = """\
imagesource:GoogleEarth
gsd:0.146343590398
10.0 20.0 30.0 10.0 40.0 30.0 20.0 40.0 small-vehicle 0
1 1 5 1 5 4 1 4 plane 1
1 1 5 1 5 4 1 4 ship
"""


def add(root: Path, stem: str, text: str, labels: str = "labelTxt") -> None:
    for folder in (labels, "images"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / labels / f"{stem}.txt").write_text(text)
    cv2.imwrite(str(root / "images" / f"{stem}.png"), np.zeros((80, 100, 3), np.uint8))


@pytest.fixture
def aerial(tmp_path: Path) -> Path:
    root = tmp_path / "aerial"
    add(root, "P0001", LINES)
    add(root, "P0002", "")
    return root


def test_a_folder_is_read(aerial: Path) -> None:
    dataset = load_dataset(aerial)
    assert dataset.name == "aerial"
    assert dataset.class_names == ("plane", "ship", "small-vehicle")
    assert dataset.category_ids == (1, 2, 3)
    first, second = dataset.samples
    assert (first.path.name, first.image_id, first.width, first.height) == ("P0001.png", 1, 100, 80)
    objects = first.annotations
    np.testing.assert_array_equal(objects.boxes, [[10, 10, 40, 40], [1, 1, 5, 4], [1, 1, 5, 4]])
    assert objects.labels.tolist() == [2, 0, 1]
    assert objects.ignore.tolist() == [False, True, False]
    assert len(second.annotations) == 0


@pytest.mark.parametrize("labels", ["labelTxt", "labelTxt-v1.5", "labels"])
def test_layouts_are_recognised(labels: str, tmp_path: Path) -> None:
    add(tmp_path / "val", "P1", LINES, labels)
    for folder in (tmp_path, tmp_path / "val"):
        assert recognise(folder) == "dota"
        assert len(load_dataset(folder).samples[0].annotations) == 3
    if labels != "labels":
        assert len(load_dataset(tmp_path / "val" / labels)) == 1


def test_labels_of_yolo_are_not_taken_for_dota(tmp_path: Path) -> None:
    add(tmp_path, "a", "0 .1 .1 .2 .1 .2 .2 .1 .2 .1\n", "labels")  # a polygon: ten numbers
    assert recognise(tmp_path) == "yolo"
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xff\xfe")
    assert recognise(tmp_path) == "yolo"


def test_splits_are_folders(aerial: Path, tmp_path: Path) -> None:
    root = tmp_path / "splits"
    add(root / "train", "P1", LINES)
    add(root / "val", "P2", LINES)
    assert load_dataset(root).name == "splits/val"
    assert load_dataset(root, split="train").samples[0].path.stem == "P1"
    with pytest.raises(FoveateError, match="holds no split 'test'; it has train, val"):
        load_dataset(root, split="test")
    add(aerial, "P0001", LINES, "labelTxt-v1.5")
    with pytest.raises(FoveateError, match=r"several folders of labels; choose one of: .*v1\.5"):
        load_dataset(aerial)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 2 3 4 5 6 7 8", "expected 8 numbers, category and difficult, got 8 values"),
        ("1 2 3 4 5 6 7 8 two words 0", "got 11 values"),
        ("1 2 3 4 5 6 7 x plane 0", "expected numbers, got '1 2 3 4 5 6 7 x'"),
        ("1 2 3 4 5 6 7 8 plane hard", "difficult must be 0 or 1, got hard"),
        ("1 2 3 4 5 6 7 nan plane 0", "is not finite"),
        ("1 2 3 4 inf 6 7 8 plane 0", "is not finite"),
        ("gsd:0.1", "got 1 values"),
    ],
)
def test_wrong_lines_are_named(line: str, says: str, aerial: Path) -> None:
    add(aerial, "P0003", f"{LINES}{line}\n")
    with pytest.raises(FoveateError, match=says) as caught:
        load_dataset(aerial)
    assert "P0003.txt, line 6" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said(aerial: Path, tmp_path: Path) -> None:
    (aerial / "images" / "P0002.png").unlink()
    with pytest.raises(FoveateError, match=r"P0002\.txt: no picture P0002\.\* in .*images"):
        load_dataset(aerial)
    (aerial / "labelTxt" / "P0001.txt").write_text("imagesource:x\n")
    with pytest.raises(FoveateError, match=r"none of the 2 files in .*labelTxt has an object"):
        load_dataset(aerial)
    empty = tmp_path / "empty"
    (empty / "labelTxt").mkdir(parents=True)
    with pytest.raises(FoveateError, match=r"labelTxt holds no \*\.txt"):
        load_dataset(empty)
    with pytest.raises(FoveateError, match="images holds no labelTxt"):
        load_dataset(aerial / "images", format="dota")
