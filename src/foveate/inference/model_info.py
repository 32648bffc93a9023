"""`ModelInfo`: what a model file says of itself; the contract between workshop and runtime.

It travels inside ``model.onnx`` as JSON under the metadata key ``foveate``.

The graph: input ``images`` uint8 ``(N, H, W, C)``, N, H and W free, H and W multiples of
`size_multiple`; outputs ``boxes`` float32 ``(N, K, 4)`` xyxy network pixels, ``scores`` float32
``(N, K)`` and ``labels`` int64 ``(N, K)``, best first, unused rows with score 0. Cast,
normalisation, decoding and top-k are inside; `suppression` within a tile and merging across tiles
are outside.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from foveate.config import Config
from foveate.data.motion import MotionConfig
from foveate.merge.config import MergeConfig
from foveate.tiling import Pyramid, TilePlan

METADATA_KEY = "foveate"
SCHEMA_VERSION = 1
COLOURS = 3
"""Channels of a picture as every source gives it: red, green and blue."""
REFINER = "refiner"
"""`kind` of a file that is no detector, but judges what one finds."""
GLANCE = "glance"
"""`kind` of a file that is no detector, but says where one should look."""


class Measured(Config):
    """One measured result of the model, for its card.

    Attributes:
        dataset: Data set and split.
        setting: `plain` or `tiled`, with the plan in words.
        metrics: Name to value in ``[0, 1]``: AP, AP50, AP by size.
    """

    dataset: str
    setting: str
    metrics: dict[str, float]


class Quantisation(Config):
    """How the arithmetic of a file was made narrower than it was trained with.

    Attributes:
        precision: Of what is quantised: weights and what flows between layers.
        ranges: How the ranges of what flows were taken from the calibration's tiles.
        weight_bits: Bits of a weight in use; 7 cannot overflow on any processor.
        calibration: Name of the pictures that were shown.
        pictures: How many.
        tiles: How many tiles of them.
        float_layers: Convolutions left in float32.
        source_sha256: Of the file it was made from.
    """

    precision: Literal["int8"] = "int8"
    ranges: Literal["minmax", "percentile", "entropy"]
    weight_bits: Literal[7, 8]
    calibration: str
    pictures: int = Field(ge=1)
    tiles: int = Field(ge=1)
    float_layers: tuple[str, ...] = ()
    source_sha256: str


class ModelInfo(Config):
    """Metadata of a model file.

    Attributes:
        schema_version: Of this record.
        name: Short name.
        description: What it finds, one line.
        method: Row of `foveate.models.METHODS`, or the layout of a foreign file.
        class_names: In the order of the labels; empty only where a foreign file does not tell.
        channels: Input channels C, those of motion included, which come last.
        motion: The motion channels it sees beside red, green and blue; none sees no motion.
        size_multiple: Height and width of the input must be multiples of this.
        strides: Of the feature maps that objects are found on, network pixels.
        max_detections: The most boxes one tile can give: K, or less after suppression.
        suppression: IoU at which the worse of two boxes of one class and tile is dropped, by the
            runtime; none if the graph gives each object once.
        mean: Per channel, of pixel values in ``[0, 1]``; subtracted inside the graph.
        std: Per channel; divided by, inside the graph.
        padding: Value around a picture smaller than a tile, 0 to 255.
        tile_plan: The geometry it was trained with, and the default at run time.
        pyramid: Scales at which pictures are shown by default, in place of the tile plan's own,
            and the sizes that each is trusted with; none for that one scale.
        merge: Default merge.
        score_threshold: Default least score of a detection.
        small_object: Side in picture pixels of the largest object that must stay whole at a seam.
        dataset: Name of the training data.
        attribution: Who made the data, as its licence asks.
        data_licence: Of the training data.
        licence: Of these weights.
        recipe: The full recipe, so that the run can be repeated.
        recipe_hash: SHA-256 of the recipe.
        created: ISO date.
        foveate_version: That exported it.
        measured: Results on data it was not trained on; the last is the one to be named first.
        quantisation: Of a file of int8 arithmetic, how it was made; none of one of floats.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    description: str = ""
    method: str
    class_names: tuple[str, ...]
    channels: int = Field(default=3, ge=1)
    motion: MotionConfig | None = None
    size_multiple: int = Field(default=32, ge=1)
    strides: tuple[int, ...]
    max_detections: int = Field(ge=1)
    suppression: float | None = Field(default=None, gt=0, le=1)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: int = Field(default=0, ge=0, le=255)
    tile_plan: TilePlan
    pyramid: Pyramid | None = None
    merge: MergeConfig = MergeConfig()
    score_threshold: float = Field(default=0.3, ge=0, le=1)
    small_object: float = Field(default=32.0, gt=0)
    dataset: str = ""
    attribution: str = ""
    data_licence: str = ""
    licence: str = "Apache-2.0"
    recipe: dict[str, Any] = Field(default_factory=dict)
    recipe_hash: str = ""
    created: str = ""
    foveate_version: str = ""
    measured: tuple[Measured, ...] = ()
    quantisation: Quantisation | None = None

    @model_validator(mode="after")
    def _motion_is_among_the_channels(self) -> ModelInfo:
        if self.motion is not None and self.channels != COLOURS + self.motion.channels:
            raise ValueError(
                f"channels: {COLOURS} colours and {self.motion.channels} channels of motion make "
                f"{COLOURS + self.motion.channels}, got {self.channels}"
            )
        return self
