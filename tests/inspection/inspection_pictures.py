"""Pictures with detail at every scale, their files, and data sets of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from foveate.structures import Annotations, Dataset, Sample, UInt8Image


def scene(seed: int, height: int = 300, width: int = 400) -> UInt8Image:
    """Grey; unlike every other seed's."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for cell in (80, 30, 12, 5, 2):
        coarse = rng.normal(size=(height // cell + 2, width // cell + 2))
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 30 * total, 0, 255).astype(np.uint8)


def save(folder: Path, name: str, grey: UInt8Image, quality: int = 90) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    assert cv2.imwrite(str(path), grey, settings)
    return path


def unlabelled(name: str, paths: Sequence[Path], size: tuple[int, int] = (400, 300)) -> Dataset:
    samples = tuple(Sample(p, n, *size, Annotations.empty()) for n, p in enumerate(paths, 1))
    return Dataset(name, ("thing",), (1,), samples)
