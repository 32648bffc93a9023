"""Crops mined with the blob model: which boxes teach, what is cut out, and what is kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data.formats import load_dataset
from foveate.errors import FoveateError
from foveate.structures import Annotations, Dataset, Detections, UInt8Image
from foveate.training import crops as mining
from foveate.training.crops import (
    BACKGROUND,
    CropConfig,
    Crops,
    choose,
    mine,
    reduced,
    require_lessons,
)

CENTRES = [(3, 3), (40, 20), (60, 50)]
SMALL = CropConfig(size=16, margin=0.5, real_side=1.0, least_score=0.3, hard_score=0.3)


def write_blobs(
    folder: Path,
    paint: Callable[..., UInt8Image],
    names: tuple[str, ...] = ("warm", "cold"),
    labelled: int = 2,
) -> Dataset:
    """Two pictures of three blobs, of which the first ones are labelled."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in (1, 2):
        name = f"p{number}.png"
        picture = paint(96, 64, CENTRES, (1,))
        cv2.imwrite(str(folder / "images" / name), picture[..., ::-1])
        images.append({"id": number, "file_name": name, "width": 96, "height": 64})
        for index, (x, y) in enumerate(CENTRES[:labelled]):
            wanted = "cold" if index == 1 else "warm"
            category = names.index(wanted) + 1 if wanted in names else 1
            annotations.append({"id": len(annotations) + 1, "image_id": number, "iscrowd": 0,
                                "category_id": category, "bbox": [x - 4, y - 4, 9, 9],
                                "area": 81})  # fmt: skip
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(names)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "train.json").write_text(json.dumps(coco))
    return load_dataset(folder / "train.json")


@pytest.fixture
def names(blob_model: Path) -> tuple[str, ...]:
    from foveate.inference.onnx_file import read_model_info

    return read_model_info(blob_model).class_names


def as_arrays(crops: Crops) -> dict[str, np.ndarray]:
    return {f.name: getattr(crops, f.name) for f in fields(crops)}


def test_positives_negatives_and_what_teaches_nothing() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [50, 50, 60, 60], [70, 70, 80, 80],
                      [0, 4, 10, 14]], np.float32)  # fmt: skip
    found = Detections(boxes, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([1, 0, 0, 0, 0]))
    labels = Annotations(
        np.array([[0, 0, 10, 10], [70, 70, 81, 81]], np.float32),
        np.array([0, 0]), np.array([False, True]),
    )  # fmt: skip
    chosen = choose(found, labels, CropConfig(positive=0.5, negative=0.3))
    # Right box of the wrong class, a shorter one, and nothing; IoU .43 and the ignored are out.
    assert chosen.labels.tolist() == [0, 0, BACKGROUND]
    assert chosen.boxes[:2].tolist() == [[0, 0, 10, 10]] * 2
    assert chosen.boxes[2].tolist() == [50, 50, 60, 60]


def test_of_many_negatives_the_surest_are_taken() -> None:
    boxes = np.array([[i * 20, 0, i * 20 + 9, 9] for i in range(5)], np.float32)
    found = Detections(boxes, np.array([0.2, 0.9, 0.5, 0.05, 0.8]), np.zeros(5, np.int64))
    chosen = choose(found, Annotations.empty(), CropConfig(negatives=2, hard_score=0.1))
    assert chosen.detections.scores.tolist() == pytest.approx([0.9, 0.8])


