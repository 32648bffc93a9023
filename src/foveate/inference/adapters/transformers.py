"""Object detectors of Hugging Face's transformers, run by that library (Apache-2.0) [S]."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foveate.errors import FoveateError
from foveate.inference.adapters.base import (
    MULTIPLE,
    NO_CLASS,
    LibraryDetector,
    best_device,
    copy_on,
    describe,
    read_labels,
    to_detections,
)
from foveate.inference.foreign.detector import FREE_SIZE, MAX_DETECTIONS
from foveate.inference.foreign.graph import COLOURS
from foveate.inference.foreign.layout import LEAST_SCORE
from foveate.libraries import import_library
from foveate.structures import Detections, UInt8Image

_SIDES = (
    ("height", "width"),
    ("shortest_edge", "shortest_edge"),
    ("max_height", "max_width"),
    ("longest_edge", "longest_edge"),
)
"""Names by which a processor says how high and wide it makes a square picture."""


class TransformersDetector(LibraryDetector):
    """An object detector of transformers: DETR, RT-DETR, D-FINE, YOLOS and others.

    The processor's own resizing stays, and a tile has the size that it resizes to, so that it
    leaves tiles as they are; smaller pictures are padded. Lifted: ``threshold`` .5, and ``top_k``
    100 where there is one. A model gives no more boxes than it has queries.

    Args:
        model: From ``AutoModelForObjectDetection``. What detects is a copy of it, in evaluation
            mode.
        processor: From ``AutoImageProcessor``, the one that belongs to the model.
        device: As torch takes it; None is where the model is.

    Raises:
        FoveateError: If the processor reads no boxes or resizes in an unknown way, or torch is
            missing.
    """

    def __init__(self, model: Any, processor: Any, device: str | None = None) -> None:
        name = Path(getattr(model.config, "name_or_path", "") or type(model).__name__).name
        self._torch = import_library("torch", "TransformersDetector")
        self._processor, self._read = processor, _reader(processor, name)
        several = "top_k" in inspect.signature(self._read).parameters
        self._options = {"top_k": MAX_DETECTIONS} if several else {}
        self._fixed = _resized_to(processor, name)
        self._model, self._device = copy_on(model, device)
        self._together = self._device.type != "cpu"
        names, self._own_labels = read_labels(model.config.id2label, {NO_CLASS})
        size = min(self._fixed) if self._fixed else FREE_SIZE
        normalises = getattr(processor, "do_normalize", False)
        self.info = describe(
            "transformers",
            name,
            names,
            size=size,
            size_multiple=size if self._fixed else MULTIPLE,
            mean=processor.image_mean if normalises else (0.0,) * COLOURS,
            std=processor.image_std if normalises else (1.0,) * COLOURS,
            max_detections=MAX_DETECTIONS if several else _queries(model.config),
        )

    def _detect(self, images: Sequence[UInt8Image]) -> list[Detections]:
        inputs = self._processor(
            images=list(images), return_tensors="pt", input_data_format="channels_last"
        )
        with self._torch.inference_mode():
            outputs = self._model(**inputs.to(self._device, dtype=self._model.dtype))
        sizes = [image.shape[:2] for image in images]
        results = self._read(outputs, threshold=LEAST_SCORE, target_sizes=sizes, **self._options)
        return [to_detections(r["boxes"], r["scores"], r["labels"]) for r in results]


def load_transformers(name: str) -> TransformersDetector:
    """Load an object detector from Hugging Face's hub or a folder.

    Only safetensors are loaded, no pickles and no code that comes with the model.

    Args:
        name: Of a model on the hub, or a folder that ``save_pretrained`` wrote.

    Raises:
        FoveateError: If the library is missing, or the model is no object detector.
    """
    asked = f"transformers:{name}"
    library = import_library("transformers", asked)
    import_library("torch", asked)
    processor = library.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
    model = library.AutoModelForObjectDetection.from_pretrained(
        name, use_safetensors=True, trust_remote_code=False
    )
    return TransformersDetector(model, processor, best_device())


def _reader(processor: Any, name: str) -> Any:
    """What makes boxes of the model's outputs."""
    read = getattr(processor, "post_process_object_detection", None)
    if read is None:
        raise FoveateError(
            f"{name}: {type(processor).__name__} reads no boxes; "
            "only models for object detection are taken"
        )
    return read


def _resized_to(processor: Any, name: str) -> tuple[int, int] | None:
    """Height and width that a processor brings a square picture to, if it does."""
    if not getattr(processor, "do_resize", True):
        return None
    size = processor.size
    known = dict(size) if isinstance(size, Mapping) else vars(size)
    for names in _SIDES:
        height, width = (known.get(side) for side in names)
        if height and width:
            return int(height), int(width)
    raise FoveateError(f"{name}: its processor resizes to {size}, which foveate does not know")


def _queries(config: Any) -> int:
    """The most boxes that a DETR-like model gives: one a query."""
    own = [getattr(config, name, None) for name in ("num_queries", "num_detection_tokens")]
    return min([MAX_DETECTIONS, *(int(count) for count in own if count)])
