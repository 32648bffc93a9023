"""Settings shared by every merge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from foveate.config import Config

MergeMethod = Literal["seam", "nms", "soft-nms", "greedy-nmm", "wbf"]


class MergeConfig(Config):
    """How the boxes of overlapping tiles become one clean set.

    Attributes:
        method: A row of `foveate.merge.MERGES`.
        threshold: Two boxes whose overlap by `metric` is at least this are one object.
        metric: `iou`, intersection over union, or `ios`, over the smaller box.
        class_aware: Only boxes of one class are ever joined.
    """

    method: MergeMethod = "seam"
    threshold: float = Field(default=0.5, gt=0, le=1)
    metric: Literal["iou", "ios"] = "iou"
    class_aware: bool = True
