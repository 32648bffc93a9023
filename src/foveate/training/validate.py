"""Validation as it counts: AP of full pictures, after tiling and merging, by the runtime's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from foveate.data.formats.coco_video import Clip
from foveate.data.motion import MotionConfig
from foveate.evaluation import SIZE_BINS, Scores, evaluate_detections
from foveate.inference.clips import labelled_sources
from foveate.inference.pipeline import detect_image
from foveate.inference.suppression import suppressed
from foveate.merge import MergeConfig
from foveate.models import Method
from foveate.structures import Dataset, Detections, UInt8Image
from foveate.tiling import Pyramid, TilePlan

LEAST_SCORE = 0.01
"""AP wants the whole curve, not what a user would be shown."""


class TorchDetector:
    """A torch method as a `Detector`."""

    def __init__(self, model: Method, device: torch.device) -> None:
        self.model, self.device = model, device

    @torch.no_grad()
    def __call__(self, images: Sequence[UInt8Image]) -> list[Detections]:
        """Detect in images of one size."""
        batch = torch.from_numpy(np.stack(images)).to(self.device)
        boxes, scores, labels = self.model.decode(self.model(batch))
        found = zip(boxes.cpu().numpy(), scores.cpu().numpy(), labels.cpu().numpy(), strict=True)
        used = [Detections(*arrays)[arrays[1] > 0] for arrays in found]
        iou, most = self.model.suppression, self.model.max_detections
        return [suppressed(detections, iou)[:most] for detections in used]


def validate(
    model: Method,
    dataset: Dataset,
    plan: TilePlan,
    merge: MergeConfig,
    *,
    pyramid: Pyramid | None = None,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    motion: MotionConfig | None = None,
    clips: Sequence[Clip] = (),
) -> Scores:
    """AP of a model on whole pictures.

    Args:
        model: In evaluation mode.
        dataset: Labelled pictures.
        plan: How they are tiled.
        merge: How tiles are joined.
        pyramid: Scales to show them at; None for the plan's own.
        device: Where the model is; the processor by default.
        progress: Called with pictures done and in all.
        motion: The channels that the model sees beside the picture.
        clips: Which of the pictures are frames of one clip, and the frames before them.
    """
    detector = TorchDetector(model, device or torch.device("cpu"))
    predictions: dict[int, Detections] = {}
    shown = labelled_sources(dataset, clips, motion)
    for done, (sample, source) in enumerate(shown, start=1):
        result = detect_image(
            source,
            detector,
            plan,
            merge,
            score_threshold=LEAST_SCORE,
            pyramid=None if plan.plain else pyramid,
            size_multiple=model.size_multiple,
        )
        predictions[sample.image_id] = result.detections
        progress(done, len(dataset))
    return evaluate_detections(dataset, predictions, SIZE_BINS["coco"])
