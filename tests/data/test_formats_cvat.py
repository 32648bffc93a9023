from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset
from foveate.data.formats.common import REGION, annotations_with_regions
from foveate.errors import FoveateError

BOX = '<box label="{label}" xtl="{box[0]}" ytl="{box[1]}" xbr="{box[2]}" ybr="{box[3]}"{more}'


def box(label: str, corners: tuple[object, ...], more: str = "", inner: str = "") -> str:
    return BOX.format(label=label, box=corners, more=f" {more}") + f">{inner}</box>"


def image(body: str, name: str = "a.jpg", more: str = 'width="200" height="100"') -> str:
    return f'<image id="0" name="{name}" {more}>{body}</image>'


def labels(*names: str) -> str:
    rows = "".join(f"<label><name>{name}</name></label>" for name in names)
    return f"<meta><task><labels>{rows}</labels></task></meta>"


def write(path: Path, *parts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotations><version>1.1</version>{''.join(parts)}</annotations>")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "birds" / "annotations.xml"


def test_a_file_is_read(file: Path) -> None:
    shapes = box("gull", (1.5, 2, 11, 22), 'occluded="1"') + box("R&amp;D  drone", (0, 0, 5, 5))
    write(file, labels("R&amp;D drone", "gull", "tern"), image(shapes), image("", "b/c.jpg"))
    for given in (file, file.parent):
        dataset = load_dataset(given)
        assert dataset.name == "birds"
        assert dataset.class_names == ("R&D drone", "gull", "tern")
        first, second = dataset.samples
        assert first.path == file.parent / "images" / "a.jpg"
        assert second.path == file.parent / "images" / "b" / "c.jpg"
        assert (first.image_id, first.width, first.height) == (1, 200, 100)
        np.testing.assert_array_equal(first.annotations.boxes, [[1.5, 2, 11, 22], [0, 0, 5, 5]])
        assert first.annotations.labels.tolist() == [1, 0]
        assert not first.annotations.ignore.any()
        assert len(second.annotations) == 0


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (box("a", (10, 20, 30, 24), 'rotation="90"'), (18, 12, 22, 32)),
        (box("a", (10, 20, 30, 24), 'rotation="180.0"'), (10, 20, 30, 24)),
        (box("a", (0, 0, 20, 20), 'rotation="45"'), (-4.142, -4.142, 24.142, 24.142)),
        ('<polygon label="a" points="3,4;10.5,2;7,9"/>', (3, 2, 10.5, 9)),
        ('<ellipse label="a" cx="10" cy="20" rx="3" ry="4"/>', (7, 16, 13, 24)),
        ('<ellipse label="a" cx="10" cy="20" rx="3" ry="4" rotation="90"/>', (6, 17, 14, 23)),
        ('<mask label="a" rle="1" left="5" top="6" width="7" height="8"/>', (5, 6, 12, 14)),
    ],
)
def test_the_enclosing_box_is_taken(shape: str, expected: tuple[float], file: Path) -> None:
    (sample,) = load_dataset(write(file, image(shape))).samples
    np.testing.assert_allclose(sample.annotations.boxes, [expected], atol=1e-3)


def test_points_and_lines_are_left_out(file: Path) -> None:
    others = (
        '<points label="a" points="1,2"/><polyline label="a" points="1,2;3,4"/><tag label="a"/>'
    )
    dataset = load_dataset(write(file, labels("a"), image(others + box("a", (1, 1, 2, 2)))))
    assert len(dataset.samples[0].annotations) == 1


def test_check_boxes_and_regions_are_ignored(file: Path) -> None:
    flag = '<attribute name="{}">{}</attribute>'
    shapes = [
        box("gull", (0, 0, 9, 9), inner=flag.format("ignore", "true")),
        box("gull", (1, 0, 9, 9), inner=flag.format("Difficult", "1")),
        box("gull", (2, 0, 9, 9), inner=flag.format("ignore", "false")),
        box("Ignored_Regions", (3, 0, 9, 9)),
        box("tern", (4, 0, 9, 9), inner=flag.format("wet", "true")),
    ]
    names = labels("gull", "Ignored_Regions", "tern")
    dataset = load_dataset(write(file, names, image("".join(shapes))))
    assert dataset.class_names == ("gull", "tern")
    objects = dataset.samples[0].annotations
    assert objects.boxes[:, 0].tolist() == [0, 1, 2, 4, 3, 3]
    assert objects.labels.tolist() == [0, 0, 0, 1, 0, 1]
    assert objects.ignore.tolist() == [True, True, False, False, True, True]


