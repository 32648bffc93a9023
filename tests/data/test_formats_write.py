"""What is written is read back: the same boxes, labels and ignore flags."""

from __future__ import annotations

import shutil
import tempfile
import typing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import hotcoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.cli.convert import TargetFormat
from foveate.data.formats import FORMATS, WRITERS, load_dataset, write_dataset
from foveate.data.formats.write import Pictures
from foveate.errors import FoveateError, UsageError
from foveate.structures import Annotations, Dataset, Sample

NAMES = ("gull", "R&D <drone>", "ice bear", "never seen")
WIDTH, HEIGHT = 300, 200
PIXEL = 0.0011
"""What is written to a thousandth, in float32."""


def objects(rows: Sequence[Sequence[float]]) -> Annotations:
    """Rows of x1, y1, width, height, label and ignore."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    labels = table[:, 4].astype(np.int64)
    return Annotations(boxes.astype(np.float32), labels, table[:, 5].astype(bool))


SOME = objects([(1.5, 2, 7.25, 9, 0, 0), (100, 50, 3, 4, 1, 0), (20, 30.333, 40, 50, 2, 1)])
ALL = objects([(5, 5, 9.5, 9, label, 0) for label in range(4)])


def dataset_of(folder: Path, *parts: Annotations, licence: str = "") -> Dataset:
    """Pictures in one folder, each of its own grey."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number, part in enumerate(parts, 1):
        path = folder / f"photo {number}.png"
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH), number, np.uint8))
        samples.append(Sample(path, number, WIDTH, HEIGHT, part))
    return Dataset("birds", NAMES, (1, 2, 3, 4), tuple(samples), licence=licence)


def unpack(dataset: Dataset) -> dict[str, list[tuple[str, bool, list[float]]]]:
    """Name, ignore flag and box of every object of each picture."""
    return {
        sample.path.name: [
            (dataset.class_names[label], flag, box)
            for label, flag, box in zip(
                sample.annotations.labels.tolist(),
                sample.annotations.ignore.tolist(),
                sample.annotations.boxes.tolist(),
                strict=True,
            )
        ]
        for sample in dataset.samples
    }


def require_same(read: Dataset, written: Dataset, format: str, within: float = PIXEL) -> None:
    """Compare, but for what the format is known not to hold."""
    mine, theirs = unpack(read), unpack(written)
    assert list(mine) == list(theirs)
    for name, rows in theirs.items():
        kept = [row for row in rows if not (format == "yolo" and row[1])]
        assert [row[1] for row in mine[name]] == [row[1] for row in kept]
        spaced = [row[0].replace(" ", "-") if format == "dota" else row[0] for row in kept]
        assert [row[0] for row in mine[name]] == spaced
        for (*_, box), (*_, expected) in zip(mine[name], kept, strict=True):
            assert box == pytest.approx(expected, abs=within)


def test_the_command_line_offers_every_format() -> None:
    assert set(typing.get_args(TargetFormat)) == {*WRITERS}
    assert {*WRITERS} <= {*FORMATS}


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("images", typing.get_args(Pictures))
def test_every_format_is_read_back(format: str, images: Pictures, tmp_path: Path) -> None:
    written = dataset_of(tmp_path / "in", SOME, Annotations.empty(), ALL)
    out = tmp_path / "deep" / "out"
    write_dataset({"": written}, out, format, images)
    if images == "none":
        folder = out / WRITERS[format].pictures("")
        shutil.copytree(tmp_path / "in", folder)
    read = load_dataset(out)
    require_same(read, written, format)
    for sample, source in zip(read.samples, written.samples, strict=True):
        assert (sample.width, sample.height) == (WIDTH, HEIGHT)
        assert sample.path.read_bytes() == source.path.read_bytes()
        assert sample.path.is_symlink() == (images == "link")
    if format != "dota":
        assert read.class_names == NAMES
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("format", WRITERS)
def test_splits_are_read_back(format: str, tmp_path: Path) -> None:
    train = dataset_of(tmp_path / "a", SOME, ALL)
    # Another order of classes, one more, and pictures of the same names.
    flipped = replace(ALL, labels=3 - ALL.labels)
    val = replace(dataset_of(tmp_path / "b", flipped), class_names=(*NAMES[::-1][:3], "auk"))
    lost = write_dataset({"train": train, "val": val}, tmp_path / "out", format)
    assert "pictures renamed because their names were taken: 1" in lost
    require_same(load_dataset(tmp_path / "out", split="train"), train, format)
    read = load_dataset(tmp_path / "out", split="val")
    renamed = replace(val.samples[0], path=Path("photo 1-2.png"))
    require_same(read, replace(val, samples=(renamed,)), format)
    if format != "dota":
        assert read.class_names == (*NAMES, "auk")


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("format", WRITERS)
def test_any_boxes_are_read_back(format: str, data: st.DataObject) -> None:
    inside = st.floats(0, 1, width=32)
    row = st.tuples(inside, inside, inside, inside, st.integers(0, 3), st.booleans())
    drawn = data.draw(st.lists(st.lists(row, max_size=5), min_size=1, max_size=3))
    # Objects of every class, lest formats that list what they see have fewer.
    parts = [ALL]
    for rows in drawn:
        shares = np.array(rows, np.float64).reshape(-1, 6)
        low = shares[:, :2] * [WIDTH, HEIGHT]
        size = shares[:, 2:4] * ([WIDTH, HEIGHT] - low)
        objects_of = objects(np.concatenate([low, size, shares[:, 4:]], axis=1).tolist())
        # An empty box is ignored, whatever is said of it; so may be one that rounds to nothing.
        sides = objects_of.boxes[:, 2:] - objects_of.boxes[:, :2]
        parts.append(replace(objects_of, ignore=objects_of.ignore | (sides < 0.01).any(axis=1)))
    with tempfile.TemporaryDirectory() as folder:
        written = dataset_of(Path(folder, "in"), *parts)
        write_dataset({"": written}, Path(folder, "out"), format, "link")
        require_same(load_dataset(Path(folder, "out")), written, format)


