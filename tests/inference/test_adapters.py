"""Adapters, without the libraries: stand-ins that have what of the real ones is used.

The real libraries are compared in ``benchmarks/adapters.py``; torchvision also in
``tests/models/test_adapters_torchvision.py``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import foveate
from foveate import libraries
from foveate.errors import FoveateError, UsageError
from foveate.inference.adapters import (
    ADAPTERS,
    LibraryDetector,
    TransformersDetector,
    UltralyticsDetector,
    load_adapter,
    split_adapter,
)
from foveate.structures import UInt8Image

RED, BLUE = (250, 0, 0), (0, 0, 250)


def module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(is_available=lambda: False)
    stand_in = module("torch", cuda=cuda, inference_mode=nullcontext)
    monkeypatch.setitem(sys.modules, "torch", stand_in)


def spots(image: UInt8Image, red: int, blue: int) -> tuple[Any, Any, Any]:
    """A 9 x 9 box around each pixel of 250: label 0 in channel `red`, 1 in `blue`; 1st is best."""
    rows, columns = np.nonzero((image[..., red] == 250) | (image[..., blue] == 250))
    boxes = np.stack([columns - 4, rows - 4, columns + 5, rows + 5], axis=1).astype(np.float32)
    scores = (0.9 - 0.3 * np.arange(len(rows))).astype(np.float32)
    return boxes, scores, (image[rows, columns, blue] == 250).astype(np.int64)


def picture(width: int, height: int, *points: tuple[int, int, tuple[int, int, int]]) -> UInt8Image:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, colour in points:
        image[y, x] = colour
    return image


class Yolo:
    """Of Ultralytics' YOLO what is used; it sees BGR, and refuses what it would rescale."""

    task = "detect"

    def __init__(self, path: str = "somewhere/best.pt") -> None:
        self.ckpt_path = path
        self.ckpt = {"license": "AGPL-3.0"}
        self.names = {0: "warm", 1: "cold"}
        self.overrides: dict[str, Any] = {"imgsz": 96}
        self.model = SimpleNamespace(stride=np.array([8.0, 16.0, 32.0]))
        self.predictor: Any = threading.Lock()
        self.reverse = False

    def predict(
        self, images: list[UInt8Image], imgsz: tuple[int, int], conf: float, max_det: int,
        verbose: bool,
    ) -> list[Any]:  # fmt: skip
        assert self.predictor is None
        assert not verbose
        results = []
        for image in images:
            assert image.shape[:2] == imgsz
            assert image.flags.c_contiguous
            assert imgsz[0] % 32 == imgsz[1] % 32 == 0
            boxes, scores, labels = (array[:max_det] for array in spots(image, red=2, blue=0))
            kept = np.flatnonzero(scores >= conf)
            kept = kept[::-1] if self.reverse else kept
            found = SimpleNamespace(
                xyxy=boxes[kept], conf=scores[kept], cls=labels[kept].astype(np.float32)
            )
            results.append(SimpleNamespace(boxes=found))
        return results


def test_ultralytics() -> None:
    image = picture(100, 60, (50, 30, RED), (80, 40, BLUE))
    (found,) = UltralyticsDetector(Yolo())([image])
    assert found.boxes.tolist() == [[46, 26, 55, 35], [76, 36, 85, 45]]
    assert found.scores == pytest.approx([0.9, 0.6])
    assert found.labels.tolist() == [0, 1]


def test_boxes_are_cut_and_in_order() -> None:
    model = Yolo()
    model.reverse = True
    image = picture(100, 60, (1, 1, RED), (98, 58, RED), (50, 59, BLUE))
    (found,) = UltralyticsDetector(model)([image])
    assert found.scores == pytest.approx([0.9, 0.6, 0.3])
    assert found.boxes[0].tolist() == [0, 0, 6, 6]
    assert found.boxes[1].tolist() == [94, 54, 100, 60]


