"""`Recipe`: everything that determines a training run, in one typed file."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from foveate.config import Config
from foveate.data.augment import AugmentConfig
from foveate.data.motion import MotionConfig
from foveate.data.sampling import SamplingConfig
from foveate.errors import UsageError
from foveate.inference.model_info import COLOURS
from foveate.merge.config import MergeConfig
from foveate.models import CenterPointConfig, MethodConfig
from foveate.tiling import Pyramid, TilePlan

_OF_THE_MACHINE = {"devices", "workers"}
"""Settings that do not decide what is learned: a run can go on with others."""

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class OptimiserConfig(Config):
    """AdamW with linear warm-up and cosine decay to zero.

    Attributes:
        learning_rate: Peak.
        backbone_factor: The pretrained part learns at this share of it.
        weight_decay: On convolution weights only.
        warmup: Iterations.
        clip: Largest norm of the gradient.
        ema: Decay of the averaged weights that are validated and exported.
    """

    learning_rate: float = Field(default=1e-3, gt=0)
    backbone_factor: float = Field(default=0.5, ge=0)
    weight_decay: float = Field(default=0.02, ge=0)
    warmup: int = Field(default=50, ge=0)
    clip: float = Field(default=10.0, gt=0)
    ema: float = Field(default=0.995, ge=0, lt=1)


class CardConfig(Config):
    """What the model file will say of its data.

    Attributes:
        description: What the model finds, one line.
        dataset: Name of the training data.
        attribution: Who made them, as the licence asks.
        data_licence: Of the training data.
    """

    description: str = ""
    dataset: str = ""
    attribution: str = ""
    data_licence: str = ""


class Recipe(Config):
    """A training run.

    Attributes:
        name: Of the model.
        method: Which detector; its `name` is a row of `foveate.models.METHODS`.
        tile_plan: How pictures are shown, in training, in validation and at run time.
        pyramid: `scales` to show whole pictures at, in place of the tile plan's, in validation and
            by default at run time; and `sides`, the least and most length, network pixels, of the
            longer side of a box that a scale is trusted with.
        sampling: Which tiles are drawn.
        augment: How they are varied.
        optimiser: How weights move.
        merge: How tiles' boxes are joined in validation and, by default, at run time.
        card: What the model file says of its data.
        iterations: Optimiser steps.
        batch_size: Tiles a step.
        seed: Of weights and tiles.
        precision: `auto` takes `bf16-mixed` where the processor or GPU computes in it, which
            halves the time, and `32-true` elsewhere, where bf16 takes ten times as long.
        channels: Of a picture.
        motion: Channels that tell what moves, beside a picture's three: the data set must have
            clips (COCO with `videos`). None sees single pictures.
        score_threshold: Default least score at run time.
        compile: Compile the network (`torch.compile`): minutes at the start; slower steps after on
            a processor, where we tried it, and perhaps quicker ones on a GPU.
        devices: GPUs that share each batch, or processes where there is no GPU; `batch_size` must
            be a multiple of it. A run can go on with another number.
        workers: Loader processes of each device; 0 draws tiles between steps. Not given: 0 without
            a GPU, where a step takes far longer than its tiles; with one, a core each, 8 at most.
        validate_every: Steps between validations; 0 validates at the end only.
        save_every: Steps between checkpoints.
    """

    name: str
    method: MethodConfig = Field(default=CenterPointConfig(), discriminator="name")
    tile_plan: TilePlan = TilePlan(size=384)
    pyramid: Pyramid | None = None
    sampling: SamplingConfig = SamplingConfig()
    augment: AugmentConfig = AugmentConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    merge: MergeConfig = MergeConfig()
    card: CardConfig = CardConfig()
    iterations: int = Field(default=1500, ge=1)
    batch_size: int = Field(default=8, ge=1)
    seed: int = Field(default=0, ge=0)
    precision: Precision = "auto"
    channels: int = Field(default=COLOURS, ge=1)
    motion: MotionConfig | None = None
    score_threshold: float = Field(default=0.3, ge=0, le=1)
    compile: bool = False
    devices: int = Field(default=1, ge=1)
    workers: int | None = Field(default=None, ge=0)
    validate_every: int = Field(default=0, ge=0)
    save_every: int = Field(default=100, ge=1)

    @field_validator("method", mode="before")
    @classmethod
    def _default_name(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {"name": cls.model_fields["method"].default.name} | values

    @model_validator(mode="after")
    def _is_shared_equally(self) -> Recipe:
        if self.batch_size % self.devices:
            raise ValueError(f"batch_size must be a multiple of devices ({self.devices}), "
                             f"got {self.batch_size}")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _motion_is_beside_colours(self) -> Recipe:
        if self.motion is not None and self.channels != COLOURS:
            raise ValueError(f"channels: motion goes with the {COLOURS} of a picture, "
                             f"got {self.channels}")  # fmt: skip
        return self

    @property
    def input_channels(self) -> int:
        """Of the network: a picture's own, and those of motion."""
        return self.channels + (self.motion.channels if self.motion else 0)

    def fingerprint(self) -> str:
        """SHA-256 of the settings that decide what is learned, the same on every machine."""
        text = json.dumps(self.model_dump(mode="json", exclude=_OF_THE_MACHINE), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def shipped_recipes() -> list[str]:
    """Names of the recipes inside the package."""
    folder = resources.files("foveate") / "recipes"
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_recipe(name_or_path: str) -> Recipe:
    """A shipped recipe by name, or a YAML file.

    Raises:
        UsageError: If there is neither, naming the recipes there are.
    """
    if Path(name_or_path).is_file():
        return Recipe.from_yaml(name_or_path)
    if name_or_path in shipped_recipes():
        folder = resources.files("foveate") / "recipes"
        with resources.as_file(folder / f"{name_or_path}.yaml") as path:
            return Recipe.from_yaml(path)
    raise UsageError(f"no recipe {name_or_path!r}: give a YAML file or one of "
                     f"{', '.join(shipped_recipes())}")  # fmt: skip