@pytest.mark.parametrize(("format", "file"), [("cvat", "annotations.xml"), ("dota", "labelTxt")])
def test_another_reader_agrees(format: str, file: str, tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "in", SOME, ALL)
    plain = replace(dataset, class_names=("gull", "drone", "bear", "auk"))
    write_dataset({"": plain}, tmp_path / "out", format)
    read = getattr(hotcoco.COCO, f"from_{format}")(str(tmp_path / "out" / file)).dataset
    names = {category["id"]: category["name"] for category in read["categories"]}
    boxes = np.array([row["bbox"] for row in read["annotations"]])
    boxes[:, 2:] += boxes[:, :2]
    expected = np.concatenate([SOME.boxes, ALL.boxes])
    np.testing.assert_allclose(boxes, expected, atol=PIXEL)
    labels = [*SOME.labels.tolist(), *ALL.labels.tolist()]
    assert [names[row["category_id"]] for row in read["annotations"]] == [
        plain.class_names[label] for label in labels
    ]


def test_coco_keeps_everything(tmp_path: Path) -> None:
    beyond = objects([(-3.7, 1, 10, 1 / 3, 0, 0), (290, 190, 77, 88, 1, 0), (9, 9, 0, 4, 2, 1)])
    dataset = dataset_of(tmp_path / "in", beyond, licence="CC0 1.0")
    ids = replace(dataset, category_ids=(3, 7, 11, 90), description="three birds")
    assert write_dataset({"": ids}, tmp_path / "out", "coco") == []
    read = load_dataset(tmp_path / "out")
    np.testing.assert_array_equal(read.samples[0].annotations.boxes, beyond.boxes)
    require_same(read, ids, "coco", within=0)
    assert (read.licence, read.description) == ("CC0 1.0", "three birds")
    assert read.category_ids == (3, 7, 11, 90)


@pytest.mark.parametrize(
    ("format", "lost"),
    [
        ("coco", []),
        ("cvat", ["the licence left out (CC0 1.0)"]),
        (
            "dota",
            [
                "spaces in names became hyphens (R&D <drone>, ice bear, never seen)",
                "classes without objects left out (never seen)",
                "the licence left out (CC0 1.0)",
            ],
        ),
        (
            "voc",
            [
                "2 boxes with fractions of a pixel, which some VOC tools refuse",
                "the licence left out (CC0 1.0)",
            ],
        ),
        (
            "yolo",
            [
                "1 ignored box left out",
                "1 box cut to the edge of the picture",
                "the licence left out (CC0 1.0)",
            ],
        ),
    ],
)
def test_what_is_lost_is_said(format: str, lost: list[str], tmp_path: Path) -> None:
    beyond = objects([(290, 5, 20, 9, 0, 0), (-5, 5, 9, 9, 0, 1)])
    parts = (beyond, replace(SOME, ignore=np.zeros(3, bool)))
    dataset = dataset_of(tmp_path / "in", *parts, licence="CC0 1.0")
    assert write_dataset({"": dataset}, tmp_path / "out", format) == lost


def test_boxes_are_cut_for_yolo(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "in", objects([(-50, 190, 60, 80, 0, 0)]))
    write_dataset({"": dataset}, tmp_path / "out", "yolo")
    (sample,) = load_dataset(tmp_path / "out").samples
    assert sample.annotations.boxes == pytest.approx(np.array([[0, 190, 10, 200]]), abs=PIXEL)


