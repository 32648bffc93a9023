from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset, read_yolo
from foveate.data.formats.yolo import label_path, read_labels
from foveate.errors import FoveateError, UsageError

NAMES = "names: [cat, dog]\n"


def add(root: Path, name: str, label: str | None, width: int = 200, height: int = 100) -> None:
    """Put a picture at ``root/images/name.png`` and its label where it belongs."""
    image = root / "images" / f"{name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), np.zeros((height, width, 3), np.uint8))
    if label is not None:
        path = root / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(label)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    add(root, "train/t1", "0 .5 .5 .1 .2\n")
    add(root, "val/v2", "1 0.5 0.5 0.1 0.2\n\n0 .05 .05 .1 .1\n")
    add(root, "val/v10", None, 60, 30)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\n" + NAMES)
    return root


def test_data_yaml_is_read(pets: Path) -> None:
    dataset = load_dataset(pets / "data.yaml")
    assert dataset.name == "pets/val"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.category_ids == (1, 2)
    assert [sample.path.name for sample in dataset.samples] == ["v2.png", "v10.png"]
    assert [sample.image_id for sample in dataset.samples] == [1, 2]
    first, second = dataset.samples
    assert (second.width, second.height) == (60, 30)
    np.testing.assert_allclose(
        first.annotations.boxes, [[90, 40, 110, 60], [0, 0, 20, 10]], atol=1e-5
    )
    np.testing.assert_array_equal(first.annotations.labels, [1, 0])
    assert not first.annotations.ignore.any()
    assert len(second.annotations) == 0


def test_split_is_chosen(pets: Path) -> None:
    assert load_dataset(pets, split="train").name == "pets/train"
    assert load_dataset(pets, split="train").samples[0].path.name == "t1.png"
    with pytest.raises(FoveateError, match="no 'test' in it; it has val, train"):
        load_dataset(pets, split="test")


@pytest.mark.parametrize(
    "settings",
    [
        "path: .\nval: images/val",
        "path: /on/another/machine\nval: images/val",
        "val: ../images/val",  # as Roboflow writes it
        "val: [images/val]",
        "val: list.txt",
        "train: images/val",
    ],
)
def test_ways_to_say_where_the_pictures_are(settings: str, pets: Path) -> None:
    (pets / "list.txt").write_text("images/val/v2.png\n\nimages/val/v10.png\n")
    (pets / "data.yaml").write_text(f"{settings}\nnames:\n  0: cat\n  1: dog\n")
    dataset = read_yolo(pets)
    assert [sample.path.name for sample in dataset.samples] == ["v2.png", "v10.png"]
    assert dataset.class_names == ("cat", "dog")


def test_image_root_replaces_the_path(pets: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("path: gone\nval: images/val\n" + NAMES)
    assert len(load_dataset(elsewhere, image_root=pets)) == 2
    (pets / "data.yaml").unlink()
    with pytest.raises(UsageError, match=r"goes with a data\.yaml"):
        load_dataset(pets, image_root=pets)


def test_folders_without_settings(pets: Path) -> None:
    folder = pets / "images" / "train"
    assert load_dataset(folder).name == "pets/train"
    assert load_dataset(folder).class_names == ("cat", "dog")  # from data.yaml above
    (pets / "data.yaml").unlink()
    assert load_dataset(pets).class_names == ("class 0", "class 1")
    assert load_dataset(pets).name == "pets/val"
    assert load_dataset(pets, split="train").name == "pets/train"
    with pytest.raises(FoveateError, match="no folder images/test"):
        load_dataset(pets, split="test")
    (pets / "classes.txt").write_text("a\nb\nc\n")
    assert load_dataset(pets).class_names == ("a", "b", "c")


def test_flat_folders(tmp_path: Path) -> None:
    add(tmp_path / "birds", "one", "0 .5 .5 1 1\n")
    dataset = load_dataset(tmp_path / "birds")
    assert dataset.name == "birds"
    np.testing.assert_array_equal(dataset.samples[0].annotations.boxes, [[0, 0, 200, 100]])


def test_label_path_swaps_the_last_images_folder() -> None:
    assert label_path(Path("images/x/images/val/a.b.jpg")) == Path("images/x/labels/val/a.b.txt")
    assert label_path(Path("photos/a.jpg")) == Path("photos/a.txt")


def test_polygons_become_boxes(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("1 0.1 0.2 0.3 0.2 0.2 0.6\n0.0 .1 .1 .2 .1 .2 .2 .1 .2\n")
    labels = read_labels(file, 100, 10, 2)
    np.testing.assert_allclose(labels.boxes, [[10, 2, 30, 6], [10, 1, 20, 2]], atol=1e-5)
    np.testing.assert_array_equal(labels.labels, [1, 0])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 .5 .5 .1", "expected class, cx, cy, width, height .* got 4 values"),
        ("0 .5 .5 .1 .1 .9", "got 6 values"),
        ("0 .5 .5 .1 x", "expected numbers, got '0 .5 .5 .1 x'"),
        ("2 .5 .5 .1 .1", r"class 2, but there are only 2 \(from 0\)"),
        ("-1 .5 .5 .1 .1", "expected a class number from 0, got -1"),
        ("0.5 .5 .5 .1 .1", "expected a class number from 0, got 0.5"),
        ("nan .5 .5 .1 .1", "expected a class number from 0, got nan"),
        ("0 320 240 12 10", "must be relative to the picture"),
        ("0 nan .5 .1 .1", "must be relative to the picture"),
        ("0 .5 .5 inf .1", "must be relative to the picture"),
        ("0 .5 .5 -.005 .1", "is inverted"),
    ],
)
def test_wrong_lines_are_named(line: str, says: str, pets: Path) -> None:
    (pets / "labels" / "val" / "v2.txt").write_text(f"0 .5 .5 .1 .1\n\n{line}\n")
    with pytest.raises(FoveateError, match=says) as caught:
        load_dataset(pets)
    assert "v2.txt, line 3" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("3", "expected key: value pairs"),
        (NAMES, "neither train, val nor test"),
        ("val: images/val", "no class names"),
        ("val: images/val\nnames: {1: a, 2: b}", "numbered 0 to 1"),
        ("val: images/nowhere\n" + NAMES, "images/nowhere does not exist"),
        ("val: [\n" + NAMES, "not valid YAML"),
        ("val: empty.txt\n" + NAMES, "no pictures in empty.txt"),
    ],
)
def test_wrong_settings_are_named(settings: str, says: str, pets: Path) -> None:
    (pets / "data.yaml").write_text(settings)
    (pets / "empty.txt").touch()
    with pytest.raises(FoveateError, match=says):
        load_dataset(pets / "data.yaml")


def test_no_labels_at_all_is_an_error(pets: Path) -> None:
    (pets / "labels" / "val" / "v2.txt").unlink()
    with pytest.raises(FoveateError, match=r"no label files: looked for .*v2\.txt"):
        load_dataset(pets)


def test_several_settings_files(pets: Path) -> None:
    (pets / "data.yaml").unlink()
    (pets / "a.yaml").touch()
    (pets / "b.yml").touch()
    with pytest.raises(FoveateError, match=r"choose one of: a\.yaml, b\.yml"):
        load_dataset(pets)