def test_what_ultralytics_says_of_a_model() -> None:
    info = UltralyticsDetector(Yolo()).info
    assert (info.name, info.method, info.licence) == ("best", "ultralytics", "AGPL-3.0")
    assert info.class_names == ("warm", "cold")
    assert (info.tile_plan.size, info.size_multiple, info.padding) == (96, 32, 114)
    assert (info.score_threshold, info.max_detections) == (0.25, 1000)


@pytest.mark.parametrize(("trained", "size"), [(None, 640), ([480, 640], 480)])
def test_size_that_ultralytics_trained_with(trained: Any, size: int) -> None:
    model = Yolo()
    model.overrides = {} if trained is None else {"imgsz": trained}
    assert UltralyticsDetector(model).info.tile_plan.size == size


def test_padding_is_grey() -> None:
    model = Yolo()
    shown: list[UInt8Image] = []
    model.predict = lambda images, **_: shown.extend(images) or []  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(ValueError, match="argument"):
        UltralyticsDetector(model)([picture(40, 32)])
    assert shown[0].shape == (32, 64, 3)
    assert (shown[0][:, 40:] == 114).all()
    assert not shown[0][:, :40].any()


def test_the_model_given_stays_as_it_is() -> None:
    model = Yolo()
    lock = model.predictor
    UltralyticsDetector(model)([picture(32, 32)])
    assert model.predictor is lock
    assert not hasattr(model, "trainer") or model.trainer is None


def test_tiles_of_a_large_picture() -> None:
    points = [(20, 30, RED), (91, 35, BLUE), (250, 130, RED)]
    result = foveate.detect(picture(300, 140, *points), UltralyticsDetector(Yolo()))
    assert len(result.tiles) == 3  # the others are uniform
    assert result.skipped_tiles > 0
    assert sorted(result.detections.boxes[:, 0].tolist()) == [16, 87, 246]
    assert [result.class_names[n] for n in sorted(result.detections.labels)] == (
        ["warm", "warm", "cold"]
    )


def test_no_pictures() -> None:
    assert UltralyticsDetector(Yolo())([]) == []


def test_ultralytics_of_another_task() -> None:
    model = Yolo()
    model.task = "classify"
    with pytest.raises(FoveateError, match="task is classify; boxes come of detect"):
        UltralyticsDetector(model)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((32, 32), np.uint8), r"takes uint8 pictures of 3 channels, got uint8 \(32, 32\)"),
        (np.zeros((32, 32, 4), np.uint8), "of 3 channels"),
        (np.zeros((32, 32, 3), np.float32), "got float32"),
    ],
)
def test_pictures_that_do_not_suit(image: Any, said: str) -> None:
    with pytest.raises(FoveateError, match=said):
        UltralyticsDetector(Yolo())([image])


def test_a_library_that_fails_is_named_in_one_line() -> None:
    model = Yolo()

    def fail(*args: Any, **options: Any) -> list[Any]:
        raise RuntimeError("out of memory.\nsecond line")

    model.predict = fail  # type: ignore[method-assign]
    with pytest.raises(FoveateError) as failure:
        UltralyticsDetector(model)([picture(64, 32)])
    assert str(failure.value) == (
        "best: ultralytics failed on 1 x 64x32 pixels: out of memory. second line"
    )


def test_a_label_without_a_name() -> None:
    model = Yolo()
    model.names = {0: "warm"}
    with pytest.raises(FoveateError, match="gave label 1, and 1 labels are named"):
        UltralyticsDetector(model)([picture(32, 32, (9, 9, BLUE))])


class Batch(dict[str, Any]):
    """Of transformers' `BatchFeature` what is used."""

    def to(self, device: Any, dtype: Any) -> Batch:
        assert dtype == "float32"
        return self


