"""`LibraryDetector`: what detectors that run a Python library's model have in common."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from foveate.errors import FoveateError
from foveate.inference.foreign.detector import MAX_DETECTIONS
from foveate.inference.foreign.graph import COLOURS
from foveate.inference.foreign.layout import LEAST_SCORE
from foveate.inference.model_info import ModelInfo
from foveate.libraries import as_array, import_library, one_line
from foveate.structures import Detections, IntArray, UInt8Image
from foveate.structures.boxes import clip_boxes, valid_boxes
from foveate.tiling import TilePlan

MULTIPLE = 32
"""Of the sides of what a model of free size takes, network pixels."""
NO_CLASS = "N/A"
"""The name of COCO's unused category ids."""
_OVERLAP = 0.2


class LibraryDetector(ABC):
    """What the adapters share: pictures are checked and padded, boxes cut and put in order.

    On a processor every picture goes through the network alone, so that results do not depend on
    how pictures are grouped; on an accelerator a batch goes through together, and the last digits
    can depend on it. Not to be called by several threads at once.

    Attributes:
        info: What is known of the model, in the terms of foveate's own model files.
        parallel: Pictures worked on side by side: 1, for the library uses all processors itself.
    """

    info: ModelInfo
    parallel = 1
    _together = False
    _fixed: tuple[int, int] | None = None
    """Height and width, network pixels, that the library brings every picture to."""
    _own_labels: IntArray | None = None
    """``(L,)``: for each label of the model the one given, -1 for none; None if all stay."""

    @property
    def max_detections(self) -> int:
        """The most boxes that one picture can give."""
        return self.info.max_detections

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        """Detect in a batch.

        Args:
            images: ``(H, W, 3)`` uint8 RGB each, all of one size, no larger than the model's input
                if that is fixed.

        Returns:
            One `Detections` an image, best first, boxes in that image's pixels, scores from .01.

        Raises:
            FoveateError: If an image does not suit the model, or the library fails.
        """
        for image in images:
            self._require_suitable(image)
        step = max(1, len(images)) if self._together else 1
        found: list[Detections] = []
        for start in range(0, len(images), step):
            found += self._found([self._padded(image) for image in images[start : start + step]])
        return [self._finished(one, image) for one, image in zip(found, images, strict=True)]

    @abstractmethod
    def _detect(self, images: Sequence[UInt8Image]) -> list[Detections]:
        """Boxes in pixels of the padded pictures, with the model's own labels, in any order."""

    def _found(self, images: Sequence[UInt8Image]) -> list[Detections]:
        try:
            return self._detect(images)
        except Exception as error:  # a library may raise anything
            raise FoveateError(
                f"{self.info.name}: {self.info.method} failed on {len(images)} x "
                f"{images[0].shape[1]}x{images[0].shape[0]} pixels: {one_line(error)}"
            ) from error

    def _finished(self, found: Detections, image: UInt8Image) -> Detections:
        """Cut to the picture, labelled as `class_names` says, best first, no more than the most."""
        labels = self._relabelled(found.labels)
        boxes = clip_boxes(found.boxes, image.shape[1], image.shape[0])
        kept = valid_boxes(boxes) & (labels >= 0) & (found.scores >= LEAST_SCORE)
        return Detections(boxes, found.scores, labels)[kept].in_order()[: self.max_detections]

    def _relabelled(self, labels: IntArray) -> IntArray:
        if self._own_labels is None:
            return labels
        highest, named = int(labels.max(initial=0)), len(self._own_labels)
        if highest >= named:
            raise FoveateError(
                f"{self.info.name}: gave label {highest}, and {named} labels are named; "
                "name all, in the order of the model's own labels"
            )
        own: IntArray = self._own_labels[labels]
        return own

    def _padded(self, image: UInt8Image) -> UInt8Image:
        """A copy, padded below and to the right so that the library need not rescale it."""
        height, width = image.shape[:2]
        multiple = self.info.size_multiple
        high, wide = self._fixed or (
            multiple * math.ceil(height / multiple),
            multiple * math.ceil(width / multiple),
        )
        around = ((0, high - height), (0, wide - width), (0, 0))
        return np.pad(image, around, constant_values=self.info.padding)

    def _require_suitable(self, image: UInt8Image) -> None:
        if np.ndim(image) != 3 or image.shape[2] != COLOURS or image.dtype != np.uint8:
            raise FoveateError(
                f"{self.info.name}: the model takes uint8 pictures of {COLOURS} channels, "
                f"got {image.dtype} {np.shape(image)}"
            )
        if self._fixed and (image.shape[0] > self._fixed[0] or image.shape[1] > self._fixed[1]):
            raise FoveateError(
                f"{self.info.name}: the model takes {self._fixed[1]}x{self._fixed[0]} pixels, "
                f"got {image.shape[1]}x{image.shape[0]}; choose --tile {min(self._fixed)} or less"
            )


