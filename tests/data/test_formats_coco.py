from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import hotcoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.data.formats import load_dataset, read_coco, to_coco
from foveate.errors import FoveateError
from foveate.structures import Annotations, Dataset, Sample

CONTENT: dict[str, Any] = {
    "info": {"description": "two\n pictures", "license": "CC0 1.0"},
    "categories": [{"id": 7, "name": "gull"}, {"id": 3, "name": "drone"}],
    "images": [
        {"id": 20, "file_name": "b.jpg", "width": 100, "height": 50},
        {"id": 10, "file_name": "a.jpg", "width": 100, "height": 50},
        {"id": 30, "file_name": "c.jpg", "width": 10, "height": 10},
    ],
    "annotations": [
        {"id": 1, "image_id": 10, "category_id": 7, "bbox": [1, 2, 3, 4.5]},
        {"id": 2, "image_id": 20, "category_id": 3, "bbox": [0, 0, 10, 10], "iscrowd": 1},
        {"id": 3, "image_id": 10, "category_id": 3, "bbox": [90, 40, 20, 20], "iscrowd": 0},
        {"id": 4, "image_id": 10, "category_id": 3, "bbox": [5, 5, 2, 2], "ignore": 1},
    ],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: Any = CONTENT, name: str = "birds/val.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_file_is_read(write: Callable[..., Path]) -> None:
    dataset = read_coco(write())
    assert dataset.name == "birds/val"
    assert dataset.description == "two pictures"
    assert dataset.licence == "CC0 1.0"
    assert dataset.class_names == ("drone", "gull")  # by id, not as listed
    assert dataset.category_ids == (3, 7)
    assert [sample.image_id for sample in dataset.samples] == [20, 10, 30]
    first, second, third = (sample.annotations for sample in dataset.samples)
    np.testing.assert_array_equal(first.boxes, [[0, 0, 10, 10]])
    np.testing.assert_array_equal(first.ignore, [True])
    np.testing.assert_array_equal(second.boxes, [[1, 2, 4, 6.5], [90, 40, 110, 60], [5, 5, 7, 7]])
    np.testing.assert_array_equal(second.labels, [1, 0, 0])
    np.testing.assert_array_equal(second.ignore, [False, False, True])
    assert second.boxes.dtype == np.float32
    assert second.labels.dtype == np.int64
    assert len(third) == 0


def test_tinyperson_is_told_by_its_fields(write: Callable[..., Path]) -> None:
    plain = {"ignore": False, "uncertain": False, "logo": False, "in_dense_image": True}
    rows = [plain, plain | {"ignore": True}, plain | {"uncertain": True}, plain | {"logo": True}]
    content = copy.deepcopy(CONTENT)
    content["images"][1] |= {"file_name": "big.jpg", "corner": [540, 0, 640, 50]}
    content["annotations"] = [
        {"id": i, "image_id": 10, "category_id": 3, "bbox": [5, 5, 4, 9], "iscrowd": 0} | row
        for i, row in enumerate(rows)
    ]
    sample = read_coco(write(content)).samples[1]
    assert sample.annotations.ignore.tolist() == [False, True, True, True]
    # A tile of a larger picture stays one: size and boxes are the tile's own.
    assert (sample.path.name, sample.width, sample.height) == ("big.jpg", 100, 50)
    np.testing.assert_array_equal(sample.annotations.boxes[0], [5, 5, 9, 14])
    # Elsewhere the same words may mean anything.
    for row in content["annotations"]:
        del row["in_dense_image"]
    assert read_coco(write(content)).samples[1].annotations.ignore.tolist() == [0, 1, 0, 0]


AI_TOD = (
    "airplane",
    "bridge",
    "storage-tank",
    "ship",
    "swimming-pool",
    "vehicle",
    "person",
    "wind-mill",
)


def test_ai_tod_is_coco(write: Callable[..., Path]) -> None:
    box = {"image_id": 0, "bbox": [782.0, 12.0, 9.0, 10.0], "area": 90.0, "segmentation": []}
    content = {
        "info": "AI-TOD",
        "licenses": None,
        "categories": [
            {"id": i, "name": name, "supercategory": name} for i, name in enumerate(AI_TOD, 1)
        ],
        "images": [{"id": 0, "file_name": "P0.png", "width": 800, "height": 800}],
        "annotations": [
            box | {"id": i, "category_id": i + 1, "iscrowd": 0, "ignore": 0} for i in range(8)
        ],
    }
    dataset = load_dataset(write(content, "ai-tod/annotations/aitod_val.json"))
    assert dataset.class_names == AI_TOD
    objects = dataset.samples[0].annotations
    assert objects.labels.tolist() == [*range(8)]
    assert not objects.ignore.any()
    np.testing.assert_array_equal(objects.boxes[0], [782, 12, 791, 22])


def test_boxes_that_nothing_can_find_are_ignored(write: Callable[..., Path]) -> None:
    content = copy.deepcopy(CONTENT)
    boxes = [[5, 5, 0, 4], [200, 5, 4, 4], [-9, 5, 9, 4], [-1, -1, 3, 3]]
    content["annotations"] = [
        {"id": i, "image_id": 10, "category_id": 3, "bbox": box} for i, box in enumerate(boxes)
    ]
    annotations = read_coco(write(content)).samples[1].annotations
    np.testing.assert_array_equal(annotations.ignore, [True, True, True, False])
    np.testing.assert_array_equal(annotations.boxes[3], [-1, -1, 2, 2])  # kept as labelled


def test_a_data_set_without_annotations_is_read(write: Callable[..., Path]) -> None:
    dataset = read_coco(write(CONTENT | {"annotations": []}))
    assert [len(sample.annotations) for sample in dataset.samples] == [0, 0, 0]
    assert to_coco(dataset)["annotations"] == []


def test_licence_from_the_list(write: Callable[..., Path]) -> None:
    content = {key: value for key, value in CONTENT.items() if key != "info"}
    content["licenses"] = [{"id": 1, "name": "CC BY 4.0"}, {"id": 2, "name": "CC0"}]
    assert read_coco(write(content)).licence == "CC BY 4.0, CC0"


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("birds/val.json", "birds/images"),
        ("birds/val.json", "birds"),
        ("birds/val.json", "birds/val"),
        ("birds/val.json", "birds/images/val"),
        ("birds/annotations/instances_val2017.json", "birds/val2017"),
        ("birds/annotations/val.json", "birds/images"),
    ],
)
def test_pictures_are_found(
    file: str, folder: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "b.jpg").touch()
    samples = read_coco(write(name=file)).samples
    assert samples[0].path == tmp_path / folder / "b.jpg"
    assert samples[2].path == tmp_path / folder / "c.jpg"  # missing ones are not looked for


