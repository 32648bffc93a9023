"""How objects stand to each other: shapes, how many together, how much they overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foveate.inspection.objects import Objects
from foveate.structures.box_index import BoxIndex
from foveate.structures.boxes import paired_iou

_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Crowding:
    """Shapes and neighbours.

    Attributes:
        aspect: Width over height, the 5 %, 50 % and 95 % quantiles; empty without objects.
        per_image: Objects a picture: mean, median, most.
        empty_images: Pictures without objects.
        touching: Share of the objects whose box meets another's.
        overlapping: IoU to the share of the objects that overlap another of their class by at
            least as much: suppression at that IoU must lose one of the two.
    """

    aspect: tuple[float, ...]
    per_image: tuple[float, float, int]
    empty_images: int
    touching: float
    overlapping: dict[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        mean, median, most = self.per_image
        names = [f"{share:g}" for share in _QUANTILES[: len(self.aspect)]]
        return {
            "width_over_height": dict(zip(names, self.aspect, strict=True)),
            "objects_per_image": {"mean": mean, "median": median, "most": most},
            "images_without_objects": self.empty_images,
            "share_touching": self.touching,
            "share_overlapping_by_iou": {f"{iou:g}": v for iou, v in self.overlapping.items()},
        }


def measure_crowding(objects: Objects, ious: tuple[float, ...] = (0.3, 0.5, 0.7)) -> Crowding:
    """Measure how objects stand to each other; near-linear in their number."""
    counts = np.bincount(objects.picture, minlength=len(objects.image_sizes))
    per_image = (
        (float(counts.mean()), float(np.median(counts)), int(counts.max())) if len(counts) else
        (0.0, 0.0, 0)
    )  # fmt: skip
    greatest, touching = np.zeros(len(objects)), np.zeros(len(objects), bool)
    for i, j in BoxIndex(objects.boxes, objects.picture).pairs():
        touching[i] = touching[j] = True
        same = objects.labels[i] == objects.labels[j]
        i, j = i[same], j[same]
        iou = paired_iou(objects.boxes[i], objects.boxes[j]).astype(np.float64)
        np.maximum.at(greatest, i, iou)
        np.maximum.at(greatest, j, iou)
    size = objects.sizes
    aspect = np.quantile(size[:, 0] / size[:, 1], _QUANTILES).tolist() if len(objects) else []
    some = max(1, len(objects))
    return Crowding(
        tuple(aspect),
        per_image,
        int((counts == 0).sum()),
        float(touching.sum() / some),
        {iou: float((greatest >= iou).sum() / some) for iou in ious},
    )
