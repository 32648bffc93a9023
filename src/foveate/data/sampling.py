"""Draw training tiles online from full pictures, with the tile plan that is used at run time.

Tile number `i` depends on the seed and on `i` alone: not on the workers, nor on what was drawn
before. A resumed run therefore sees exactly the tiles it would have seen.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foveate.config import Config
from foveate.data.augment import (
    AugmentConfig,
    Matrix,
    draw_linear_map,
    vary_colour,
    warp_boxes,
    warp_image,
)
from foveate.data.paste import paste_objects
from foveate.structures import Dataset, FloatArray, IntArray, Sample, UInt8Image
from foveate.structures.boxes import box_area, clip_boxes


class SamplingConfig(Config):
    """Which tiles are drawn.

    Attributes:
        tile: Side of the tiles, network pixels; the tile plan's if not given. Small tiles make
            a step more varied than few large ones; the network does not mind.
        on_object: Probability that a tile is centred near an object rather than anywhere.
        balance_classes: Near which object: of each class of the picture as often as of any other.
        size_power: Pictures are drawn in proportion to (tiles they hold) to this power.
        repeat_below: Pictures with a class that fewer than this share of the pictures hold are
            drawn more often, by sqrt(repeat_below / share): the repeat factor of LVIS (Gupta 2019,
            arXiv:1908.03195). 0 draws all alike.
        keep_visible: Objects with at least this share of their area in the tile are labelled,
            with the box of the visible part; the others are ignored, neither right nor wrong.
        first_frame: Of a clip, frames before this one, from 0, are not drawn; nor are those whose
            motion is not known yet, where the clip has others.
        frame_step: Of a clip, frames at least so many apart are drawn, since neighbours are nearly
            alike; so it is in validation. The frames between still tell what moves.
        cache_megabytes: Memory for decoded pictures and their motion channels, per worker.
    """

    tile: int | None = Field(default=None, ge=32, le=8192)
    on_object: float = Field(default=0.7, ge=0, le=1)
    balance_classes: bool = True
    size_power: float = Field(default=0.5, ge=0, le=1)
    repeat_below: float = Field(default=0.0, ge=0, le=1)
    keep_visible: float = Field(default=0.3, ge=0, le=1)
    first_frame: int = Field(default=0, ge=0)
    frame_step: int = Field(default=1, ge=1)
    cache_megabytes: int = Field(default=2000, ge=0)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTile:
    """A tile with its labels, network pixels.

    Attributes:
        image: ``(size, size, C)`` uint8.
        boxes: ``(G, 4)`` float32, cut to the tile.
        labels: ``(G,)`` int64.
        ignore: ``(M, 4)`` float32: places where neither an object nor its absence is taught.
    """

    image: UInt8Image
    boxes: FloatArray
    labels: IntArray
    ignore: FloatArray


def repeat_factors(dataset: Dataset, below: float) -> NDArray[np.float64]:
    """How much more often each picture is drawn for the rarest of its classes, ``(S,)``, 1 or more.

    Args:
        dataset: Labelled pictures; ignored objects do not count.
        below: Classes in a smaller share of the pictures than this are rare.
    """
    held = np.zeros((len(dataset), len(dataset.class_names)), bool)
    for row, sample in enumerate(dataset.samples):
        held[row, sample.annotations.labels[~sample.annotations.ignore]] = True
    share = np.maximum(held.mean(axis=0), 1 / max(1, len(dataset)))  # (C,)
    factors: NDArray[np.float64] = np.where(held, np.sqrt(below / share), 1).max(axis=1, initial=1)
    return factors


class TileSampler:
    """Training tile number i of a data set; see the module's docstring.

    Args:
        dataset: Labelled pictures; those that cannot be read raise when first drawn.
        read_image: Gives the pixels of a sample, ``(H, W, C)`` uint8, motion channels included.
        size: Side of a tile, network pixels; the tile plan's.
        scales: Enlargement of each picture, ``(S,)``, or of all; varied by `augment`.
        sampling: Which tiles.
        augment: How they are varied.
        seed: Together with i determines the tile.
        motion: The last so many channels tell of motion: they are turned, scaled and cut as the
            picture is, and their values stay as they are.
    """

    def __init__(
        self,
        dataset: Dataset,
        read_image: Callable[[Sample], UInt8Image],
        size: int,
        scales: float | NDArray[np.float64],
        sampling: SamplingConfig,
        augment: AugmentConfig,
        seed: int,
        motion: int = 0,
    ) -> None:
        self.dataset, self.size, self.seed, self.motion = dataset, size, seed, motion
        self.sampling, self.augment = sampling, augment
        self._read = read_image
        self._cache: OrderedDict[int, UInt8Image] = OrderedDict()
        self._cached_bytes = 0
        sides = np.array([(s.width, s.height) for s in dataset.samples], np.float64)  # (S, 2)
        self._scales = np.broadcast_to(scales, len(sides))
        tiles = np.maximum(1.0, sides.prod(axis=1) * (self._scales / size) ** 2)
        weights = tiles**sampling.size_power * repeat_factors(dataset, sampling.repeat_below)
        self._weights = weights / weights.sum()

    def __call__(self, index: int) -> TrainingTile:
        """Draw tile `index`."""
        rng = np.random.default_rng((self.seed, index))
        row = int(rng.choice(len(self._weights), p=self._weights))
        sample, image = self.dataset.samples[row], self._image(row)
        linear = draw_linear_map(self.augment, float(self._scales[row]), rng)
        centre = self._draw_centre(sample, linear, rng)
        size = self.size
        tile = warp_image(image, linear, centre, size)
        shape = self.augment.turned_box
        labels, ignored = sample.annotations.labels, sample.annotations.ignore
        whole = warp_boxes(sample.annotations.boxes, linear, centre, size, shape)
        cut = clip_boxes(whole, size, size)
        visible = box_area(cut) / np.maximum(box_area(whole), 1e-6)
        taught = ~ignored & (visible >= self.sampling.keep_visible)
        unsure = ~taught & (visible > 0)
        boxes, labels, ignore = cut[taught], labels[taught], cut[unsure]
        if rng.random() < self.augment.paste:
            tile, boxes, labels = paste_objects(tile, boxes, labels, ignore, rng)
        return TrainingTile(self._recoloured(tile, rng), boxes, labels, ignore)

    def _recoloured(self, tile: UInt8Image, rng: np.random.Generator) -> UInt8Image:
        if not self.motion:
            return vary_colour(tile, self.augment, rng)
        colours = np.ascontiguousarray(tile[..., : -self.motion])
        varied = vary_colour(colours, self.augment, rng)
        return np.concatenate([varied, tile[..., -self.motion :]], axis=2)

    def _draw_centre(self, sample: Sample, linear: Matrix, rng: np.random.Generator) -> FloatArray:
        """A tile centre, picture pixels: near an object or anywhere, kept inside the picture."""
        factor = math.sqrt(abs(np.linalg.det(linear)))
        half = self.size / factor / 2
        extent = np.array([sample.width, sample.height], np.float64)
        boxes = sample.annotations.boxes
        if len(boxes) and rng.random() < self.sampling.on_object:
            box = boxes[self._draw_object(sample, rng)]
            centre = (box[:2] + box[2:]) / 2 + rng.uniform(-0.8, 0.8, 2) * half
        else:
            centre = rng.uniform(0, 1, 2) * extent
        # A picture smaller than the tile may lie anywhere in it.
        low, high = np.minimum(half, extent - half), np.maximum(half, extent - half)
        kept: FloatArray = np.clip(centre, low, high)
        return kept

    def _draw_object(self, sample: Sample, rng: np.random.Generator) -> int:
        """A row of the sample's objects: any class first, so that a rare one is seen as often."""
        labels = sample.annotations.labels
        classes = np.unique(labels)
        if not self.sampling.balance_classes or len(classes) == 1:
            return int(rng.integers(len(labels)))
        return int(rng.choice(np.flatnonzero(labels == rng.choice(classes))))

    def _image(self, row: int) -> UInt8Image:
        if row in self._cache:
            self._cache.move_to_end(row)
            return self._cache[row]
        image = self._read(self.dataset.samples[row])
        self._cache[row] = image
        self._cached_bytes += image.nbytes
        while self._cached_bytes > self.sampling.cache_megabytes * 1e6 and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= dropped.nbytes
        return image
