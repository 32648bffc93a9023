"""`Detections`: the boxes found in one picture, as a struct of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.structures.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The detections of one picture; indexes like an array.

    Attributes:
        boxes: ``(N, 4)`` float32, xyxy in absolute pixels.
        scores: ``(N,)`` float32 in ``[0, 1]``.
        labels: ``(N,)`` int64, index into the detector's class names.

    Raises:
        ValueError: If the three do not agree in length or shape.
    """

    boxes: FloatArray
    scores: FloatArray
    labels: IntArray

    def __post_init__(self) -> None:
        """Give the arrays their dtypes (without a copy where they have them) and check shapes."""
        boxes = np.asarray(self.boxes, dtype=np.float32)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        scores = np.asarray(self.scores, dtype=np.float32)
        labels = np.asarray(self.labels, dtype=np.int64)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"boxes: expected shape (N, 4), got {boxes.shape}")
        for name, array in (("scores", scores), ("labels", labels)):
            if array.shape != (len(boxes),):
                raise ValueError(f"{name}: expected shape ({len(boxes)},), got {array.shape}")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Detections:
        """Select by mask, indices or slice; a single number gives a struct of one."""
        if isinstance(index, (int, np.integer)):
            index = [index]
        return Detections(self.boxes[index], self.scores[index], self.labels[index])

    @classmethod
    def empty(cls) -> Detections:
        """No boxes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All boxes of all parts, in their order."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
        )

    def in_order(self) -> Detections:
        """Sorted by score, highest first; ties by box and label, so that the order is unique."""
        return self[canonical_order(self)]


def canonical_order(detections: Detections) -> IntArray:
    """Indices that sort by falling score, then box, then label: independent of input order."""
    x1, y1, x2, y2 = detections.boxes.T
    return np.lexsort((detections.labels, y2, x2, y1, x1, -detections.scores))
