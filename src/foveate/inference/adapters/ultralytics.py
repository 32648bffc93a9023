"""Models of Ultralytics, run by that library.

Its ``.pt`` files are pickles, which it opens itself, and a pickle can run any code: open only
files that you trust, or export them to ONNX, which foveate reads without it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foveate.errors import FoveateError
from foveate.inference.adapters.base import (
    MULTIPLE,
    LibraryDetector,
    describe,
    read_labels,
    to_detections,
)
from foveate.inference.foreign.detector import FREE_SIZE, MAX_DETECTIONS
from foveate.inference.foreign.layout import LEAST_SCORE
from foveate.inference.foreign.yolo import GREY
from foveate.libraries import import_library
from foveate.structures import Detections, UInt8Image

_WITH_BOXES = ("detect", "segment", "pose")
"""Tasks whose results have upright boxes."""
_THRESHOLD = 0.25


class UltralyticsDetector(LibraryDetector):
    """A model of Ultralytics: YOLO or RT-DETR; of one for masks or key points, the boxes.

    Lifted: ``max_det`` 300, ``conf`` .25, and the enlarging or shrinking of pictures to ``imgsz``,
    which only chooses the size of a tile.

    Args:
        model: An ``ultralytics.YOLO`` or ``ultralytics.RTDETR``. What detects is a copy of it.
        device: As Ultralytics takes it, ``cuda:0`` for instance; None lets it choose.

    Raises:
        FoveateError: If the model gives no upright boxes, or torch is missing.
    """

    def __init__(self, model: Any, device: str | None = None) -> None:
        if model.task not in _WITH_BOXES:
            raise FoveateError(
                f"the model's task is {model.task}; boxes come of {', '.join(_WITH_BOXES)}"
            )
        self._model = _without_run(model)
        self._options = {} if device is None else {"device": device}
        cuda = import_library("torch", "UltralyticsDetector").cuda
        self._together = device != "cpu" and bool(cuda.is_available())
        names, self._own_labels = read_labels(model.names)
        strides = [int(stride) for stride in getattr(model.model, "stride", ())]
        checkpoint = getattr(model, "ckpt", None) or {}
        self.info = describe(
            "ultralytics",
            _name(model),
            names,
            size=_trained_size(model),
            size_multiple=max(strides, default=MULTIPLE),
            padding=GREY,
            score_threshold=_THRESHOLD,
            licence=str(checkpoint.get("license") or ""),
        )

    def _detect(self, images: Sequence[UInt8Image]) -> list[Detections]:
        results = self._model.predict(
            [np.ascontiguousarray(image[..., ::-1]) for image in images],  # arrays are BGR there
            imgsz=images[0].shape[:2],
            conf=LEAST_SCORE,
            max_det=MAX_DETECTIONS,
            verbose=False,
            **self._options,
        )
        return [to_detections(r.boxes.xyxy, r.boxes.conf, r.boxes.cls) for r in results]


def load_ultralytics(path: str) -> UltralyticsDetector:
    """Load a model file of Ultralytics, or one that it downloads by name.

    Args:
        path: A ``.pt`` file, which is a pickle: only of a source that you trust.

    Raises:
        FoveateError: If it is missing or gives no upright boxes, or the library is missing.
    """
    library = import_library("ultralytics", f"ultralytics:{path}")
    if len(Path(path).parts) > 1 and not Path(path).exists():
        raise FoveateError(f"{path}: no such model file")
    return UltralyticsDetector(library.YOLO(path))


def _name(model: Any) -> str:
    path = getattr(model, "ckpt_path", None) or getattr(model, "model_name", None)
    return Path(path or type(model).__name__).stem


def _trained_size(model: Any) -> int:
    """Side of the pictures it was trained with, network pixels."""
    size = getattr(model, "overrides", {}).get("imgsz") or FREE_SIZE
    return min(size) if isinstance(size, Sequence) else int(size)


def _without_run(model: Any) -> Any:
    """A copy without the run that the model is in, which holds locks and cannot be copied."""
    run = {name: getattr(model, name, None) for name in ("predictor", "trainer")}
    try:
        for name in run:
            setattr(model, name, None)
        return copy.deepcopy(model)
    finally:
        for name, value in run.items():
            setattr(model, name, value)
