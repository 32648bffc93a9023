"""Detectors of torchvision, run by that library.

Attributes are those of torchvision's ``models/detection`` (BSD-3-Clause) [S].
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from foveate.errors import FoveateError, UsageError
from foveate.inference.adapters.base import (
    NO_CLASS,
    LibraryDetector,
    best_device,
    copy_on,
    describe,
    read_labels,
    to_detections,
)
from foveate.inference.foreign.detector import MAX_DETECTIONS
from foveate.inference.foreign.layout import LEAST_SCORE
from foveate.libraries import import_library
from foveate.structures import Detections, UInt8Image

_NO_CLASS = frozenset({"__background__", "background", "no person", NO_CLASS})
_LIMITS = {"detections_per_img": MAX_DETECTIONS, "score_thresh": LEAST_SCORE}
_LEAST_CANDIDATES = 1000
"""Before suppression; some models have as few as 150."""


class TorchvisionDetector(LibraryDetector):
    """A detector of torchvision: R-CNN, RetinaNet, FCOS, SSD; of one for masks, the boxes.

    Lifted: ``detections_per_img`` of 100 to 300, ``score_thresh``, candidates fewer than 1,000,
    and the enlarging of pictures to ``min_size``, which only chooses the size of a tile. SSD's
    input has a fixed size: that of a tile, and smaller pictures are padded to it.

    Args:
        model: From ``torchvision.models.detection`` or built like those. What detects is a copy
            of it, in evaluation mode.
        class_names: In the order of the model's own labels, as ``weights.meta["categories"]``:
            ``__background__`` first where the model has one. What is named so, or ``N/A``, is no
            class: it is left out, and the other labels close up. Empty if they have no names.
        device: As torch takes it; None is where the model is.
        name: For messages and results; the model's type if left out.

    Raises:
        FoveateError: If some of the model's labels have names and others not, or torch is missing.
    """

    def __init__(
        self,
        model: Any,
        class_names: Sequence[str] = (),
        device: str | None = None,
        name: str = "",
    ) -> None:
        name = name or type(model).__name__
        self._torch = import_library("torch", "TorchvisionDetector")
        self._model, self._device = copy_on(model, device)
        self._together = self._device.type != "cpu"
        names: tuple[str, ...] = ()
        if class_names:
            _require_all_named(name, len(class_names), _label_count(model))
            names, self._own_labels = read_labels(dict(enumerate(class_names)), _NO_CLASS)
        _lift(self._model)
        transform = self._model.transform
        if transform.fixed_size:
            width, height = transform.fixed_size
            self._fixed = (height, width)
        size = min(self._fixed) if self._fixed else int(transform.min_size[-1])
        self.info = describe(
            "torchvision",
            name,
            names,
            size=size,
            size_multiple=size if self._fixed else transform.size_divisible,
            mean=transform.image_mean,
            std=transform.image_std,
        )

    def _detect(self, images: Sequence[UInt8Image]) -> list[Detections]:
        sides = images[0].shape[:2]
        transform = self._model.transform
        transform.min_size, transform.max_size = (min(sides),), max(sides)
        with self._torch.inference_mode():
            results = self._model([self._pixels(image) for image in images])
        return [to_detections(r["boxes"], r["scores"], r["labels"]) for r in results]

    def _pixels(self, image: UInt8Image) -> Any:
        """``(3, H, W)`` from 0 to 1, on the device."""
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        return self._torch.from_numpy(planes).to(self._device).float() / 255


def load_torchvision(name: str) -> TorchvisionDetector:
    """Build a detector of torchvision with its own best weights, downloaded at the first time.

    Args:
        name: As ``torchvision.models.list_models`` gives it, of its detection models.

    Raises:
        FoveateError: If the library is missing.
        UsageError: If there is no such model.
    """
    models = import_library("torchvision.models", f"torchvision:{name}")
    known = models.list_models(module=models.detection)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        raise UsageError(f"torchvision has no detector {name!r}; it has {', '.join(near or known)}")
    weights = models.get_model_weights(name).DEFAULT
    model = models.get_model(name, weights=weights)
    return TorchvisionDetector(model, weights.meta["categories"], best_device(), name)


def _lift(model: Any) -> None:
    """Let a model give as many boxes as small objects need, and boxes only."""
    heads = getattr(model, "roi_heads", None)
    for part in (model, heads):
        for name, value in _LIMITS.items():
            if hasattr(part, name):
                setattr(part, name, value)
    if hasattr(model, "topk_candidates"):
        model.topk_candidates = max(model.topk_candidates, _LEAST_CANDIDATES)
    for name in ("_pre_nms_top_n", "_post_nms_top_n"):
        proposals = getattr(getattr(model, "rpn", None), name, None)
        if proposals:
            proposals["testing"] = max(proposals["testing"], _LEAST_CANDIDATES)
    for name in ("mask_roi_pool", "keypoint_roi_pool"):  # a thousand masks would fill the memory
        if getattr(heads, name, None) is not None:
            setattr(heads, name, None)


def _label_count(model: Any) -> int | None:
    """Labels that a model gives, the background included; None if it does not show."""
    heads = getattr(model, "roi_heads", None)
    scores = getattr(getattr(heads, "box_predictor", None), "cls_score", None)
    head = getattr(getattr(model, "head", None), "classification_head", None)
    counts = (
        getattr(scores, "out_features", None),
        getattr(head, "num_classes", None),
        getattr(head, "num_columns", None),
    )
    return next((int(count) for count in counts if count is not None), None)


def _require_all_named(name: str, named: int, count: int | None) -> None:
    if count is not None and named != count:
        raise FoveateError(
            f"{name}: {named} labels are named and the model has {count}; name all in their order, "
            "'__background__' first where the model has one"
        )
