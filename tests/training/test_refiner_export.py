"""A trained refiner as one file: parity, metadata, and the runtime that refines with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_crops import CENTRES, write_blobs
from test_mtgan_training import tiny

from foveate.data.images import ArraySource
from foveate.errors import FoveateError
from foveate.export.refiner import check_refiner_parity, export_refiner, load_refiner_run
from foveate.inference.onnx_file import read_model_info
from foveate.inference.refine import OnnxRefiner
from foveate.inference.refiner_info import read_refiner_info
from foveate.structures import Detections, UInt8Image
from foveate.tiling.surroundings import cut_out, surroundings
from foveate.training.mtgan import train_refiner

INPUTS = ("generated", "bicubic", "plain")


@pytest.fixture(scope="module")
def exported(
    blob_model: Path,
    paint_blobs: Callable[..., UInt8Image],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[Path, Path]]:
    """Run folder and file of every kind of input; `generated` with spectral normalisation."""
    folder = tmp_path_factory.mktemp("refiners")
    write_blobs(folder / "data", paint_blobs, read_model_info(blob_model).class_names)
    made = {}
    for inputs in INPUTS:
        judge = {"backbone": {"name": "test_resnet", "strides": (4,), "weights": "none"},
                 "spectral_norm": inputs == "generated"}  # fmt: skip
        recipe = tiny(inputs=inputs, discriminator=judge, pretrain=1, iterations=3)
        run = train_refiner(recipe, blob_model, folder / "data", folder / inputs)
        made[inputs] = (run, export_refiner(run, folder / f"{inputs}.onnx"))
    return made


@pytest.mark.parametrize("inputs", INPUTS)
def test_the_file_says_what_it_is(
    exported: dict[str, tuple[Path, Path]], blob_model: Path, inputs: str
) -> None:
    info = read_refiner_info(exported[inputs][1])
    assert info.inputs == inputs
    assert info.class_names == read_model_info(blob_model).class_names
    assert (info.crop_size, info.margin, info.small) == (4, 0.5, 16)


def test_parity_is_really_checked(exported: dict[str, tuple[Path, Path]]) -> None:
    model, info = load_refiner_run(exported["bicubic"][0])
    content = exported["bicubic"][1].read_bytes()
    check_refiner_parity(model, info, content)
    with torch.no_grad():
        model.discriminator.box.bias.add_(0.1)
    with pytest.raises(FoveateError, match="a box differs from torch"):
        check_refiner_parity(model, info, content)


def test_small_boxes_are_refined_as_torch_does(
    exported: dict[str, tuple[Path, Path]], paint_blobs: Callable[..., UInt8Image]
) -> None:
    run, path = exported["generated"]
    model, info = load_refiner_run(run)
    source = ArraySource("p", paint_blobs(96, 64, CENTRES, (1,)))
    boxes = np.array([[0, 0, 8, 8], [36, 16, 45, 25], [10, 10, 60, 60]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    base = Detections(boxes, scores, np.array([0, 1, 0]))
    for threads in (1, 2):
        refined = OnnxRefiner(path, threads)(source, base)
        assert len(refined) == 3
        for i in (0, 1):
            tile = surroundings(boxes[i], info.margin, info.crop_size)
            crop = torch.from_numpy(cut_out(source, tile, 3, info.padding)[None])
            share = torch.from_numpy(tile.to_tile(boxes[i][None]) / info.crop_size)
            with torch.no_grad():
                given, moved = model(crop, share)
            row = refined[refined.labels == base.labels[i]]
            row = row[np.abs(row.boxes - boxes[i]).sum(1).argmin()]
            wanted = (base.scores[i] + given[0, base.labels[i]].item()) / 2
            assert row.scores[0] == pytest.approx(wanted, abs=1e-4)
            in_picture = np.clip(tile.to_image(moved.numpy() * info.crop_size), 0, [96, 64, 96, 64])
            assert row.boxes[0] == pytest.approx(in_picture[0], abs=1e-2)
        large = refined[(refined.boxes == boxes[2]).all(axis=1)]
        assert large.scores.tolist() == pytest.approx([0.7])


def test_refining_does_not_depend_on_company_or_order(
    exported: dict[str, tuple[Path, Path]], paint_blobs: Callable[..., UInt8Image]
) -> None:
    path = exported["generated"][1]
    refiner = OnnxRefiner(path)
    source = ArraySource("p", paint_blobs(96, 64, CENTRES, (1,)))
    low = np.random.default_rng(0).uniform(-3, 60, (7, 2))
    boxes = np.concatenate([low, low + 7], axis=1).astype(np.float32)
    base = Detections(boxes, np.linspace(0.3, 0.9, 7, dtype=np.float32), np.arange(7) % 2)
    together = refiner(source, base)
    alone = Detections.concatenate([refiner(source, base[i]) for i in range(7)]).in_order()
    backwards = refiner(source, base[::-1])
    for other in (alone, backwards):
        assert np.array_equal(together.boxes, other.boxes)
        assert np.array_equal(together.scores, other.scores)
    assert len(refiner(source, Detections.empty())) == 0


def test_what_is_no_refiner_of_this_detector_is_refused(
    exported: dict[str, tuple[Path, Path]], blob_model: Path
) -> None:
    with pytest.raises(FoveateError, match="no refiner"):
        OnnxRefiner(blob_model)
    with pytest.raises(FoveateError, match="the detector finds ball"):
        OnnxRefiner(exported["plain"][1]).require_classes(("ball",))
    with pytest.raises(FoveateError, match="not a run folder"):
        load_refiner_run(blob_model.parent)
