import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.api import Result
from foveate.api.output import OutputFolder, encode_jpeg
from foveate.data.images import ArraySource
from foveate.errors import FoveateError
from foveate.structures import Detections, UInt8Image


def result_of(name: str, width: int = 40, height: int = 30) -> Result:
    image: UInt8Image = np.full((height, width, 3), 90, np.uint8)
    box = np.array([[1, 2, 9, 8]], np.float32)
    found = Detections(box, np.array([0.5]), np.array([0]))
    source = ArraySource(name, image)
    return Result(name, width, height, found, ("thing",), [], 0.0, 0, 0, None, source)


def test_names_never_meet(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    names = ["a.png", "a.jpg", "A.png", "a.jpg", "b.tar.png"]
    written = [folder.write_picture(result_of(name)).name for name in names]
    assert written == ["a.jpg", "a.jpg.jpg", "A.png.jpg", "a.jpg-2.jpg", "b.tar.jpg"]
    assert len(list((tmp_path / "annotated").iterdir())) == len(names)


def test_json_tells_the_pictures_apart(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    for name in ("a.png", "b.png"):
        folder.write_picture(result_of(name))
    folder.write_json("detections.json")
    entries = json.loads((tmp_path / "detections.json").read_text())
    assert [(one["image_id"], one["file_name"]) for one in entries] == [(1, "a.png"), (2, "b.png")]
    assert entries[0]["bbox"] == [1, 2, 8, 6]


def test_pictures_too_long_for_jpeg_are_shrunk(tmp_path: Path) -> None:
    OutputFolder(tmp_path).write_picture(result_of("long.png", width=70_000, height=3))
    drawn = cv2.imread(str(tmp_path / "annotated" / "long.jpg"))
    assert drawn is not None
    assert drawn.shape[1] == 16_384


def test_crops_and_enlarged_pictures(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path, crops=True, scale=2)
    folder.write_picture(replace(result_of("a.png"), class_names=("../thing one",)))
    drawn = cv2.imread(str(tmp_path / "annotated" / "a.jpg"))
    assert drawn is not None
    assert drawn.shape == (60, 80, 3)
    (crop,) = (tmp_path / "crops").rglob("*.jpg")
    assert crop.relative_to(tmp_path).as_posix() == "crops/_thing_one/a-0001.jpg"
    pixels = cv2.imread(str(crop))
    assert pixels is not None
    assert pixels.shape == (12, 13, 3)  # the box 1, 2, 9, 8 with four pixels around, cut


def test_nothing_is_left_behind_by_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = OutputFolder(tmp_path)
    (tmp_path / "page.html").mkdir()
    with pytest.raises(FoveateError, match=r"page\.html: cannot be written"):
        folder.write("page.html", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"")
    with pytest.raises(FoveateError, match="cannot be written to"):
        OutputFolder(place / "out")
    with pytest.raises(FoveateError, match="cannot be written to"):
        OutputFolder(place)


def test_jpeg_keeps_colours() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 250
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(image), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded[8, 8, 2] > 240
    assert decoded[8, 8, 0] < 10


def test_results_without_boxes(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    folder.write_picture(replace(result_of("empty.png"), detections=Detections.empty()))
    folder.write_json("detections.json")
    assert json.loads((tmp_path / "detections.json").read_text()) == []