def test_image_root_is_obeyed(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write()
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(FoveateError, match=r"its first picture, b\.jpg, is not in"):
        load_dataset(path, image_root=tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "b.jpg").touch()
    dataset = load_dataset(path, image_root=tmp_path / "elsewhere")
    assert dataset.samples[1].path == tmp_path / "elsewhere" / "a.jpg"


def test_size_is_read_from_the_picture_if_not_stated(write: Callable[..., Path]) -> None:
    content = copy.deepcopy(CONTENT)
    content["images"] = [{"id": 10, "file_name": "sub\\a.png"}]
    content["annotations"] = []
    path = write(content)
    with pytest.raises(FoveateError, match=r"a\.png does not exist"):
        read_coco(path)
    (path.parent / "sub").mkdir()
    cv2.imwrite(str(path.parent / "sub" / "a.png"), np.zeros((4, 9, 3), np.uint8))
    sample = read_coco(path).samples[0]
    assert (sample.width, sample.height) == (9, 4)


def test_a_folder_with_one_file_or_a_split(write: Callable[..., Path]) -> None:
    folder = write().parent
    assert load_dataset(folder).name == "birds/val"
    write(name="birds/train.json")
    with pytest.raises(FoveateError, match=r"choose one of: train\.json, val\.json"):
        load_dataset(folder)
    assert load_dataset(folder, split="train").name == "birds/train"
    with pytest.raises(FoveateError, match="no single file named 'test'"):
        load_dataset(folder, split="test")


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    """Change or (None) remove fields of the second annotation."""

    def apply(content: dict[str, Any]) -> None:
        for key, value in changes.items():
            if value is None:
                del content["annotations"][1][key]
            else:
                content["annotations"][1][key] = value

    return apply


@pytest.mark.parametrize(
    ("apply", "says"),
    [
        (change(image_id=99), "annotation 2: image_id 99 is not among the images"),
        (change(category_id=99), "annotation 2: category_id 99 is not among the categories"),
        (change(image_id=None), "annotations, entry 2 has no image_id"),
        (change(image_id="10"), "image_id must be a whole number, got '10'"),
        (change(image_id=10**30), "larger than 64 bits"),
        (change(bbox=None), "annotation 2: bbox must be four numbers .* got None"),
        (change(bbox=[1, 2, 3]), r"annotation 2: bbox must be four numbers .* got \[1, 2, 3\]"),
        (change(bbox=[1, 2, "x", 3]), "annotation 2: bbox must be four numbers"),
        (change(bbox="1 2 3 4"), "annotation 2: bbox must be four numbers"),
        (change(bbox=[1, 2, float("nan"), 3]), "annotation 2: .* is not finite"),
        (change(bbox=[float("inf"), 2, -float("inf"), 3]), "annotation 2: .* is not finite"),
        (change(bbox=[1e200, 2, 3, 3]), "annotation 2: .* farther out than any picture reaches"),
        (change(bbox=["1", "2", "3", "3"]), "bbox must be four numbers"),
        (change(bbox=[1, 2, -3, 4]), r"annotation 2: its box \(1, 2, -2, 6: .* is inverted"),
        (lambda c: c["categories"].append({"id": 3, "name": "again"}), "id 3 is used more than"),
        (lambda c: c["categories"].append({"id": 5}), "category 5 has no name"),
        (lambda c: c["categories"].clear(), "has no categories"),
        (lambda c: c["images"].clear(), "has no images"),
        (lambda c: c["images"].append(c["images"][0]), "images: id 20 is used more than once"),
        (lambda c: c["images"][1].pop("file_name"), "image 10 has no file_name"),
        (lambda c: c["images"][1].pop("id"), "images, entry number 2 has no id"),
        (lambda c: c["images"][1].update(width=0), "image 10: width and height must be"),
        (lambda c: c["images"][1].update(width="100"), "got '100' and 50"),
        (lambda c: c.pop("annotations"), "'annotations' is missing"),
        (lambda c: c.update(images={}), "'images' is not a list of objects"),
        (lambda c: c.update(images=[3]), "'images' is not a list of objects"),
    ],
)
def test_wrong_entries_are_named(
    apply: Callable[[dict[str, Any]], None], says: str, write: Callable[..., Path]
) -> None:
    content = copy.deepcopy(CONTENT)
    apply(content)
    with pytest.raises(FoveateError, match=says) as caught:
        read_coco(write(content))
    assert "val.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not valid JSON: expecting value at line 1"),
        ('{"images": [\n{"id": 1,}]}', "not valid JSON: .* at line 2"),
        ("[]", "is a list, as predictions are"),
        ("3", "its top level is no object"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_files_that_are_not_coco(text: str, says: str, write: Callable[..., Path]) -> None:
    with pytest.raises(FoveateError, match=says):
        read_coco(write(text))


def test_binary_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "val.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FoveateError, match="is not UTF-8 text"):
        load_dataset(tmp_path / "val.json")
    with pytest.raises(FoveateError, match=r"did you mean val\.json\?"):
        load_dataset(tmp_path / "vall.json")


BOXES = st.lists(
    st.tuples(*[st.integers(-100, 400).map(lambda v: v / 4)] * 2, *[st.integers(1, 99)] * 2),
    max_size=8,
)


@settings(deadline=None)
@given(st.lists(BOXES, min_size=1, max_size=4), st.randoms())
def test_coco_round_trip_whatever_the_order(pictures: list[Any], random: Any) -> None:
    samples = []
    for number, rows in enumerate(pictures):
        boxes = np.array(rows, np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([random.randrange(2) for _ in rows], np.int64)
        ignore = np.array([random.random() < 0.3 for _ in rows], bool)
        objects = Annotations(boxes, labels, ignore)
        samples.append(Sample(Path(f"{number}.png"), 5 * number + 2, 100, 80, objects))
    dataset = Dataset("d", ("a", "b"), (4, 9), tuple(samples), "CC0", "rows")
    content = to_coco(dataset)
    random.shuffle(content["categories"])
    again = _load(content)
    assert (again.class_names, again.category_ids) == (("a", "b"), (4, 9))
    assert (again.licence, again.description) == ("CC0", "rows")
    for before, after in zip(dataset.samples, again.samples, strict=True):
        assert (after.image_id, after.path.name) == (before.image_id, before.path.name)
        np.testing.assert_array_equal(after.annotations.boxes, before.annotations.boxes)
        np.testing.assert_array_equal(after.annotations.labels, before.annotations.labels)
        outside = _outside(before.annotations.boxes)
        np.testing.assert_array_equal(after.annotations.ignore, before.annotations.ignore | outside)


def _outside(boxes: Any) -> Any:
    return (boxes[:, 2:] <= 0).any(1) | (boxes[:, :2] >= [100, 80]).any(1)


def _load(content: dict[str, Any]) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_text(json.dumps(content))
        return read_coco(path)


def test_hotcoco_accepts_what_we_write(write: Callable[..., Path]) -> None:
    coco = hotcoco.COCO(to_coco(read_coco(write())))
    assert coco.load_warnings == []
    annotations = coco.load_anns(coco.get_ann_ids(img_ids=[10]))
    assert annotations[0]["bbox"] == [1.0, 2.0, 3.0, 4.5]
    assert [row["iscrowd"] for row in annotations] == [False, False, True]
    assert annotations[0]["area"] == 13.5
