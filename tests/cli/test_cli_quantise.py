"""``foveate quantise``, from pictures to a file that detects."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

import foveate as library
from foveate.inference.onnx_detector import OnnxDetector
from foveate.structures import UInt8Image

onnx = pytest.importorskip("onnx", reason="quantising needs it", exc_type=ImportError)

Call = Callable[..., Any]


@pytest.fixture
def pictures(tmp_path: Path, paint_blobs: Callable[..., UInt8Image]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for shift in range(3):
        image = paint_blobs(160, 96, [(20 + shift, 20), (120, 60)], cold=(1,))
        cv2.imwrite(str(folder / f"{shift}.png"), image[..., ::-1])
    return folder


def test_makes_a_file_that_detects(foveate: Call, pictures: Path, blob_model: Path) -> None:
    done = foveate("quantise", blob_model, "--calibrate", pictures, "--tiles", "99")
    assert (done.code, done.out) == (0, "")
    assert " tiles of pictures" in done.err
    assert "of those tiles it finds" in done.err
    detector = library.load("blob-int8.onnx")
    assert isinstance(detector, OnnxDetector)
    assert detector.info.quantisation is not None
    assert detector.info.quantisation.pictures == 3
    assert 12 <= detector.info.quantisation.tiles <= 99
    found = library.detect(pictures / "0.png", detector).detections
    assert len(found) == 2
    twice = foveate("quantise", "blob-int8.onnx", "--calibrate", pictures)
    assert (twice.code, "is quantised already" in twice.line) == (1, True)


def test_the_same_bytes_again(foveate: Call, pictures: Path, blob_model: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        assert foveate(
            "quantise", blob_model, "--calibrate", pictures, "--tiles", "4", "--out", name
        ).code == 0  # fmt: skip
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()


def test_bad_input_is_one_line(foveate: Call, pictures: Path, blob_model: Path) -> None:
    def failed(*arguments: object) -> tuple[int, str]:
        done = foveate("quantise", *arguments)
        return done.code, done.line

    assert failed(blob_model) == (
        2, "say which pictures to calibrate on: --calibrate IMAGES|DATASET"
    )  # fmt: skip
    assert failed(blob_model, "--calibrate", pictures, "--tiles", "0")[0] == 2
    code, line = failed(blob_model, "--calibrate", "nowhere.png")
    assert (code, "nowhere.png" in line) == (1, True)
    code, line = failed("absent.onnx", "--calibrate", pictures)
    assert (code, "no such model file" in line) == (1, True)
    code, line = failed(blob_model, "--calibrate", pictures, "--out", blob_model)
    assert (code, "is the model itself" in line) == (2, True)


def test_without_onnx_it_says_what_to_install(
    foveate: Call, pictures: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = foveate("quantise", blob_model, "--calibrate", pictures)
    assert done.code == 1
    assert done.line == ('foveate quantise needs the library onnx: pip install "foveate[quantise]"')