class Processor:
    """Brings every picture to its size, and finds spots there."""

    do_normalize = True
    image_mean, image_std = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]

    def __init__(self, size: Any) -> None:
        self.size = size

    def __call__(
        self, images: Sequence[UInt8Image], return_tensors: str, input_data_format: str
    ) -> Batch:
        assert (return_tensors, input_data_format) == ("pt", "channels_last")
        return Batch(pixel_values=images)

    def post_process_object_detection(
        self, outputs: Any, threshold: float, target_sizes: list[tuple[int, int]]
    ) -> list[dict[str, Any]]:
        assert threshold == pytest.approx(0.01)
        results = []
        for image, size in zip(outputs, target_sizes, strict=True):
            assert image.shape[:2] == size
            boxes, scores, labels = spots(image, red=0, blue=2)
            results.append({"boxes": boxes, "scores": scores, "labels": labels * 2})
        return results


class ManyProcessor(Processor):
    """Has its own limit of boxes."""

    def post_process_object_detection(
        self, outputs: Any, threshold: float, target_sizes: Any, top_k: int = 100
    ) -> list[dict[str, Any]]:
        assert top_k == 1000
        return super().post_process_object_detection(outputs, threshold, target_sizes)


class Detr:
    """Of a transformers model what the adapter uses."""

    dtype = "float32"

    def __init__(self, **config: Any) -> None:
        names = {0: "warm", 1: "N/A", 2: "cold"}
        self.config = SimpleNamespace(name_or_path="maker/detr-tiny", id2label=names, **config)
        self.training = True

    def eval(self) -> Detr:
        self.training = False
        return self

    def parameters(self) -> Any:
        return iter([SimpleNamespace(device=SimpleNamespace(type="cpu"))])

    def __call__(self, pixel_values: Any) -> Any:
        assert not self.training
        return pixel_values


def test_transformers() -> None:
    model = Detr(num_queries=300)
    detector = TransformersDetector(model, Processor({"height": 96, "width": 96}))
    image = picture(70, 60, (50, 30, RED), (60, 40, BLUE))
    (found,) = detector([image])
    assert found.boxes.tolist() == [[46, 26, 55, 35], [56, 36, 65, 45]]
    assert [detector.info.class_names[label] for label in found.labels] == ["warm", "cold"]
    assert model.training


def test_what_transformers_says_of_a_model() -> None:
    info = TransformersDetector(Detr(num_queries=300), Processor({"shortest_edge": 800})).info
    assert (info.name, info.method) == ("detr-tiny", "transformers")
    assert info.class_names == ("warm", "cold")
    assert (info.tile_plan.size, info.size_multiple, info.padding) == (800, 800, 128)
    assert (info.mean, info.std) == ((0.5,) * 3, (0.25,) * 3)
    assert (info.score_threshold, info.max_detections, info.licence) == (0.5, 300, "")


@pytest.mark.parametrize(
    ("model", "processor", "most"),
    [
        (Detr(num_detection_tokens=100), Processor({"longest_edge": 64}), 100),
        (Detr(), Processor(SimpleNamespace(height=64, width=64)), 1000),
        (Detr(num_queries=100), ManyProcessor({"max_height": 64, "max_width": 64}), 1000),
    ],
)
def test_the_most_boxes_of_transformers(model: Detr, processor: Processor, most: int) -> None:
    detector = TransformersDetector(model, processor)
    assert detector.max_detections == most
    assert len(detector([picture(64, 64, (9, 9, RED))])[0]) == 1


def test_larger_than_the_processor_resizes_to() -> None:
    detector = TransformersDetector(Detr(), Processor({"height": 64, "width": 96}))
    with pytest.raises(FoveateError, match="takes 96x64 pixels, got 96x96; choose --tile 64"):
        detector([picture(96, 96)])
    assert detector.info.tile_plan.size == 64
    assert len(detector([picture(90, 60, (9, 9, RED))])[0]) == 1


def test_a_processor_that_does_not_resize() -> None:
    processor = Processor({})
    processor.do_resize = False  # type: ignore[attr-defined]
    info = TransformersDetector(Detr(), processor).info
    assert (info.tile_plan.size, info.size_multiple) == (640, 32)


