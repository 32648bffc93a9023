"""`Annotations`, `Sample`, `Dataset`: labelled pictures, whatever format they came in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveate.structures.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """The labelled objects of one picture.

    Attributes:
        boxes: ``(N, 4)`` float32, xyxy pixels of the full picture.
        labels: ``(N,)`` int64, index into `Dataset.class_names`.
        ignore: ``(N,)`` bool: crowd and ignore regions, neither right nor wrong to detect.
    """

    boxes: FloatArray
    labels: IntArray
    ignore: BoolArray

    def __post_init__(self) -> None:
        """Check that the three agree in length."""
        if self.boxes.shape != (len(self.labels), 4):
            raise ValueError(f"boxes: expected ({len(self.labels)}, 4), got {self.boxes.shape}")
        if self.ignore.shape != self.labels.shape:
            raise ValueError(f"ignore: expected {self.labels.shape}, got {self.ignore.shape}")

    def __len__(self) -> int:
        """Number of objects, ignored ones included."""
        return len(self.labels)

    @classmethod
    def empty(cls) -> Annotations:
        """A picture without objects."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One labelled picture of a data set; its pixels are read when they are needed.

    Attributes:
        path: The picture file.
        image_id: Its id in the data set (COCO's `id`; otherwise its position, from 1).
        width: Pixels, as the data set says (after EXIF rotation).
        height: Pixels.
        annotations: Its objects.
    """

    path: Path
    image_id: int
    width: int
    height: int
    annotations: Annotations


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled pictures.

    Attributes:
        name: Short name for tables.
        class_names: In the order of the labels.
        category_ids: The ids that COCO JSON uses for them, in the same order.
        samples: The pictures.
        licence: As the data set states it, or empty.
        description: One line, or empty.
    """

    name: str
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    samples: tuple[Sample, ...]
    licence: str = ""
    description: str = ""

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.samples)