def describe(
    method: str,
    name: str,
    class_names: tuple[str, ...],
    *,
    size: int,
    size_multiple: int,
    mean: Sequence[float] = (0.0,) * COLOURS,
    std: Sequence[float] = (1.0,) * COLOURS,
    padding: int | None = None,
    max_detections: int = MAX_DETECTIONS,
    score_threshold: float = 0.5,
    licence: str = "",
) -> ModelInfo:
    """What is known of a library's model, in the terms of foveate's own; `ModelInfo` has them.

    Args:
        method: The adapter's name.
        name: Of the model.
        class_names: In the order of the labels given.
        size: Of a tile, network pixels.
        size_multiple: Of the sides of what the model is shown.
        mean: Per channel, of values from 0 to 1.
        std: Per channel.
        padding: From 0 to 255; None is what becomes 0 by normalising.
        max_detections: Of one picture.
        score_threshold: The library's usual one.
        licence: Of the weights, if they say it.
    """
    return ModelInfo(
        name=name,
        method=method,
        class_names=class_names,
        channels=COLOURS,
        size_multiple=size_multiple,
        strides=(),
        max_detections=max_detections,
        mean=tuple(mean),
        std=tuple(std),
        padding=round(255 * sum(mean) / len(mean)) if padding is None else padding,
        tile_plan=TilePlan(size=size, overlap=_OVERLAP),
        score_threshold=score_threshold,
        licence=licence,
    )


def to_detections(boxes: Any, scores: Any, labels: Any) -> Detections:
    """Detections of three tensors, ``(N, 4)`` xyxy, ``(N,)`` and ``(N,)``, on any device."""
    return Detections(as_array(boxes), as_array(scores), as_array(labels))


def read_labels(
    names: Mapping[int, str], no_class: Collection[str] = ()
) -> tuple[tuple[str, ...], IntArray]:
    """The names of classes, and for each label of a model the one that goes with them.

    Args:
        names: By the model's own labels.
        no_class: Names of labels that no object has.

    Returns:
        The names that are left; and ``(L,)``, the label here for each of the model's, or -1.
    """
    kept = [label for label in sorted(names) if names[label] not in no_class]
    own = np.full(max(names, default=-1) + 1, -1, np.int64)
    own[kept] = np.arange(len(kept))
    return tuple(names[label] for label in kept), own


def copy_on(model: Any, device: str | None) -> tuple[Any, Any]:
    """A copy of a torch module in evaluation mode, and the ``torch.device`` that it is on.

    Args:
        model: A ``torch.nn.Module``; it stays as it is.
        device: For the copy; None is where the model is.
    """
    copied = copy.deepcopy(model).eval()
    if device is not None:
        copied = copied.to(device)
    return copied, next(copied.parameters()).device


def best_device() -> str:
    """``cuda`` where torch finds a GPU, else ``cpu``."""
    torch = import_library("torch", "the model")
    return "cuda" if torch.cuda.is_available() else "cpu"
