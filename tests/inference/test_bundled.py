import shutil
from pathlib import Path

import numpy as np
import pytest

from foveate.errors import FoveateError, UsageError
from foveate.inference import bundled
from foveate.inference.layers import LayeredSource
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import detect_image
from foveate.inference.settings import Options, run_settings


@pytest.fixture
def shelf(tmp_path: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled folder of two models, and an empty working folder."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    for name in ("nuclei", "aerial"):
        shutil.copy(blob_model, folder / f"{name}.onnx")
    monkeypatch.setattr(bundled, "BUNDLED_FOLDER", folder)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder


def test_lists_what_is_there(shelf: Path) -> None:
    assert bundled.bundled_names() == ["aerial", "nuclei"]
    assert [model.name for model in bundled.bundled_models()] == ["blob", "blob"]
    assert "bundled: aerial, nuclei" in bundled.choices()


def test_nothing_bundled(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "BUNDLED_FOLDER", shelf / "absent")
    assert bundled.bundled_models() == []
    assert "none is bundled" in bundled.choices()


def test_a_name(shelf: Path) -> None:
    assert bundled.resolve_model("nuclei") == shelf / "nuclei.onnx"


def test_a_path(shelf: Path, blob_model: Path) -> None:
    assert bundled.resolve_model(blob_model) == blob_model
    assert bundled.resolve_model(str(blob_model)) == blob_model


def test_a_bundled_name_wins_over_a_file(shelf: Path) -> None:
    Path("nuclei").write_bytes(b"")
    assert bundled.resolve_model("nuclei") == shelf / "nuclei.onnx"
    assert bundled.resolve_model("./nuclei") == Path("nuclei")


def test_a_run_folder(shelf: Path, blob_model: Path) -> None:
    run = Path("runs/first")
    run.mkdir(parents=True)
    with pytest.raises(FoveateError, match=r"no model\.onnx in this folder; .*foveate export"):
        bundled.resolve_model(run)
    shutil.copy(blob_model, run / "model.onnx")
    assert bundled.resolve_model("runs/first") == run / "model.onnx"


def test_a_path_without_a_file(shelf: Path) -> None:
    for text in ("model.onnx", "somewhere/model"):
        with pytest.raises(FoveateError, match="no such model file"):
            bundled.resolve_model(text)


def test_an_unknown_name(shelf: Path) -> None:
    with pytest.raises(UsageError) as caught:
        bundled.resolve_model("nucleus")
    assert str(caught.value) == (
        "no model is named 'nucleus'; did you mean 'nuclei'? (bundled: aerial, nuclei; your own: "
        "the path of a model.onnx, made by 'foveate export' or another tool)"
    )


@pytest.mark.parametrize("name", bundled.bundled_names())
def test_a_bundled_model_gives_the_same_whatever_batch_and_threads(name: str) -> None:
    path = bundled.bundled_path(name)
    info = OnnxDetector(path).info
    assert info.name == name
    shape = (250, 300, info.channels)
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    found = []
    for threads, batch_size in ((1, 1), (2, 1), (2, 3)):
        detector = OnnxDetector(path, threads)
        settings = run_settings(detector, Options(tile=128, scale=1.0))
        result = detect_image(
            LayeredSource("noise", image),
            detector,
            settings.plan,
            settings.merge,
            score_threshold=0.0,
            batch_size=batch_size,
        )
        found.append(result.detections)
    assert len(found[0]) > 0
    for other in found[1:]:
        assert np.array_equal(other.boxes, found[0].boxes)
        assert np.array_equal(other.scores, found[0].scores)
        assert np.array_equal(other.labels, found[0].labels)
