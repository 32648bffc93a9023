"""Every layout: recognised by its file, read to the pixel, and what cannot be is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_data import (
    BOXES,
    LABELS,
    NAMES,
    SCORES,
    SIDE,
    ULTRALYTICS,
    centred,
    logit,
    one_hot,
    rows_on_grid,
    write_model,
)
from numpy.typing import NDArray

from foveate.errors import FoveateError, UsageError
from foveate.inference.foreign import LAYOUTS
from foveate.inference.foreign.classes import PRESETS, parse_class_names
from foveate.inference.foreign.detector import ForeignDetector

BLANK = np.full((SIDE, SIDE, 3), 90, np.uint8)
Model = tuple[dict[str, NDArray[Any]], dict[str, Any]]


def columns() -> Model:
    raw = np.zeros((1, 7, 84), np.float32)
    raw[0, :4, :4], raw[0, 4:, :4] = centred(BOXES).T, one_hot().T
    return {"output0": raw}, {"metadata": ULTRALYTICS}


def finished() -> Model:
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, :4] = np.concatenate([BOXES, SCORES[:, None], LABELS[:, None]], axis=1)
    return {"output0": rows}, {"metadata": ULTRALYTICS}


def rtdetr(scores: NDArray[Any]) -> Model:
    rows = np.concatenate([centred(BOXES) / SIDE, scores], axis=1)[None].astype(np.float32)
    said = ULTRALYTICS | {"description": "Ultralytics rtdetr-l model "}
    return {"output0": rows}, {"metadata": said}


def torchvision(batch: bool) -> Model:
    outputs: dict[str, NDArray[Any]] = {"2627": BOXES, "2596": LABELS, "2597": SCORES}
    open_axes = {"2627": ("N", 4), "2596": ("N",), "2597": ("N",)}
    image = (1, 3, SIDE, SIDE) if batch else (3, SIDE, SIDE)
    return outputs, {"axes": open_axes, "image": image, "name": "image.1"}


def deployed() -> Model:
    outputs = {"labels": LABELS[None], "boxes": BOXES[None], "scores": SCORES[None]}
    return outputs, {"others": {"orig_target_sizes": (1, 2)}}


def rf_detr() -> Model:
    labels = np.concatenate([logit(one_hot()), np.full((4, 1), 5, np.float32)], axis=1)
    dets = centred(BOXES)[None] / SIDE
    return {"dets": dets, "labels": labels[None].astype(np.float32)}, {"name": "input"}


def sigmoid() -> Model:
    outputs: dict[str, NDArray[Any]] = {
        "logits": logit(one_hot())[None],
        "pred_boxes": centred(BOXES)[None] / SIDE,
    }
    return outputs, {"name": "pixel_values"}


def softmax() -> Model:
    rest = (1 - SCORES[:, None]).astype(np.float32)
    odds = np.concatenate([one_hot(1e-9), rest], axis=1)
    outputs = {"logits": np.log(odds)[None], "pred_boxes": centred(BOXES)[None] / SIDE}
    mask = {"pixel_mask": (1, SIDE, SIDE)}
    return outputs, {"name": "pixel_values", "others": mask}


MODELS: dict[str, tuple[str, Callable[[], Model]]] = {
    "YOLO11": ("ultralytics", columns),
    "YOLO26": ("ultralytics-end2end", finished),
    "RT-DETR of Ultralytics": (
        "ultralytics-rtdetr",
        lambda: rtdetr(np.stack([SCORES, LABELS], axis=1)),
    ),
    "an older RT-DETR": ("ultralytics-rtdetr", lambda: rtdetr(one_hot())),
    "YOLOv5": ("yolov5", lambda: ({"output0": rows_on_grid(3, decoded=True)}, {})),
    "YOLOX": ("yolox", lambda: ({"output": rows_on_grid(1, decoded=False)}, {})),
    "torchvision": ("torchvision", lambda: torchvision(batch=False)),
    "torchvision, a batch of one": ("torchvision", lambda: torchvision(batch=True)),
    "D-FINE": ("rt-detr", deployed),
    "RF-DETR": ("rf-detr", rf_detr),
    "RT-DETR of transformers": ("rt-detr-transformers", sigmoid),
    "DETR of transformers": ("detr", softmax),
}


def made(path: Path, name: str) -> Path:
    outputs, how = MODELS[name][1]()
    return write_model(path / "model.onnx", outputs, **how)


@pytest.mark.parametrize("name", MODELS)
def test_recognised_and_read(tmp_path: Path, name: str) -> None:
    detector = ForeignDetector(made(tmp_path, name), threads=1)
    assert detector.info.method == MODELS[name][0]
    (found,) = detector([BLANK])
    assert np.abs(found.boxes - BOXES).max() < 0.01
    assert np.abs(found.scores - SCORES).max() < 1e-4
    assert found.labels.tolist() == LABELS.tolist()


def test_every_layout_is_tested() -> None:
    by_name_only = {"yolox-decoded", "deformable-detr"}
    assert {layout for layout, _ in MODELS.values()} | by_name_only == set(LAYOUTS)


@pytest.mark.parametrize(
    ("asked", "model"),
    [
        ("yolox-decoded", ({"output": rows_on_grid(1, decoded=True)}, {})),
        ("deformable-detr", sigmoid()),
    ],
)
def test_asked_for_by_name(tmp_path: Path, asked: str, model: Model) -> None:
    path = write_model(tmp_path / "model.onnx", model[0], **model[1])
    (found,) = ForeignDetector(path, layout=asked)([BLANK])
    assert np.abs(found.boxes - BOXES).max() < 0.01


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    info = ForeignDetector(made(tmp_path, "YOLO11")).info
    assert info.class_names == NAMES
    assert info.licence == "AGPL-3.0 License"
    assert info.tile_plan.size == info.size_multiple == SIDE
    assert info.padding == 114


def test_an_open_size(tmp_path: Path) -> None:
    outputs, how = columns()
    axes = {"output0": ("N", 7, "A")}
    path = write_model(tmp_path / "m.onnx", outputs, image=("N", 3, "H", "W"), axes=axes, **how)
    detector = ForeignDetector(path)
    assert (detector.info.tile_plan.size, detector.info.size_multiple) == (640, 32)
    assert len(detector([np.zeros((96, 160, 3), np.uint8)])[0]) == 4


def test_doubles_of_one_class_are_suppressed(tmp_path: Path) -> None:
    outputs, how = columns()
    raw = outputs["output0"]
    raw[0, 4:, 1:3] = np.array([[0, 0.8, 0], [0, 0.6, 0]]).T  # two labels become one
    path = write_model(tmp_path / "m.onnx", outputs, **how)
    assert len(ForeignDetector(path)([BLANK])[0]) == 3


def test_boxes_are_cut_to_the_picture(tmp_path: Path) -> None:
    detector = ForeignDetector(made(tmp_path, "YOLO26"))
    (found,) = detector([BLANK[:40, :40]])
    assert found.boxes.max() <= 40
    assert len(found) == 3  # the one below the edge is gone


def test_a_larger_picture_than_the_input(tmp_path: Path) -> None:
    detector = ForeignDetector(made(tmp_path, "YOLO11"))
    with pytest.raises(FoveateError, match="takes 64x64 pixels, got 96x64; choose --tile 64"):
        detector([np.zeros((64, 96, 3), np.uint8)])


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("ultralytics", (200 / 255, 100 / 255, 50 / 255)),
        ("yolox", (50, 100, 200)),
        ("rf-detr", ((200 - 123.675) / 58.395, (100 - 116.28) / 57.12, (50 - 103.53) / 57.375)),
    ],
)
def test_pixels_as_the_family_takes_them(layout: str, expected: tuple[float, ...]) -> None:
    image = np.full((4, 5, 3), (200, 100, 50), np.uint8)
    planes = np.zeros((3, 4, 5), np.float32)
    LAYOUTS[layout].pixels.write(image, planes, [np.empty((4, 5), np.uint8) for _ in range(3)])
    assert (planes == planes[:, :1, :1]).all()
    assert planes[:, 0, 0] == pytest.approx(expected, abs=1e-4)


def test_half_precision_input(tmp_path: Path) -> None:
    from onnx import TensorProto

    outputs, how = columns()
    half = {"output0": outputs["output0"].astype(np.float16)}
    path = write_model(tmp_path / "m.onnx", half, image_type=TensorProto.FLOAT16, **how)
    (found,) = ForeignDetector(path)([BLANK])
    assert np.abs(found.boxes - BOXES).max() < 0.1


def refused(path: Path, **arguments: Any) -> str:
    with pytest.raises(FoveateError) as caught:
        ForeignDetector(path, **arguments)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_no_known_layout(tmp_path: Path) -> None:
    text = refused(write_model(tmp_path / "m.onnx", {"logits": np.zeros((1, 1000), np.float32)}))
    assert "images float (1, 3, 64, 64)" in text
    assert "logits float (1, 1000)" in text
    assert all(name in text for name in LAYOUTS)


def test_not_of_the_layout_asked_for(tmp_path: Path) -> None:
    assert "not of layout detr" in refused(made(tmp_path, "YOLO11"), layout="detr")
    with pytest.raises(UsageError, match="no layout 'yolo99'; known are ultralytics"):
        ForeignDetector(made(tmp_path, "YOLO11"), layout="yolo99")


def test_absurd_sizes(tmp_path: Path) -> None:
    outputs, how = finished()
    for side, said in ((1_000_000, "1000000 pixels a side"), (4, "4 pixels a side")):
        path = write_model(tmp_path / "m.onnx", outputs, image=(1, 3, side, side), **how)
        assert said in refused(path)


def test_an_input_that_is_not_known(tmp_path: Path) -> None:
    outputs, how = finished()
    path = write_model(tmp_path / "m.onnx", outputs, others={"prompt": (1, 77)}, **how)
    assert "needs the input prompt int64 (1, 77)" in refused(path)


def test_another_task_than_detection(tmp_path: Path) -> None:
    outputs, how = columns()
    how["metadata"] = ULTRALYTICS | {"task": "pose"}
    path = write_model(tmp_path / "m.onnx", outputs, **how)
    assert "its task is pose; only boxes (detect) are read" in refused(path)


def test_names_that_do_not_match(tmp_path: Path) -> None:
    outputs, how = columns()
    path = write_model(tmp_path / "m.onnx", outputs, **how)
    assert "--classes names 2 classes and its output has 3" in refused(path, class_names=("a", "b"))
    how["metadata"] = ULTRALYTICS | {"names": "{0: 'ball'}"}
    path = write_model(tmp_path / "m.onnx", outputs, **how)
    assert "its metadata names 1 classes and its output has 3" in refused(path)
    assert ForeignDetector(path, class_names=NAMES).info.class_names == NAMES


def test_a_label_beyond_the_names(tmp_path: Path) -> None:
    detector = ForeignDetector(made(tmp_path, "torchvision"), class_names=("a", "b"))
    with pytest.raises(FoveateError, match="gave label 2, and 2 classes are named"):
        detector([BLANK])


def test_names_that_are_no_names(tmp_path: Path) -> None:
    outputs, how = columns()
    for said in ("__import__('os')", "{1: 'a'}", "[", "7"):
        how["metadata"] = ULTRALYTICS | {"names": said}
        path = write_model(tmp_path / "m.onnx", outputs, **how)
        assert ForeignDetector(path).info.class_names == ()


def test_outputs_of_another_shape_than_expected(tmp_path: Path) -> None:
    outputs, how = rf_detr()
    outputs["dets"] = outputs["dets"][..., :3]
    path = write_model(tmp_path / "m.onnx", outputs, **how)
    with pytest.raises(FoveateError, match="are not as rf-detr lays them out"):
        ForeignDetector(path)([BLANK])


def test_class_names_from_text(tmp_path: Path) -> None:
    assert parse_class_names("a, b ,c") == ("a", "b", "c")
    file = tmp_path / "names.txt"
    file.write_text("ball\nplayer\n\n")
    assert parse_class_names(str(file)) == ("ball", "player")
    with pytest.raises(UsageError, match="no class names"):
        parse_class_names(" , ")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FoveateError, match="expected a text file"):
        parse_class_names(str(file))


def test_presets() -> None:
    assert len(PRESETS["coco"]) == 80
    assert PRESETS["coco"][32] == "sports ball"
    assert len(PRESETS["coco-91"]) == 91
    assert PRESETS["coco-91"][37] == "sports ball"
    assert PRESETS["coco-91"][90] == PRESETS["coco"][79] == "toothbrush"