def test_a_processor_that_is_none_for_detection() -> None:
    with pytest.raises(FoveateError, match="SimpleNamespace reads no boxes"):
        TransformersDetector(Detr(), SimpleNamespace(size={}))
    with pytest.raises(FoveateError, match=r"resizes to .*, which foveate does not know"):
        TransformersDetector(Detr(), Processor({"pixels": 5}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ultralytics:runs/best.pt", ("ultralytics", "runs/best.pt")),
        (r"ultralytics:C:\best.pt", ("ultralytics", r"C:\best.pt")),
        ("torchvision:", ("torchvision", "")),
        (r"C:\model.onnx", None),
        ("sahi:model", None),
        ("torchvision", None),
        ("nuclei", None),
    ],
)
def test_split_adapter(text: str, expected: tuple[str, str] | None) -> None:
    assert split_adapter(text) == expected


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_missing_library_says_what_to_install(
    adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (adapter, f"{adapter}.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FoveateError) as failure:
        load_adapter(f"{adapter}:x")
    assert str(failure.value) == f"{adapter}:x needs the library {adapter}: pip install {adapter}"


def test_torch_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "transformers", module("transformers"))
    with pytest.raises(
        FoveateError, match=r"^transformers:x needs the library torch: pip install torch$"
    ):
        load_adapter("transformers:x")


def test_a_library_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_library.py").write_text("raise OSError('no such\\nobject file.')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FoveateError, match="broken_library, which cannot be imported: no such obj"):
        libraries.import_library("broken_library", "x")


@pytest.fixture
def ultralytics(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def install(yolo: Any) -> None:
        monkeypatch.setitem(sys.modules, "ultralytics", module("ultralytics", YOLO=yolo))

    return install


def test_load_ultralytics(
    ultralytics: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def chatty(path: str) -> Yolo:
        print("a new version is available")
        return Yolo(path)

    ultralytics(chatty)
    detector = load_adapter("ultralytics:yolo.pt")
    assert isinstance(detector, LibraryDetector)
    assert detector.info.name == "yolo"
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "a new version is available\n")


def test_a_file_that_is_not_there(ultralytics: Callable[[Any], None]) -> None:
    ultralytics(Yolo)
    with pytest.raises(FoveateError, match=r"^nowhere/best\.pt: no such model file$"):
        load_adapter("ultralytics:nowhere/best.pt")


def test_what_the_library_cannot_load(ultralytics: Callable[[Any], None]) -> None:
    def fail(path: str) -> Any:
        raise ConnectionError("Download failure.\nMay be offline.")

    ultralytics(fail)
    with pytest.raises(FoveateError) as failure:
        load_adapter("ultralytics:yolo.pt")
    assert str(failure.value) == (
        "ultralytics:yolo.pt: ultralytics cannot load it: Download failure. May be offline; for a "
        "model object of your own, foveate.inference.adapters has UltralyticsDetector"
    )


def test_load_transformers_takes_no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def loads(what: Any) -> Any:
        def from_pretrained(name: str, **options: Any) -> Any:
            asked.append(options)
            return what

        return SimpleNamespace(from_pretrained=from_pretrained)

    model = Detr()
    model.to = lambda device: model  # type: ignore[attr-defined]
    stand_in = module(
        "transformers",
        AutoImageProcessor=loads(Processor({"height": 64, "width": 64})),
        AutoModelForObjectDetection=loads(model),
    )
    monkeypatch.setitem(sys.modules, "transformers", stand_in)
    assert load_adapter("transformers:maker/detr-tiny").info.tile_plan.size == 64
    assert asked == [
        {"trust_remote_code": False},
        {"use_safetensors": True, "trust_remote_code": False},
    ]


@pytest.mark.parametrize("text", ["ultralytics:", "sahi:x", r"C:\model.onnx"])
def test_what_is_no_adapter(text: str) -> None:
    with pytest.raises(UsageError, match="expected torchvision:NAME, transformers:NAME, ultra"):
        load_adapter(text)


def test_one_line_is_short() -> None:
    assert len(libraries.one_line(ValueError("long " * 100))) == 300
    assert libraries.one_line(KeyError()) == "KeyError"