def test_mined_crops(
    blob_model: Path, paint_blobs: Callable[..., UInt8Image], tmp_path: Path, names: tuple[str, ...]
) -> None:
    dataset = write_blobs(tmp_path / "data", paint_blobs, names[::-1])
    mined = mine(blob_model, dataset, SMALL, tmp_path / "cache")
    crops = mined.crops
    assert mined.class_names == names
    assert len(crops) == 6
    assert crops.low.shape == (6, 4, 4, 3)
    assert (crops.labels == BACKGROUND).sum() == 2
    # The data set lists the classes the other way round; labels are in the base's order.
    cold = crops.labels == 1
    blue_over_red = crops.low[..., 2].mean((1, 2)) > crops.low[..., 0].mean((1, 2))
    assert (blue_over_red == cold).all()
    assert cold.sum() == 2
    real = crops.high_row >= 0
    assert real.all()  # 9 px and half of it on every side: 18 px
    assert (reduced(crops.high[crops.high_row]) == crops.low).all()
    assert crops.boxes[crops.labels != BACKGROUND] == pytest.approx(
        crops.found[crops.labels != BACKGROUND], abs=0.1
    )
    assert (crops.sides > 6).all()
    assert (crops.sides < 10).all()


def test_a_small_crop_has_no_high_resolution(
    blob_model: Path, paint_blobs: Callable[..., UInt8Image], tmp_path: Path, names: tuple[str, ...]
) -> None:
    dataset = write_blobs(tmp_path / "data", paint_blobs, names)
    config = SMALL.model_copy(update={"size": 32})
    crops = mine(blob_model, dataset, config, tmp_path / "cache").crops
    assert len(crops)
    assert (crops.high_row == -1).all()
    assert crops.high.shape == (0, 32, 32, 3)
    with pytest.raises(FoveateError, match=r"no object fills a crop of 32 px.*--crops\.size"):
        require_lessons(crops, config, blob_model, dataset)


def test_the_cache_resumes_and_is_renewed(
    blob_model: Path,
    paint_blobs: Callable[..., UInt8Image],
    tmp_path: Path,
    names: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset, cache = write_blobs(tmp_path / "data", paint_blobs, names), tmp_path / "cache"
    first = mine(blob_model, dataset, SMALL, cache)
    cut: list[str] = []
    honest = mining._Cutter.__call__

    def counted(self: mining._Cutter, sample: object) -> Crops:
        cut.append(sample.path.name)  # type: ignore[attr-defined]
        return honest(self, sample)  # type: ignore[arg-type]

    monkeypatch.setattr(mining._Cutter, "__call__", counted)
    again = mine(blob_model, dataset, SMALL, cache)
    assert cut == []
    for name, array in as_arrays(first.crops).items():
        assert np.array_equal(array, as_arrays(again.crops)[name]), name
    (cache / "000001.npz").write_bytes(b"cut short")
    mine(blob_model, dataset, SMALL, cache)
    assert cut == ["p2.png"]
    other = SMALL.model_copy(update={"margin": 0.6})
    assert mine(blob_model, dataset, other, cache).fingerprint != first.fingerprint
    assert cut == ["p2.png", "p1.png", "p2.png"]
    changed = write_blobs(tmp_path / "data", paint_blobs, names, labelled=1)
    assert (mine(blob_model, changed, other, cache).crops.labels == BACKGROUND).sum() == 4


def test_bad_input_is_one_line(
    blob_model: Path, paint_blobs: Callable[..., UInt8Image], tmp_path: Path, names: tuple[str, ...]
) -> None:
    strange = write_blobs(tmp_path / "strange", paint_blobs, ("warm", "tepid"))
    with pytest.raises(FoveateError, match=r"warm, tepid.*finds"):
        mine(blob_model, strange, SMALL, tmp_path / "cache")
    unlabelled = write_blobs(tmp_path / "none", paint_blobs, names, labelled=0)
    dataset = write_blobs(tmp_path / "data", paint_blobs, names)
    for lessons, config, message in (
        (unlabelled, SMALL, "finds none of the objects"),
        (dataset, SMALL.model_copy(update={"small": 5.0}), "nothing to refine"),
    ):
        crops = mine(blob_model, lessons, config, tmp_path / "cache").crops
        with pytest.raises(FoveateError, match=message):
            require_lessons(crops, config, blob_model, lessons)
