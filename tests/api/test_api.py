import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

import foveate
from foveate.api import Failure
from foveate.data.images import ArraySource
from foveate.errors import FoveateError, UsageError
from foveate.inference.onnx_detector import OnnxDetector
from foveate.structures import Detections, UInt8Image

Paint = Callable[..., UInt8Image]
CENTRES = [(30, 30), (60, 31), (100, 20), (195, 125), (150, 64)]


@pytest.fixture(scope="module")
def blob(blob_model: Path) -> OnnxDetector:
    detector = foveate.load(blob_model, threads=1)
    assert isinstance(detector, OnnxDetector)
    return detector


@pytest.fixture
def picture(tmp_path: Path, paint_blobs: Paint) -> Path:
    path = tmp_path / "night.png"
    cv2.imwrite(str(path), paint_blobs(220, 140, CENTRES, cold=(0,))[..., ::-1])
    return path


def same(a: Detections, b: Detections) -> bool:
    return np.array_equal(a.boxes, b.boxes) and np.array_equal(a.scores, b.scores)


def test_detect_in_a_file(blob: OnnxDetector, picture: Path) -> None:
    result = foveate.detect(str(picture), blob)
    assert isinstance(result, foveate.Result)
    assert (result.name, result.width, result.height) == ("night.png", 220, 140)
    assert len(result.detections) == len(CENTRES)
    assert [result.class_names[label] for label in sorted(result.detections.labels)] == (
        ["warm"] * 4 + ["cold"]
    )
    assert result.capped_tiles == 0
    assert repr(result).startswith("Result('night.png', 220x140, 5 detections, 15 tiles, ")


def test_all_kinds_of_source_agree(blob: OnnxDetector, picture: Path, paint_blobs: Paint) -> None:
    array = paint_blobs(220, 140, CENTRES, cold=(0,))
    expected = foveate.detect(picture, blob).detections
    for source in (array, ArraySource("mine", array)):
        assert same(foveate.detect(source, blob).detections, expected)
    assert foveate.detect(array, blob).name == "array"
    grey = array.mean(axis=2).astype(np.uint8)
    assert len(foveate.detect(grey, blob).detections) == len(CENTRES)


def test_options_reach_the_run(blob: OnnxDetector, picture: Path) -> None:
    assert len(foveate.detect(picture, blob, tile=256).tiles) == 1
    plain = foveate.detect(picture, blob, plain=True)
    assert plain.tiles[0].out_width == 64
    assert len(plain.detections) < len(CENTRES)
    assert len(foveate.detect(picture, blob, threshold=1).detections) == 0
    with pytest.raises(UsageError, match="got 0"):
        foveate.detect(picture, blob, tile=0)


def test_any_callable_is_a_detector(picture: Path, tmp_path: Path) -> None:
    def detector(images: Sequence[UInt8Image]) -> list[Detections]:
        box = np.array([[2, 2, 9, 9]], np.float32)
        return [Detections(box, np.array([0.9]), np.array([3])) for _ in images]

    result = foveate.detect(picture, detector)
    assert result.class_names == ()
    assert result.detections.labels.tolist() == [3]
    result.save(tmp_path / "out")
    assert (tmp_path / "out" / "annotated" / "night.jpg").exists()


def test_save(blob: OnnxDetector, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    result = foveate.detect(picture, blob)
    result.save(out)
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [
        "night.jpg",
        "night.json",
    ]
    entries = json.loads((out / "night.json").read_text())
    assert len(entries) == len(result.detections)
    assert {entry["file_name"] for entry in entries} == {"night.png"}
    x, y, width, height = entries[0]["bbox"]
    assert result.detections.boxes[0].tolist() == [x, y, x + width, y + height]
    drawn = cv2.imread(str(out / "annotated" / "night.jpg"))
    assert drawn is not None
    assert drawn.shape == (140, 220, 3)


def test_save_where_nothing_can_be_written(
    blob: OnnxDetector, picture: Path, tmp_path: Path
) -> None:
    result = foveate.detect(picture, blob)
    with pytest.raises(FoveateError, match=r"cannot be written to \(not a directory\)"):
        result.save(picture / "out")


def test_detect_all(blob: OnnxDetector, picture: Path) -> None:
    folder = picture.parent
    cv2.imwrite(str(folder / "a10.png"), np.zeros((20, 20, 3), np.uint8))
    cv2.imwrite(str(folder / "a9.png"), np.zeros((20, 20, 3), np.uint8))
    names = ["a9.png", "a10.png", "night.png"]
    assert [result.name for result in foveate.detect_all(folder, blob)] == names
    assert [one.name for one in foveate.detect_all(f"{folder}/a*.png", blob)] == names[:2]
    assert [one.name for one in foveate.detect_all([picture], blob)] == ["night.png"]


def test_detect_all_goes_on_after_a_bad_picture(blob: OnnxDetector, picture: Path) -> None:
    (picture.parent / "bad.png").write_bytes(b"text")
    failures: list[Failure] = []
    results = list(foveate.detect_all(picture.parent, blob, failures.append))
    assert [result.name for result in results] == ["night.png"]
    assert [failure.path.name for failure in failures] == ["bad.png"]
    with pytest.raises(FoveateError, match=r"bad\.png"):
        list(foveate.detect_all(picture.parent, blob))


def test_detect_all_complains_at_once(blob: OnnxDetector, tmp_path: Path) -> None:
    with pytest.raises(FoveateError, match="no pictures"):
        foveate.detect_all(tmp_path, blob)
    with pytest.raises(UsageError, match="threshold"):
        foveate.detect_all([], blob, threshold=7)


def test_missing_picture(blob: OnnxDetector, tmp_path: Path) -> None:
    with pytest.raises(FoveateError, match="does not exist"):
        foveate.detect(tmp_path / "absent.png", blob)


def test_load_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model is named 'nothing-like-it'"):
        foveate.load("nothing-like-it")
    with pytest.raises(FoveateError, match="no such model file"):
        foveate.load(tmp_path / "model.onnx")


def test_all_that_is_exported_exists() -> None:
    assert set(foveate.__all__) <= set(dir(foveate))
    for name in foveate.__all__:
        assert getattr(foveate, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'detekt'"):
        foveate.detekt  # type: ignore[attr-defined]  # noqa: B018


def test_import_is_light() -> None:
    code = "import sys, foveate; print(sorted({'numpy', 'cv2', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
