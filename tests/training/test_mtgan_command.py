"""``foveate train mtgan`` and ``foveate detect --refine``, from end to end and where they fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from test_crops import write_blobs

from foveate.inference.onnx_file import read_model_info
from foveate.structures import UInt8Image

Call = Callable[..., Any]
TINY = (
    "--crops.size", "16", "--pretrain", "1", "--iterations", "2", "--batch-size", "4",
    "--generator.width", "8", "--generator.blocks", "1", "--discriminator.backbone.name",
    "test_resnet", "--discriminator.backbone.strides", "4", "--discriminator.backbone.weights",
    "none",
)  # fmt: skip


def test_train_then_refine(
    foveate: Call, blob_model: Path, paint_blobs: Callable[..., UInt8Image]
) -> None:
    data = Path("data")
    write_blobs(data, paint_blobs, read_model_info(blob_model).class_names)
    (data / "val.json").write_bytes((data / "train.json").read_bytes())
    done = foveate("train", "mtgan", "--base", blob_model, "--data", data, *TINY)
    assert done.code == 0, done.err
    assert "--refine runs/mtgan/mtgan.onnx" in done.err
    figures = json.loads(Path("runs/mtgan/held-out.json").read_text())
    assert figures["crops"] >= figures["real"] > 0
    assert 0 < figures["ssim_generated"] <= 1
    page = Path("runs/mtgan/index.html").read_text()
    assert page.count("generated</figcaption>") > 2
    assert page.count("real</figcaption>") == min(figures["real"], 12)
    found = {}
    for name, more in (("base", ()), ("refined", ("--refine", "runs/mtgan/mtgan.onnx"))):
        done = foveate("detect", data / "images", "--model", blob_model, "--out", name,
                       "--threshold", "0.1", "--profile", *more)  # fmt: skip
        assert done.code == 0, done.err
        assert ("ms each" in done.err) == (name == "refined")
        found[name] = json.loads((Path(name) / "detections.json").read_text())
    assert len(found["refined"]) == len(found["base"]) > 0
    scores = [sorted(row["score"] for row in found[name]) for name in ("base", "refined")]
    assert scores[0] != scores[1]
    exported = foveate("export", "runs/mtgan", "--out", "again.onnx")
    assert exported.code == 0, exported.err
    assert Path("again.onnx").stat().st_size == Path("runs/mtgan/mtgan.onnx").stat().st_size
    wrong = foveate("detect", data / "images", "--model", "again.onnx")
    assert "a refiner" in wrong.line


def test_bad_input_is_one_line(
    foveate: Call, blob_model: Path, paint_blobs: Callable[..., UInt8Image]
) -> None:
    data = Path("data")
    write_blobs(data, paint_blobs, read_model_info(blob_model).class_names, labelled=0)
    train = ("train", "mtgan", "--base", blob_model, "--data")
    assert "finds none of the objects" in foveate(*train, data, *TINY).line
    assert "no such data set" in foveate(*train, "gone", *TINY).line
    assert "no multiple of the discriminator's stride" in foveate(
        *train, data, *TINY, "--crops.size", "20", "--inputs", "plain"
    ).line  # fmt: skip
    detect = ("detect", data / "images", "--model", blob_model, "--refine")
    assert "no refiner" in foveate(*detect, blob_model).line
    assert "no such model file" in foveate(*detect, "gone.onnx").line
