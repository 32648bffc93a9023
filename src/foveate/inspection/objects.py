"""`Objects`: every labelled object of a data set in one table, as inspection counts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveate.structures import Dataset, FloatArray, IntArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects of a data set; ignore regions and empty boxes are left out.

    N = objects, I = pictures.

    Attributes:
        boxes: ``(N, 4)`` float32, xyxy picture pixels, as labelled.
        labels: ``(N,)``.
        picture: ``(N,)`` row of the picture that each is in.
        image_sizes: ``(I, 2)`` width and height of every picture, pixels.
        class_names: In the order of the labels.
    """

    boxes: FloatArray
    labels: IntArray
    picture: IntArray
    image_sizes: IntArray
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> Objects:
        """Collect them."""
        parts = [sample.annotations for sample in dataset.samples]
        counts = [len(part) for part in parts]
        boxes = np.concatenate([part.boxes for part in parts] or [np.zeros((0, 4), np.float32)])
        labels = np.concatenate([part.labels for part in parts] or [np.zeros(0, np.int64)])
        ignore = np.concatenate([part.ignore for part in parts] or [np.zeros(0, bool)])
        kept = ~ignore & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        sizes = [(sample.width, sample.height) for sample in dataset.samples]
        return cls(
            boxes[kept],
            labels[kept],
            np.repeat(np.arange(len(parts)), counts)[kept],
            np.array(sizes, np.int64).reshape(-1, 2),
            dataset.class_names,
        )

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.labels)

    @property
    def sizes(self) -> Floats:
        """Width and height of each, ``(N, 2)`` picture pixels."""
        boxes = self.boxes.astype(np.float64)
        size: Floats = boxes[:, 2:] - boxes[:, :2]
        return size

    @property
    def sides(self) -> Floats:
        """Side of each, the square root of its area, ``(N,)`` picture pixels."""
        side: Floats = np.sqrt(self.sizes.prod(axis=1))
        return side

    @property
    def class_weights(self) -> Floats:
        """Weights ``(N,)`` with which every class that occurs counts the same, as it does in AP."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        weight: Floats = 1 / counts[self.labels]
        return weight


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """The value below which this share of the weight lies; NaN of nothing.

    Args:
        values: ``(N,)``.
        weights: ``(N,)`` positive.
        share: In ``[0, 1]``.
    """
    if not len(values):
        return float("nan")
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    middle = reached - weights[order] / 2
    return float(np.interp(share * reached[-1], middle, values[order]))
