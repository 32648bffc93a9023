"""Test-time flips: four looks at every tile, fused; dearer than one, and finds more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from foveate.inference.model_info import ModelInfo
from foveate.merge import MergeConfig, merge_tiles
from foveate.structures import Detections, Detector, FloatArray, Tile, TiledDetections, UInt8Image

_FLIPS = tuple(product((False, True), repeat=2))  # (left-right, up-down)


class FlippedDetector:
    """A `Detector` that shows each image as it is and mirrored both ways, and fuses the results.

    The four sets of boxes are fused by weighted box fusion: a box that only some looks see counts
    the less. Takes four times as long as the detector alone.

    Args:
        detector: Any detector.
        iou: Boxes of two looks that overlap by at least this are one object.

    Attributes:
        detector: As given.
        iou: As given.
    """

    def __init__(self, detector: Detector, iou: float = 0.6) -> None:
        self.detector, self.iou = detector, iou
        self._merge = MergeConfig(method="wbf", threshold=iou)

    @property
    def info(self) -> ModelInfo | None:
        """What the detector's model file says."""
        return getattr(self.detector, "info", None)

    @property
    def path(self) -> Path | None:
        """The model's file, if it has one."""
        return getattr(self.detector, "path", None)

    @property
    def parallel(self) -> int:
        """Images the detector works on side by side."""
        return getattr(self.detector, "parallel", 1)

    @property
    def max_detections(self) -> int | None:
        """The most boxes that one look can give."""
        return getattr(self.detector, "max_detections", None)

    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        """Detect; as `Detector`."""
        batch = np.asarray(images)
        looks = [self.detector(list(_flip_images(batch, *flip))) for flip in _FLIPS]
        height, width = batch.shape[1:3]
        # Merges take tiles of one region for one tile; the margin makes four of the four looks.
        regions = [Tile(0, 0, width + n, height, width + n, height) for n in range(len(_FLIPS))]
        fused = []
        for per_image in zip(*looks, strict=True):
            parts = [
                Detections(
                    _flip_boxes(found.boxes, width, height, *flip), found.scores, found.labels
                )
                for found, flip in zip(per_image, _FLIPS, strict=True)
            ]
            tiled = TiledDetections.gather(parts, regions, (width, height))
            fused.append(merge_tiles(tiled, self._merge))
        return fused


def _flip_images(batch: UInt8Image, sideways: bool, upside: bool) -> UInt8Image:
    batch = batch[:, :, ::-1] if sideways else batch
    return np.ascontiguousarray(batch[:, ::-1] if upside else batch)


def _flip_boxes(
    boxes: FloatArray, width: int, height: int, sideways: bool, upside: bool
) -> FloatArray:
    x1, y1, x2, y2 = boxes.T
    if sideways:
        x1, x2 = width - x2, width - x1
    if upside:
        y1, y2 = height - y2, height - y1
    return np.stack([x1, y1, x2, y2], axis=1)
