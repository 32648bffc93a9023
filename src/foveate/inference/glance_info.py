"""`GlanceInfo`: what a glance's file says of itself, under the same key as a detector's.

The graph: input ``images`` uint8 ``(N, H, W, C)``, the reduced picture, H and W multiples of 8;
output ``presence`` float32 ``(N, H / 4, W / 4)`` in ``[0, 1]``, high where an object's centre may
lie.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from foveate.config import Config
from foveate.errors import FoveateError
from foveate.inference.model_info import GLANCE, SCHEMA_VERSION
from foveate.inference.onnx_file import read_record, record_as
from foveate.structures import Detector
from foveate.tiling import TilePlan

STRIDE = 4
"""Reduced pixels a cell."""
MULTIPLE = 8
"""Of the sides of what the network is shown, reduced pixels."""
_WORTH = 4.0
"""Looking that as much recall is worth [D]."""
_LEAST = 0.001
"""The smallest recall that `recall_in_words` can ask for."""


class HeldAt(Config):
    """What one threshold did on the held-out pictures.

    Attributes:
        threshold: Least level of a cell that must be held by a tile that is looked at.
        looked: What looking cost, as a share of what it costs to look at all tiles.
        kept: Share of all their objects that lay in such cells.
        mean: The mean over pictures with objects of that share in each.
        bound: What that mean is at least, at the calibration's level.
    """

    threshold: float
    looked: float
    kept: float
    mean: float
    bound: float

    @property
    def select(self) -> str:
        """What asks for its recall, such as ``recall=0.857``."""
        return f"recall={recall_in_words(self.bound)}"


class Calibration(Config):
    """What the thresholds did, from the safest on.

    Attributes:
        level: Chance that the bounds hold, all at once.
        unit: What is independent and was held out as a whole: a picture, or a folder of them.
        units: With objects: what the bounds count.
        empty: Without objects.
        objects: In all.
        rows: By rising threshold; their bounds fall.
    """

    level: float = Field(gt=0, lt=1)
    unit: Literal["picture", "folder"]
    units: int = Field(ge=0)
    empty: int = Field(ge=0)
    objects: int = Field(ge=0)
    rows: tuple[HeldAt, ...]

    @property
    def worthwhile(self) -> HeldAt | None:
        """The row beyond which a point more of `mean` costs over four of `looked`.

        None if nothing can be promised.
        """
        promised = (row for row in self.rows if row.bound >= _LEAST)
        return max(promised, key=lambda row: _WORTH * row.mean - row.looked, default=None)


class GlanceInfo(Config):
    """Metadata of a glance's file.

    Attributes:
        kind: Always `glance`.
        schema_version: Of this record.
        name: Short name.
        detector: Name of the detector that it was fitted for.
        detector_hash: SHA-256 of that detector's file, as `detector_hash` gives it.
        class_names: The detector's.
        channels: C.
        reduction: Picture pixels a reduced pixel.
        reach: A cell's level is the highest presence this many cells around it.
        tile_plan: The geometry that the detector looked with.
        score_threshold: Least score of a detection that taught it; 0 where labels did.
        taught_by: Labels, or the detector's own results.
        pictures: That it learned from; those of the calibration are others.
        calibration: On held-out pictures.
        recipe: The settings of the fit.
        created: ISO date.
        foveate_version: That made it.
    """

    kind: Literal["glance"] = "glance"
    schema_version: int = SCHEMA_VERSION
    name: str
    detector: str
    detector_hash: str
    class_names: tuple[str, ...]
    channels: int = Field(default=3, ge=1)
    reduction: int = Field(ge=1, le=64)
    reach: int = Field(default=1, ge=0, le=64)
    tile_plan: TilePlan
    score_threshold: float = Field(default=0.0, ge=0, le=1)
    taught_by: Literal["labels", "detector"]
    pictures: int = Field(ge=0)
    calibration: Calibration | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    created: str = ""
    foveate_version: str = ""

    @property
    def cell(self) -> int:
        """Picture pixels a cell of the map."""
        return self.reduction * STRIDE


def recall_in_words(recall: float) -> str:
    """To three digits, and no more than it is."""
    return f"{math.floor(recall * 1000) / 1000:g}"


def read_glance_info(path: Path) -> GlanceInfo:
    """Read and check a glance's metadata.

    Raises:
        FoveateError: As `read_record`, and if the file is no glance.
    """
    values = read_record(path)
    if values.get("kind") != GLANCE:
        raise FoveateError(f"{path}: no glance; 'foveate glance fit' makes one")
    return record_as(GlanceInfo, values, path)


def detector_hash(detector: Detector) -> str:
    """SHA-256 of a detector's file; of its name and classes where it has none."""
    path = getattr(detector, "path", None)
    if isinstance(path, Path):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    info = getattr(detector, "info", None)
    name = getattr(info, "name", type(detector).__name__)
    names = getattr(info, "class_names", getattr(detector, "class_names", ()))
    return hashlib.sha256(repr((name, tuple(names))).encode()).hexdigest()
