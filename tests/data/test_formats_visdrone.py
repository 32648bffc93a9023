from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset
from foveate.data.formats.visdrone import CLASS_NAMES
from foveate.errors import FoveateError
from foveate.evaluation import match_detections
from foveate.structures import Detections

LINES = """\
10,20,30,40,1,4,0,0
50,5,4,6,0,1,1,2,

0,0,20,10,0,0,0,0
60,60,7,8,1,11,0,0
5,5,0,9,1,10,0,0
"""


def add(root: Path, stem: str, text: str) -> None:
    for folder in ("annotations", "images"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "annotations" / f"{stem}.txt").write_text(text)
    cv2.imwrite(str(root / "images" / f"{stem}.jpg"), np.zeros((80, 100, 3), np.uint8))


@pytest.fixture
def drone(tmp_path: Path) -> Path:
    root = tmp_path / "VisDrone2019-DET-val"
    add(root, "0001", LINES)
    add(root, "0002", "")
    return root


def test_a_folder_is_read(drone: Path) -> None:
    dataset = load_dataset(drone)
    assert dataset.name == "VisDrone2019-DET-val"
    assert dataset.class_names == CLASS_NAMES
    assert dataset.category_ids == tuple(range(1, 11))
    first, second = dataset.samples
    assert (first.path.name, first.image_id, first.width, first.height) == ("0001.jpg", 1, 100, 80)
    objects = first.annotations
    np.testing.assert_array_equal(
        objects.boxes[:3], [[10, 20, 40, 60], [50, 5, 54, 11], [5, 5, 5, 14]]
    )
    assert objects.labels[:3].tolist() == [3, 0, 9]
    # Score 0 and a box without width are ignored, each for its own class.
    assert objects.ignore[:3].tolist() == [False, True, True]
    assert len(second.annotations) == 0


def test_regions_are_ignored_for_every_class(drone: Path) -> None:
    objects = load_dataset(drone).samples[0].annotations
    regions = objects.boxes[3:]
    assert objects.ignore[3:].all()
    assert objects.labels[3:].tolist() == [*range(10), *range(10)]
    np.testing.assert_array_equal(np.unique(regions[:10], axis=0), [[0, 0, 20, 10]])
    np.testing.assert_array_equal(np.unique(regions[10:], axis=0), [[60, 60, 67, 68]])


def test_a_detection_on_a_region_is_neither_right_nor_wrong(drone: Path) -> None:
    objects = load_dataset(drone).samples[0].annotations
    on_region = np.array([[2, 2, 12, 9]] * 10 + [[70, 40, 80, 50]], np.float32)
    labels = np.array([*range(10), 6])
    match = match_detections(Detections(on_region, np.full(11, 0.9, np.float32), labels), objects)
    assert match.false.tolist() == [10]  # only the one that lies elsewhere
    assert match.found.tolist() == []


def test_splits_are_folders(drone: Path) -> None:
    root = drone.parent
    add(root / "VisDrone2019-DET-test-dev", "9", "")
    assert load_dataset(root).name == "VisDrone2019-DET-val"
    assert load_dataset(root, split="test-dev").name == "VisDrone2019-DET-test-dev"
    assert load_dataset(root, split="test").name == "VisDrone2019-DET-test-dev"
    assert load_dataset(drone, split="val").name == "VisDrone2019-DET-val"
    with pytest.raises(FoveateError, match=r"no split 'train'; it has VisDrone2019-DET-test-dev, "):
        load_dataset(root, split="train")
    with pytest.raises(FoveateError, match=r"no split 'train'; it has no splits, only one set"):
        load_dataset(drone, split="train")


def test_an_image_root_replaces_the_folder(drone: Path, tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    (drone / "images").rename(root)
    with pytest.raises(FoveateError, match=r"0001\.txt: no picture 0001\.\* in .*images"):
        load_dataset(drone)
    assert load_dataset(drone, image_root=root).samples[0].path == root / "0001.jpg"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1,2,3,4,1,1", "expected 8 values with commas, got 6"),
        ("1 2 3 4 1 1 0 0", "expected 8 values with commas, got 1"),
        ("1,2,x,4,1,1,0,0", "expected numbers, got '1 2 x 4 1 1 0 0'"),
        ("1,2,3,4,0.7,1,0,0", r"score must be 0 \(ignored\) or 1 in a label file, got 0.7"),
        ("1,2,3,4,1,12,0,0", "category must be 0 to 11, got 12"),
        ("1,2,3,4,1,1.5,0,0", "category must be 0 to 11, got 1.5"),
        ("1,2,3,4,1,nan,0,0", "category must be 0 to 11, got nan"),
        ("nan,2,3,4,1,1,0,0", "is not finite"),
        ("1,2,-3,4,1,1,0,0", r"is inverted \(negative width or height\)"),
    ],
)
def test_wrong_lines_are_named(line: str, says: str, drone: Path) -> None:
    add(drone, "0003", f"\n{LINES}{line}\n")
    with pytest.raises(FoveateError, match=says) as caught:
        load_dataset(drone)
    assert "0003.txt, line 8" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_without_labels(tmp_path: Path) -> None:
    with pytest.raises(FoveateError, match=r"holds no annotations/\*\.txt"):
        load_dataset(tmp_path, format="visdrone")
    (tmp_path / "a.txt").touch()
    with pytest.raises(FoveateError, match="is no folder; give the one that holds annotations"):
        load_dataset(tmp_path / "a.txt", format="visdrone")
