"""`RefinerInfo`: what a refiner's file says of itself, under the same key as a detector's.

The graph: inputs ``crops`` uint8 ``(N, L, L, C)`` and ``found`` float32 ``(N, 4)``, the base's
boxes, xyxy as shares of the crop's side; outputs ``scores`` float32 ``(N, K)``, a probability a
class, and ``boxes`` float32 ``(N, 4)``, the moved boxes in the units of `found`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from foveate.config import Config
from foveate.errors import FoveateError
from foveate.inference.model_info import REFINER, SCHEMA_VERSION
from foveate.inference.onnx_file import read_record, record_as


class RefinerInfo(Config):
    """Metadata of a refiner's file.

    Attributes:
        kind: Always `refiner`.
        schema_version: Of this record.
        name: Short name.
        class_names: The base's, in its order.
        channels: C.
        crop_size: L, pixels.
        margin: Context on every side of a box, as a share of its longer side.
        small: Boxes with a side (root of the area) below this, picture pixels, are refined.
        least_score: Of the base: what it was less sure of was not learned, and stays as it is.
        padding: Value outside the picture, 0 to 255.
        inputs: What the judge sees: `generated` crops, `bicubic` enlargements, or `plain` ones.
        recipe: The full recipe.
        recipe_hash: SHA-256 of the recipe.
        created: ISO date.
        foveate_version: That exported it.
    """

    kind: Literal["refiner"] = "refiner"
    schema_version: int = SCHEMA_VERSION
    name: str
    class_names: tuple[str, ...] = Field(min_length=1)
    channels: int = Field(default=3, ge=1)
    crop_size: int = Field(ge=1)
    margin: float = Field(ge=0)
    small: float = Field(gt=0)
    least_score: float = Field(ge=0, le=1)
    padding: int = Field(default=0, ge=0, le=255)
    inputs: Literal["generated", "bicubic", "plain"]
    recipe: dict[str, Any] = Field(default_factory=dict)
    recipe_hash: str = ""
    created: str = ""
    foveate_version: str = ""


def read_refiner_info(path: Path) -> RefinerInfo:
    """Read and check a refiner's metadata.

    Raises:
        FoveateError: As `read_record`, and if the file is no refiner.
    """
    values = read_record(path)
    if values.get("kind") != REFINER:
        raise FoveateError(f"{path}: a detector, no refiner; 'foveate train mtgan' makes one")
    return record_as(RefinerInfo, values, path)
