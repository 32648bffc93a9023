from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset
from foveate.errors import FoveateError

SIZE = "<size><width>200</width><height>100</height><depth>3</depth></size>"


def item(name: str, box: tuple[object, ...], difficult: int = 0) -> str:
    corners = "".join(
        f"<{field}>{value}</{field}>"
        for field, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    hard = f"<difficult>{difficult}</difficult>" if difficult else ""
    return f"<object><name>{name}</name>{hard}<bndbox>{corners}</bndbox></object>"


def add(root: Path, stem: str, body: str, filename: str | None = None) -> Path:
    path = root / "Annotations" / f"{stem}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    filename = filename or f"{stem}.jpg"
    path.write_text(f"<annotation><filename>{filename}</filename>{body}</annotation>")
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    (root / "JPEGImages").mkdir(parents=True)
    add(root, "a", SIZE + item("dog", (1, 1, 20, 30)) + item("cat", (5, 6, 5, 6), difficult=1))
    add(root, "b", SIZE)
    return root


def test_a_folder_is_read(pets: Path) -> None:
    dataset = load_dataset(pets)
    assert dataset.name == "pets"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.category_ids == (1, 2)
    first, second = dataset.samples
    assert first.path == pets / "JPEGImages" / "a.jpg"
    assert (first.image_id, first.width, first.height) == (1, 200, 100)
    np.testing.assert_array_equal(first.annotations.boxes, [[0, 0, 20, 30], [4, 5, 5, 6]])
    np.testing.assert_array_equal(first.annotations.labels, [1, 0])
    np.testing.assert_array_equal(first.annotations.ignore, [False, True])
    assert len(second.annotations) == 0


def test_classes_do_not_depend_on_the_split(pets: Path) -> None:
    lists = pets / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("b 1\n\n")
    dataset = load_dataset(pets, split="val")
    assert dataset.name == "pets/val"
    assert dataset.class_names == ("cat", "dog")
    assert [sample.path.stem for sample in dataset.samples] == ["b"]
    (lists / "val.txt").write_text("zzz\n")
    with pytest.raises(FoveateError, match=r"val\.txt lists zzz, which has no XML"):
        load_dataset(pets, split="val")
    with pytest.raises(FoveateError, match=r"train\.txt does not exist"):
        load_dataset(pets, split="train")


def test_a_list_of_names_gives_their_order(pets: Path) -> None:
    (pets / "labels.txt").write_text("dog\n\nhorse\n")
    dataset = load_dataset(pets)
    assert dataset.class_names == ("dog", "horse", "cat")
    assert dataset.samples[0].annotations.labels.tolist() == [0, 2]


def test_splits_may_list_names_with_spaces(pets: Path) -> None:
    add(pets, "c 1", SIZE)
    (pets / "ImageSets" / "Main").mkdir(parents=True)
    (pets / "ImageSets" / "Main" / "val.txt").write_text("c 1\nb  1\n")
    stems = [sample.path.stem for sample in load_dataset(pets, split="val").samples]
    assert stems == ["c 1", "b"]


def test_a_renamed_picture_is_found_and_measured(pets: Path, tmp_path: Path) -> None:
    add(pets, "c", "<size><width>0</width></size>", filename="elsewhere\\old.JPG")
    with pytest.raises(FoveateError, match=r"old\.JPG does not exist"):
        load_dataset(pets)
    cv2.imwrite(str(pets / "JPEGImages" / "c.png"), np.zeros((7, 9, 3), np.uint8))
    sample = load_dataset(pets).samples[2]
    assert (sample.path.name, sample.width, sample.height) == ("c.png", 9, 7)
    root = tmp_path / "pictures"
    root.mkdir()
    cv2.imwrite(str(root / "c.png"), np.zeros((3, 4, 3), np.uint8))
    assert load_dataset(pets, image_root=root).samples[2].width == 4


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (SIZE + item("dog", ("nan", 1, 2, 3)), r"object 1 \(dog\): .* is not finite"),
        (SIZE + item("dog", ("inf", 1, 2, 3)), "is not finite"),
        (SIZE + item("dog", (50, 1, 20, 3)), r"object 1 \(dog\): .* is inverted"),
        (SIZE + item("dog", ("x", 1, 2, 3)), "object 1: bndbox/xmin must be a number, got 'x'"),
        (SIZE + "<object><name>dog</name></object>", "bndbox/xmin must be a number, got nothing"),
        (SIZE + item(" ", (1, 1, 2, 2)), "object 1 has no name"),
    ],
)
def test_wrong_objects_are_named(body: str, says: str, pets: Path) -> None:
    add(pets, "c", body)
    with pytest.raises(FoveateError, match=says) as caught:
        load_dataset(pets)
    assert "c.xml" in str(caught.value)
    assert "\n" not in str(caught.value)


BOMB = "<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;'>]><annotation>&c;</annotation>"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB.encode(), "declares a document type"),
        (BOMB.encode("utf-16"), "declares a document type"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "declares a document type"),
        (b"", "not usable XML"),
        (b"hello", "not usable XML"),
        (b"<annotation><object><name>dog</name>", "not usable XML"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "not usable XML"),
    ],
)
def test_unusable_xml_is_refused(content: bytes, says: str, pets: Path) -> None:
    (pets / "Annotations" / "c.xml").write_bytes(content)
    with pytest.raises(FoveateError, match=says) as caught:
        load_dataset(pets)
    assert "c.xml" in str(caught.value)


def test_folders_without_labels(tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(FoveateError, match=r"holds no Annotations/\*\.xml"):
        load_dataset(tmp_path, format="voc")
    add(tmp_path, "a", SIZE)
    with pytest.raises(FoveateError, match="none of the 1 files in Annotations has an object"):
        load_dataset(tmp_path)
