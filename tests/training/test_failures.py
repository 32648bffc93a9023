"""What goes wrong in a run, and the data it must bear."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from squares import tiny, write_squares

from foveate.config import write_atomically
from foveate.errors import FoveateError
from foveate.training.checkpoint import CHECKPOINT, read_checkpoint
from foveate.training.loop import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"))


def relabelled(data: Path, folder: Path, pictures: int, side: float | None) -> Path:
    """The first pictures, with their boxes made `side` pixels wide, or without any."""
    coco = json.loads((data / "train.json").read_text())
    coco["images"] = coco["images"][:pictures]
    kept = {image["id"] for image in coco["images"]}
    boxes = [a for a in coco["annotations"] if a["image_id"] in kept]
    for one in boxes:
        one["bbox"] = [*one["bbox"][:2], side, side]
        one["area"] = (side or 0) ** 2
    coco["annotations"] = [] if side is None else boxes
    (folder / "train.json").write_text(json.dumps(coco))
    (folder / "images").symlink_to(data / "images")
    return folder


@pytest.mark.parametrize(("pictures", "side"), [(1, 9.0), (3, None), (3, 0.4)])
@pytest.mark.parametrize("method", ["center-point", "faster-rcnn", "retinanet"])
def test_one_picture_no_boxes_and_boxes_below_a_pixel(
    data: Path, tmp_path: Path, method: str, pictures: int, side: float | None
) -> None:
    recipe = tiny(iterations=2)
    if method == "retinanet":
        small = {
            "name": "retinanet", "width": 8, "head_convs": 0, "extra_levels": 0,
            "max_detections": 10, "backbone": {"weights": "none", "strides": (8, 16)},
        }  # fmt: skip
        recipe = tiny(iterations=2, method=small)
    if method == "faster-rcnn":
        small = {
            "name": "faster-rcnn", "width": 8, "anchors": "9x9", "max_detections": 10,
            "backbone": {"weights": "none", "strides": (8,)},
        }  # fmt: skip
        recipe = tiny(iterations=2, method=small)
    run = train(recipe, relabelled(data, tmp_path, pictures, side), tmp_path / "run")
    tensors, facts = read_checkpoint(run / CHECKPOINT)
    assert facts["iteration"] == "2"
    assert all(torch.isfinite(value.float()).all() for value in tensors.values())


def test_a_full_disk_leaves_the_last_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foveate: Callable[..., Any]
) -> None:
    from foveate.training import checkpoint

    honest, calls = write_atomically, iter(range(100))

    def full(path: Path, content: bytes) -> None:
        if next(calls):
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    tiny().to_yaml(tmp_path / "mine.yaml")
    done = foveate("train", tmp_path / "mine.yaml", "--data", data, "--out", tmp_path / "run")
    assert done.code == 1
    assert done.line.endswith(
        "cannot save a checkpoint (No space left on device); the last one is intact"
    )
    assert read_checkpoint(tmp_path / "run" / CHECKPOINT)[1]["iteration"] == "2"


def test_a_gradient_that_is_not_finite_stops_before_it_is_taken(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foveate.models import CenterPoint

    honest, calls = CenterPoint.loss, iter(range(100))

    def broken(self, outputs, targets):  # type: ignore[no-untyped-def]
        losses = honest(self, outputs, targets)
        if next(calls) >= 3:
            zero = (losses["heat"] - losses["heat"]).abs()
            losses["heat"] = losses["heat"] + zero.sqrt()  # whose slope at 0 is infinite
        return losses

    monkeypatch.setattr(CenterPoint, "loss", broken)
    with pytest.raises(FoveateError, match="the gradient's norm is nan at iteration 3"):
        train(tiny(), data, tmp_path / "run")
    assert read_checkpoint(tmp_path / "run" / CHECKPOINT)[1]["iteration"] == "2"


def test_a_run_that_is_killed_goes_on_exactly(data: Path, tmp_path: Path) -> None:
    recipe = tiny(iterations=8, save_every=1)
    recipe.to_yaml(tmp_path / "mine.yaml")
    command = [sys.executable, "-m", "foveate", "train", str(tmp_path / "mine.yaml")]
    command += ["--data", str(data)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    killed, straight = tmp_path / "killed", tmp_path / "straight"

    def start(out: Path) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen([*command, "--out", str(out)], env=environment, stdout=quiet)

    assert start(straight).wait(300) == 0
    run = start(killed)
    while not (killed / CHECKPOINT).is_file() and run.poll() is None:
        time.sleep(0.01)
    time.sleep(np.random.default_rng().uniform(0, 0.5))
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert start(killed).wait(300) == 0
    found, wanted = (read_checkpoint(folder / CHECKPOINT)[0] for folder in (killed, straight))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())


def test_a_broken_picture_is_one_line_with_loader_processes_too(data: Path, tmp_path: Path) -> None:
    folder = write_squares(tmp_path / "data")
    (folder / "images" / "train0.png").write_text("not a picture")
    with pytest.raises(FoveateError) as caught:
        train(tiny(iterations=20, workers=1), folder, tmp_path / "run")
    assert "train0.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_compiled_run_has_the_names_and_the_weights_of_a_plain_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    plain = train(tiny(iterations=1), data, tmp_path / "plain")
    compiled = train(tiny(iterations=1, compile=True), data, tmp_path / "compiled")
    found, wanted = (read_checkpoint(folder / CHECKPOINT)[0] for folder in (compiled, plain))
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[k], wanted[k], atol=1e-3) for k in found if k[0] == "m")