def test_regions_of_many_classes_are_those_of_the_picture() -> None:
    boxes = np.array([[0, 0, 4, 4], [1, 1, 9, 9], [2, 2, 3, 3]], np.float64)
    given = np.array([70, REGION, 5])
    marked = np.zeros(3, np.bool_)
    many = annotations_with_regions(boxes, given, marked, (20, 20), 101)
    assert many.labels.tolist() == [70, 5, 5, 70]
    assert many.ignore.tolist() == [False, False, True, True]
    assert len(annotations_with_regions(boxes, given, marked, (20, 20), 100).labels) == 102


def test_classes_that_are_not_listed_follow(file: Path) -> None:
    shapes = box("wren", (1, 1, 2, 2)) + box("auk", (1, 1, 2, 2))
    skeleton = "<label><name>wing</name><parent>gull</parent></label>"
    listed = labels("gull").replace("</labels>", f"{skeleton}</labels>")
    assert load_dataset(write(file, listed, image(shapes))).class_names == ("gull", "auk", "wren")


def test_subsets_are_splits(file: Path) -> None:
    size = 'width="9" height="9"'
    train = image(box("a", (1, 1, 2, 2)), "a.jpg", f'subset="Train" {size}')
    val = image("", "b.jpg", f'subset="val" {size}')
    write(file, train, val)
    picture = file.parent / "images" / "Train" / "a.jpg"
    picture.parent.mkdir(parents=True)
    picture.touch()
    dataset = load_dataset(file, split="train")
    assert [sample.path for sample in dataset.samples] == [picture]
    assert len(load_dataset(file)) == 2
    # The classes are those of the file, whatever the split.
    assert load_dataset(file, split="val").class_names == ("a",)
    with pytest.raises(FoveateError, match="no picture of subset 'test'; it has Train, val"):
        load_dataset(file, split="test")


def test_pictures_without_a_size_are_measured(file: Path, tmp_path: Path) -> None:
    write(file, image(box("a", (1, 1, 2, 2)), more='width="0"'))
    with pytest.raises(FoveateError, match=r"a\.jpg does not exist"):
        load_dataset(file)
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((7, 9, 3), np.uint8))
    (sample,) = load_dataset(file, image_root=tmp_path).samples
    assert (sample.path, sample.width, sample.height) == (tmp_path / "a.jpg", 9, 7)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (image(box("a", ("nan", 1, 2, 3))), r"image 1 \(a.jpg\), box \(entry 1\) \(a\): .* finite"),
        (image(box("a", ("inf", 1, 2, 3), 'rotation="9"')), "is not finite"),
        (image(box("a", (5, 1, 2, 3))), "is inverted"),
        (image(box("a", (5, 1, 2, 3), 'rotation="9"')), "is inverted"),
        (image(box("a", ("x", 1, 2, 3))), "xtl must be a number, got 'x'"),
        (image(box("a", (1, 1, 2, 3), 'rotation="nan"')), "rotation must be a finite number"),
        (image('<box label="a" xtl="1" ytl="2"/>'), "xbr must be a number, got nothing"),
        (image(box("", (1, 1, 2, 3))), r"box \(entry 1\) has no label"),
        (image('<polygon label="a" points="1,2;3,4"/>'), "must be three or more x,y;x,y"),
        (image('<polygon label="a" points="1,2;3,4;5"/>'), "must be three or more x,y;x,y"),
        (image('<polygon label="a" points="1,2;3,4;5,nan"/>'), "is not finite"),
        (image('<ellipse label="a" cx="1" cy="2" rx="-3" ry="4"/>'), "is inverted"),
        (image("", name=""), "image 1 has no name"),
        (image("", more='width="many"'), "width must be a number, got 'many'"),
        (image("", more='width="1.5" height="2"'), "width and height must be whole numbers"),
        ("", "has no picture"),
        (image(""), "has neither labels nor objects"),
        ("<track><box/></track>", "holds tracks of a video; export it as 'CVAT for images 1.1'"),
    ],
)
def test_what_is_wrong_is_named(body: str, says: str, file: Path) -> None:
    with pytest.raises(FoveateError, match=says) as caught:
        load_dataset(write(file, body))
    assert "annotations.xml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("<annotations><image name='a' width='1' height='1'/>", "is not usable XML"),
        ("<annotation/>", "its root is <annotation>; VOC is read by its folder"),
        ("<!DOCTYPE a [<!ENTITY b 'x'>]><annotations>&b;</annotations>", "declares a document"),
    ],
)
def test_unusable_files_are_refused(content: str, says: str, file: Path) -> None:
    write(file).write_text(content)
    with pytest.raises(FoveateError, match=says):
        load_dataset(file)
