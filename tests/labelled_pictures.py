"""Data sets made of boxes, for tests of several rooms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from foveate.structures import Annotations, Dataset, Sample


def labelled_pictures(
    *pictures: ArrayLike,
    labels: Sequence[Sequence[int]] = (),
    ignored: Sequence[Sequence[int]] = (),
    size: tuple[int, int] = (640, 480),
    sizes: Sequence[tuple[int, int]] = (),
    class_names: tuple[str, ...] = ("thing",),
    folder: Path = Path(),
    name: str = "things/train",
) -> Dataset:
    """One array of boxes ``(N, 4)`` a picture, all of class 0 unless `labels` says otherwise."""
    samples = []
    for number, picture in enumerate(pictures):
        boxes = np.array(picture, np.float32).reshape(-1, 4)
        classes = np.array(labels[number], np.int64) if labels else np.zeros(len(boxes), np.int64)
        ignore = np.zeros(len(boxes), bool)
        if ignored:
            ignore[list(ignored[number])] = True
        width, height = sizes[number] if sizes else size
        part = Annotations(boxes, classes, ignore)
        samples.append(Sample(folder / f"{number}.png", number + 1, width, height, part))
    ids = tuple(range(1, len(class_names) + 1))
    return Dataset(name, class_names, ids, tuple(samples))


def squares(count: int, side: float, step: float = 60.0, across: int = 10) -> ArrayLike:
    """`count` squares in rows of `across`, their corners `step` apart."""
    place = np.arange(count)
    corner = np.stack([place % across, place // across], axis=1) * step
    return np.concatenate([corner, corner + side], axis=1)
