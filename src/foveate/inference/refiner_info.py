"""`RefinerInfo`: what a refiner's file says of itself, under the same key as a detector's.

The graph: inputs ``crops`` uint8 ``(N, L, L, C)`` and ``found`` float32 ``(N, 4)``, the base's
boxes, xyxy as shares of the crop's side; outputs ``scores`` float32 ``(N, K)``, a probability a
class, and ``boxes`` float32 ``(N, 4)``, the moved boxes in the units of `found`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from foveate.config import Config
from foveate.errors import FoveateError
from foveate.inference.model_info import METADATA_KEY, SCHEMA_VERSION
from foveate.inference.onnx_file import read_metadata

KIND = "refiner"


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
    padding: int = Field(default=0, ge=0, le=255)
    inputs: Literal["generated", "bicubic", "plain"]
    recipe: dict[str, Any] = Field(default_factory=dict)
    recipe_hash: str = ""
    created: str = ""
    foveate_version: str = ""


def read_refiner_info(path: Path) -> RefinerInfo:
    """Read and check a refiner's metadata.

    Raises:
        FoveateError: If the file is missing, no ONNX file, no refiner, or of another version.
    """
    try:
        values = json.loads(read_metadata(path).get(METADATA_KEY, "{}"))
    except ValueError:
        raise FoveateError(f"{path}: its foveate metadata is not JSON; export it again") from None
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise FoveateError(f"{path}: no refiner; 'foveate train mtgan' makes one")
    version = values.get("schema_version")
    if version != SCHEMA_VERSION:
        raise FoveateError(f"{path}: its metadata has schema version {version!r} and this foveate "
                           f"reads {SCHEMA_VERSION}; export it again")  # fmt: skip
    try:
        return RefinerInfo.from_dict(values, origin="metadata")
    except FoveateError as error:
        raise FoveateError(f"{path}: invalid {error}; export it again") from None
