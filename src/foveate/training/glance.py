"""Train a glance on reduced pictures: a minute or three on two cores, the same by its seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from foveate.config import Config
from foveate.errors import FoveateError
from foveate.inference.glance_info import STRIDE
from foveate.losses import assign_gaussian, gaussian_focal_loss
from foveate.models.glance import GlanceConfig, GlanceNet
from foveate.structures import FloatArray, ImageSource, UInt8Image
from foveate.tiling.reduce import reduced, reduced_size
from foveate.training.ema import MovingAverage
from foveate.training.glance_lessons import Lesson

_GAIN, _SHIFT = 0.2, 16.0
"""Contrast by which crops are varied, and grey levels [D]."""


class GlanceFit(Config):
    """How a glance is fitted.

    Attributes:
        network: Its size.
        reduction: Picture pixels a reduced pixel; 8 for objects of 30 pixels and more.
        reach: Cells around an expected object that are looked at, too.
        held_out: Share of the pictures that calibrate it and teach it nothing; half, for the bound
            needs more pictures than the network does [D].
        by: What is held out, and counts, as one: frames of a clip belong in a folder of their own.
        steps: Of training.
        crops: Of a step.
        crop: Side of a crop, reduced pixels.
        around: Of the crops, this share is around an object; the others are anywhere.
        learning_rate: The highest, of AdamW; it falls by a cosine.
        ema: Decay of the averaged weights that are exported.
        seed: Of weights, crops and the split.
    """

    network: GlanceConfig = GlanceConfig()
    reduction: int = Field(default=4, ge=2, le=16)
    reach: int = Field(default=1, ge=0, le=16)
    held_out: float = Field(default=0.5, gt=0, lt=1)
    by: Literal["picture", "folder"] = "picture"
    steps: int = Field(default=800, ge=1)
    crops: int = Field(default=24, ge=1)
    crop: int = Field(default=96, ge=32, le=1024, multiple_of=8)
    around: float = Field(default=0.5, ge=0, le=1)
    learning_rate: float = Field(default=4e-3, gt=0)
    ema: float = Field(default=0.98, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True, eq=False)
class ReducedPicture:
    """What the network learns from.

    Attributes:
        image: ``(H, W, C)``.
        boxes: ``(G, 4)`` xyxy reduced pixels.
        ignore: ``(M, 4)`` likewise.
    """

    image: UInt8Image
    boxes: FloatArray
    ignore: FloatArray

    @classmethod
    def of(cls, source: ImageSource, lesson: Lesson, reduction: int) -> ReducedPicture:
        """Reduce a picture that is a lesson, as it will be at run time."""
        image = reduced(source, (0, 0, *reduced_size(source, reduction)), reduction, 3)
        factor = np.float32(1 / reduction)
        return cls(image, lesson.boxes * factor, lesson.ignore * factor)


def split_lessons(
    lessons: Sequence[Lesson], config: GlanceFit
) -> tuple[list[Lesson], list[tuple[str, Lesson]]]:
    """Those to learn from, and those held out with the name of what they are held out with.

    Raises:
        FoveateError: If there are too few to do both.
    """
    by_folder = config.by == "folder"
    units = [str(one.path.parent if by_folder else one.path) for one in lessons]
    names = sorted(set(units))
    if len(names) < 2:
        what = "folders of pictures" if by_folder else "pictures"
        raise FoveateError(f"a glance needs at least 2 {what}, to learn from and to be calibrated "
                           f"on; got {len(names)}")  # fmt: skip
    count = min(len(names) - 1, max(1, round(config.held_out * len(names))))
    order = np.random.default_rng(config.seed).permutation(len(names))
    held = {names[i] for i in order[:count].tolist()}
    learn = [one for one, unit in zip(lessons, units, strict=True) if unit not in held]
    return learn, [(unit, one) for one, unit in zip(lessons, units, strict=True) if unit in held]


def train_glance(
    pictures: Sequence[ReducedPicture],
    config: GlanceFit,
    on_step: Callable[[], None] = lambda: None,
) -> GlanceNet:
    """Train the network; the averaged weights, in evaluation mode.

    Args:
        pictures: At least one, all of as many channels.
        config: How.
        on_step: Told of each step.

    Raises:
        FoveateError: If no picture holds an object, or the loss stops being finite.
    """
    if not any(len(picture.boxes) for picture in pictures):
        raise FoveateError(
            f"none of the {len(pictures)} pictures to learn from holds an object: give more"
        )
    torch.manual_seed(config.seed)
    model = GlanceNet(config.network, pictures[0].image.shape[2])
    average = MovingAverage(model, config.ema)
    optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, config.steps, pct_start=0.1
    )
    crops = _Crops(pictures, config)
    for step in range(config.steps):
        batch = crops.batch(step)
        logits = model(torch.from_numpy(batch.images))
        losses = gaussian_focal_loss(logits, batch.heat, batch.weight)
        loss = losses.sum() / max(1.0, float((batch.heat == 1).sum()))
        if not torch.isfinite(loss):
            raise FoveateError(f"the loss is not finite at step {step}: lower --learning-rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update(model, step)
        on_step()
    trained = average.model
    assert isinstance(trained, GlanceNet)
    return trained


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """N crops, ``(N, S, S, C)`` uint8; what is taught, and where, ``(N, 1, S / 4, S / 4)``."""

    images: UInt8Image
    heat: torch.Tensor
    weight: torch.Tensor


class _Crops:
    """Crops of pictures; each batch is a function of seed and step alone."""

    def __init__(self, pictures: Sequence[ReducedPicture], config: GlanceFit) -> None:
        self.config = config
        self.pictures = [_at_least(picture, config.crop) for picture in pictures]
        self._objects = [
            (number, row)
            for number, picture in enumerate(pictures)
            for row in range(len(picture.boxes))
        ]

    def batch(self, step: int) -> _Batch:
        """The crops of a step."""
        rng = np.random.default_rng((self.config.seed, step))
        drawn = [self._crop(rng) for _ in range(self.config.crops)]
        cells = self.config.crop // STRIDE
        taught = [
            assign_gaussian(
                torch.from_numpy(crop.boxes),
                torch.zeros(len(crop.boxes), dtype=torch.long),
                torch.from_numpy(crop.ignore),
                (cells, cells),
                1,
                STRIDE,
            )
            for crop in drawn
        ]
        return _Batch(
            np.stack([crop.image for crop in drawn]),
            torch.stack([one.heat for one in taught]),
            torch.stack([one.heat_weight for one in taught])[:, None],
        )

    def _crop(self, rng: np.random.Generator) -> ReducedPicture:
        side = self.config.crop
        if rng.random() < self.config.around:
            number, row = self._objects[rng.integers(len(self._objects))]
            picture = self.pictures[number]
            centre = (picture.boxes[row, :2] + picture.boxes[row, 2:]) / 2
            corner = np.floor(centre - rng.random(2) * side)
        else:
            picture = self.pictures[rng.integers(len(self.pictures))]
            corner = np.floor(rng.random(2) * _room(picture, side))
        x, y = np.clip(corner, 0, _room(picture, side) - 1).astype(int).tolist()
        image = picture.image[y : y + side, x : x + side]
        moved = np.array([x, y, x, y], np.float32)
        boxes = picture.boxes - moved
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((centres >= 0) & (centres < side)).all(axis=1)
        crop = ReducedPicture(image, boxes[inside], picture.ignore - moved)
        return _turned(_varied(crop, rng), rng, side)


def _room(picture: ReducedPicture, side: int) -> NDArray[np.int64]:
    """Places for a crop along x and y."""
    return np.array(picture.image.shape[1::-1]) - side + 1


def _at_least(picture: ReducedPicture, side: int) -> ReducedPicture:
    """A picture that a crop fits into, its edge repeated where it is smaller."""
    height, width = picture.image.shape[:2]
    down, right = max(0, side - height), max(0, side - width)
    if not down and not right:
        return picture
    image = np.pad(picture.image, ((0, down), (0, right), (0, 0)), mode="edge")
    return ReducedPicture(image, picture.boxes, picture.ignore)


def _varied(crop: ReducedPicture, rng: np.random.Generator) -> ReducedPicture:
    """Contrast and brightness changed a little."""
    gain, shift = 1 + _GAIN * rng.uniform(-1, 1), _SHIFT * rng.uniform(-1, 1)
    image = np.clip(crop.image * np.float32(gain) + np.float32(shift), 0, 255)
    return ReducedPicture(image.astype(np.uint8), crop.boxes, crop.ignore)


def _turned(crop: ReducedPicture, rng: np.random.Generator, side: int) -> ReducedPicture:
    """One of the eight ways to lay a square."""
    image, boxes = crop.image, [crop.boxes, crop.ignore]
    transposed, mirrored, upside = (rng.random(3) < 0.5).tolist()
    if transposed:
        image, boxes = image.swapaxes(0, 1), [b[:, [1, 0, 3, 2]] for b in boxes]
    if mirrored:
        image, boxes = image[:, ::-1], [_mirrored(b, side, 0) for b in boxes]
    if upside:
        image, boxes = image[::-1], [_mirrored(b, side, 1) for b in boxes]
    return ReducedPicture(np.ascontiguousarray(image), *map(np.ascontiguousarray, boxes))


def _mirrored(boxes: FloatArray, side: int, axis: int) -> FloatArray:
    mirrored = boxes.copy()
    mirrored[:, axis], mirrored[:, axis + 2] = side - boxes[:, axis + 2], side - boxes[:, axis]
    return mirrored