def test_a_class_called_ignore_is_warned_of(tmp_path: Path) -> None:
    dataset = replace(dataset_of(tmp_path / "in", ALL), class_names=("a", "b", "ignore", "d"))
    lost = write_dataset({"": dataset}, tmp_path / "out", "cvat")
    assert lost == ["class ignore will be read as regions to be ignored"]


def test_pictures_of_one_name_get_numbers(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "in", ALL)
    sample = dataset.samples[0]
    paths = [tmp_path / folder / name for folder in "xyz" for name in ("A-2.png", "a.png")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        shutil.copy(sample.path, path)
    samples = [replace(sample, path=path, image_id=number) for number, path in enumerate(paths)]
    many = replace(dataset, samples=tuple(samples))
    lost = write_dataset({"": many}, tmp_path / "out", "coco")
    assert lost == ["pictures renamed because their names were taken: 4"]
    names = [one.path.name for one in load_dataset(tmp_path / "out").samples]
    assert names == ["A-2.png", "a.png", "A-2-2.png", "a-3.png", "A-2-3.png", "a-4.png"]


def test_names_that_break_a_format_are_refused(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "in", ALL)
    same = replace(dataset, class_names=("a b", "a-b", "c", "d"))
    with pytest.raises(FoveateError, match="'a-b' and 'a b' would both be a-b"):
        write_dataset({"": same}, tmp_path / "out", "dota")
    broken = replace(dataset, class_names=("a\nb", "c", "d", "e"))
    for format in ("cvat", "dota", "voc"):
        with pytest.raises(FoveateError, match=r"the name 'a\\nb' has a character"):
            write_dataset({"": broken}, tmp_path / "out", format)
    spaced = replace(dataset, samples=(replace(dataset.samples[0], path=Path(" a .png")),))
    with pytest.raises(FoveateError, match=r"the name ' a \.png' has spaces around it"):
        write_dataset({"": spaced}, tmp_path / "out", "voc", images="none")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    write_dataset({"": broken}, tmp_path / "out", "yolo")
    assert load_dataset(tmp_path / "out").class_names == broken.class_names


def test_folders_in_use_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(tmp_path / "in", ALL)
    with pytest.raises(FoveateError, match="in is there already, and not empty; give the name"):
        write_dataset({"": dataset}, tmp_path / "in", "coco")
    (tmp_path / "file").touch()
    with pytest.raises(FoveateError, match="file is there already"):
        write_dataset({"": dataset}, tmp_path / "file", "coco")
    with pytest.raises(FoveateError, match="out cannot be written: not a directory"):
        write_dataset({"": dataset}, tmp_path / "file" / "out", "coco")
    (tmp_path / "empty").mkdir()
    write_dataset({"": dataset}, tmp_path / "empty", "coco")
    assert len(load_dataset(tmp_path / "empty")) == 1
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(FoveateError, match=r"\. is the folder you are in"):
        write_dataset({"": dataset}, ".", "coco")


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(tmp_path / "in", ALL, SOME)
    copied = []

    def fail(source: Path, path: Path) -> None:
        copied.append(path)
        if len(copied) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(FoveateError, match="out cannot be written: no space left on device"):
        write_dataset({"": dataset}, tmp_path / "out", "voc")
    assert len(copied) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_pictures_must_fit_their_labels(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "in", ALL, SOME)
    cv2.imwrite(str(dataset.samples[1].path), np.zeros((9, 8), np.uint8))
    with pytest.raises(FoveateError, match="is 8 x 9 and its labels are for 300 x 200"):
        write_dataset({"": dataset}, tmp_path / "out", "coco")
    dataset.samples[0].path.unlink()
    with pytest.raises(FoveateError, match=r"does not exist.* \(--images none writes the labels"):
        write_dataset({"": dataset}, tmp_path / "out", "coco")
    write_dataset({"": dataset}, tmp_path / "out", "coco", "none")
    assert len(load_dataset(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("split", "format", "images", "says"),
    [
        ("", "visdrone", "copy", "cannot write the format 'visdrone'; choose from coco, cvat"),
        ("", "coco", "move", "images must be one of copy, link, none, got 'move'"),
        ("../up", "coco", "copy", "becomes the name of a folder, which '../up' cannot be"),
        ("..", "coco", "copy", "becomes the name of a folder"),
    ],
)
def test_wrong_arguments(
    split: str, format: str, images: Pictures, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        write_dataset({split: dataset_of(tmp_path, ALL)}, tmp_path / "out", format, images)
    with pytest.raises(UsageError, match="no split to write"):
        write_dataset({}, tmp_path / "out", "coco")
