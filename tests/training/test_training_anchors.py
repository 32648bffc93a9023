"""Anchors fitted before a run: what is fitted, what is stored, and that the run can be resumed."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset
from foveate.errors import UsageError
from foveate.export.onnx import load_run
from foveate.models.anchors import parse_anchors
from foveate.structures import Annotations, Dataset, Sample
from foveate.training.anchors import fit_levels, network_sizes, resolve_anchors
from foveate.training.checkpoint import CHECKPOINT, read_checkpoint
from foveate.training.loop import train
from foveate.training.recipe import Recipe
from foveate.training.timing import step_seconds


def recipe(anchors: str = "auto", **changes: object) -> Recipe:
    values = {
        "name": "tiny",
        "tile_plan": {"size": 64, "scale": 2.0},
        "method": {
            "name": "retinanet", "anchors": anchors, "anchors_per_level": 2, "width": 8,
            "head_convs": 0, "extra_levels": 0, "candidates": 50, "max_detections": 10,
            "backbone": {"weights": "none", "strides": (8, 16)},
        },
        "iterations": 2,
        "batch_size": 2,
        "save_every": 1,
    }  # fmt: skip
    return Recipe.from_dict(values | changes)


def dataset(sizes: list[tuple[float, float]]) -> Dataset:
    boxes = np.array([(5, 5, 5 + w, 5 + h) for w, h in sizes], np.float32).reshape(-1, 4)
    labels, ignore = np.zeros(len(sizes), np.int64), np.zeros(len(sizes), bool)
    ignore[3:4] = True
    sample = Sample(Path("a.png"), 1, 200, 200, Annotations(boxes, labels, ignore))
    return Dataset("squares", ("square",), (1,), (sample,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("oblongs")
    (folder / "images").mkdir()
    picture = np.full((60, 60, 3), 40, np.uint8)
    boxes = [[10, 10, 6, 4], [30, 12, 7, 5], [12, 34, 28, 24]]
    for x, y, w, h in boxes:
        picture[y : y + h, x : x + w] = 230
    cv2.imwrite(str(folder / "images" / "one.png"), picture)
    rows = [{"id": i, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3],
             "iscrowd": 0} for i, box in enumerate(boxes, start=1)]  # fmt: skip
    coco = {"images": [{"id": 1, "file_name": "one.png", "width": 60, "height": 60}],
            "annotations": rows, "categories": [{"id": 1, "name": "oblong"}]}  # fmt: skip
    (folder / "train.json").write_text(json.dumps(coco))
    return folder


def test_sizes_are_those_that_the_network_sees() -> None:
    sizes = network_sizes(recipe(), dataset([(4, 3), (0, 9), (50, 10), (7, 7)]))
    # Twice enlarged; without the one that has no area, and the ignored; cut to the tile.
    assert sizes.tolist() == [[8, 6], [64, 20]]


def test_sizes_are_those_at_the_scale_that_an_object_is_taken_from() -> None:
    asked = recipe(tile_plan={"size": 512}, pyramid={"scales": (0.5, 1, 2), "sides": (40, 140)})
    data = dataset([(10, 8), (30, 9), (60, 50), (7, 7), (190, 100), (400, 90)])
    assert network_sizes(asked, data).tolist() == [
        [20, 16], [60, 18], [60, 50], [95, 50], [200, 45]
    ]  # fmt: skip
    # Without sides every scale is trusted with all, and the plan's own counts.
    asked = recipe(pyramid={"scales": (0.5, 1)})
    assert network_sizes(asked, dataset([(4, 3)])).tolist() == [[8, 6]]


def test_each_level_is_fitted_to_the_objects_that_suit_it() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[8, 8], [20, 12], [60, 60], [90, 50]])
    sizes = np.concatenate([m * np.exp(rng.normal(0, 0.02, (50, 2))) for m in middles])
    fine, coarse, none = fit_levels(sizes, (8, 16, 64), 2, "kmeans", 0)
    np.testing.assert_allclose(fine, middles[:2], rtol=0.05)
    np.testing.assert_allclose(coarse, [(60, 60), (90, 50)], rtol=0.05)
    np.testing.assert_allclose(none, [(256, 256), (362, 362)], rtol=0.01)


def test_fewer_different_boxes_than_anchors() -> None:
    sizes = np.array([[6.0, 6], [6, 6], [0.2, 0.4]])
    assert fit_levels(sizes, (8,), 4, "kmedoids", 0) == (((1, 1), (1, 1), (6, 6), (6, 6)),)
    assert fit_levels(sizes, (8,), 2, "kmedoids", 0, least=5) == (((5, 5), (6, 6)),)


def test_auto_becomes_numbers_and_is_judged() -> None:
    data = dataset([(4, 3), (5, 4), (4.5, 3), (9, 9), (12, 8)])
    resolved, fits = resolve_anchors(recipe(), data)
    levels = parse_anchors(resolved.method.anchors)  # type: ignore[union-attr]
    assert [len(level) for level in levels] == [2, 2]
    assert fits["used"].mean_iou > fits["default"].mean_iou
    assert Recipe.from_dict(resolved.model_dump(mode="json")) == resolved
    again, same = resolve_anchors(resolved, data)
    assert again == resolved
    assert same["used"].mean_iou == fits["used"].mean_iou


def test_methods_without_anchors_are_left_alone() -> None:
    plain = Recipe(name="plain")
    assert resolve_anchors(plain, dataset([(4, 3)])) == (plain, {})


def test_without_objects() -> None:
    assert resolve_anchors(recipe("default"), dataset([])) == (recipe("default"), {})
    with pytest.raises(UsageError, match="anchors: expected at least one box"):
        resolve_anchors(recipe(), dataset([]))


def test_a_run_stores_the_numbers_and_is_resumed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(recipe(iterations=1), folder, tmp_path / "run")
    assert "anchors' mean IoU and best possible recall: default " in capsys.readouterr().out
    stored = Recipe.from_yaml(run / "recipe.yaml")
    assert parse_anchors(stored.method.anchors)[0] == ((12, 8), (14, 10))  # type: ignore[union-attr]
    facts = json.loads((run / "facts.json").read_text())["anchors"]
    assert facts["used"] == {"mean_iou": 1.0, "best_possible_recall": 1.0}
    assert facts["default"]["mean_iou"] < 0.6
    assert read_checkpoint(run / CHECKPOINT)[1]["recipe"] == stored.fingerprint()
    # Both the recipe that was asked for and the one that was stored go on with the run.
    for asked in (recipe(iterations=1), stored):
        assert train(asked, folder, run) == run
    with pytest.raises(UsageError, match="another recipe"):
        train(recipe("default", iterations=1), folder, run)
    method, loaded, names = load_run(run)
    assert (loaded, names, method.suppression) == (stored, ["oblong"], 0.5)


def test_a_run_from_before_a_setting_existed_is_resumed(folder: Path, tmp_path: Path) -> None:
    run = train(recipe("default", iterations=1), folder, tmp_path / "run")
    path = run / "recipe.yaml"
    path.write_text(path.read_text().replace("  coarse_weight: 1.0\n", ""))
    checkpoint = run / CHECKPOINT
    stored = recipe("default", iterations=1).fingerprint().encode()
    checkpoint.write_bytes(checkpoint.read_bytes().replace(stored, b"0" * len(stored)))
    assert train(recipe("default", iterations=1), folder, run) == run


def test_a_step_is_timed_with_anchors_still_to_be_fitted(folder: Path) -> None:
    assert step_seconds(recipe(), load_dataset(folder, split="train"), steps=1) > 0
