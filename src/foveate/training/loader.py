"""Batches of training tiles, the same whatever the number of workers or the point of resuming."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from foveate.data.clips import ClipReader, drawn_frames, require_apart
from foveate.data.formats import load_dataset
from foveate.data.formats.coco_video import Clip, load_clips
from foveate.data.formats.splits import split_names, with_same_classes
from foveate.data.images import load_image
from foveate.data.sampling import TileSampler, TrainingTile
from foveate.errors import FoveateError, UsageError
from foveate.models import Targets
from foveate.structures import Dataset, FloatArray, IntArray, Sample, UInt8Image
from foveate.training.recipe import Recipe

_MOST_WORKERS = 8
_Labels: TypeAlias = tuple[FloatArray, IntArray, FloatArray]
"""Boxes, labels and ignored places of a tile."""


class Part(NamedTuple):
    """Pictures, and which of them are frames of clips.

    Attributes:
        dataset: The pictures that are drawn, or validated on.
        clips: All clips, with the frames that are not.
    """

    dataset: Dataset
    clips: tuple[Clip, ...]

    def drawn(self, recipe: Recipe) -> Part:
        """Without near-duplicates, as the recipe's sampling says.

        Raises:
            UsageError: If no picture is left.
        """
        step, first = recipe.sampling.frame_step, recipe.sampling.first_frame
        kept = drawn_frames(self.dataset, self.clips, step, recipe.motion, first)
        if not kept.samples:
            raise UsageError(f"{kept.name}: no clip reaches sampling.first_frame, {first}")
        return self._replace(dataset=kept)


def training_splits(data: Path) -> tuple[Part, Part | None]:
    """Training pictures, and validation pictures where there are any.

    Args:
        data: A data set in any format that `load_dataset` reads; its `train` and `val` parts are
            taken, or all of it where it has no parts.

    Raises:
        FoveateError: If pictures are missing, before a long run starts.
        UsageError: If both parts have frames of one clip.
    """
    names = split_names(data)
    if "train" not in names:
        return Part(_checked(load_dataset(data)), load_clips(data)), None
    val = next((name for name in ("val", "valid") if name in names), None)
    wanted = ["train"] if val is None else ["train", val]
    parts = with_same_classes({name: load_dataset(data, split=name) for name in wanted})
    train_part, *rest = (
        Part(_checked(part), load_clips(data, split)) for split, part in parts.items()
    )
    if val is None:
        return train_part, None
    require_apart(train_part.clips, rest[0].clips, ("train", val))
    return train_part, rest[0]


def _checked(dataset: Dataset) -> Dataset:
    missing = [s.path for s in dataset.samples if not s.path.is_file()]
    if missing:
        raise FoveateError(f"{dataset.name}: {len(missing)} pictures are missing, "
                           f"the first is {missing[0]}")  # fmt: skip
    if not dataset.samples:
        raise UsageError(f"{dataset.name}: no pictures to learn from")
    return dataset


@dataclass(frozen=True, slots=True)
class Share:
    """Which tiles are drawn: of every step's batch the same part.

    Attributes:
        batch_size: Tiles of a step in all.
        first: Of them, the first that is drawn here.
        size: Tiles of a step that are drawn here.
        first_step: From this step.
        steps: In all, from the run's beginning.
    """

    batch_size: int
    first: int
    size: int
    first_step: int
    steps: int

    def __len__(self) -> int:
        """Tiles left to draw."""
        return max(0, self.steps - self.first_step) * self.size

    def tile(self, index: int) -> int:
        """Number of the `index`-th tile that is drawn here."""
        step, place = divmod(index, self.size)
        return (self.first_step + step) * self.batch_size + self.first + place


class TileDataset(TorchDataset[TrainingTile | FoveateError]):
    """The tiles of a share; where one cannot be drawn, the error, whole across processes."""

    def __init__(self, sampler: TileSampler, share: Share) -> None:
        self.sampler, self.share = sampler, share

    def __len__(self) -> int:
        """Tiles left to draw."""
        return len(self.share)

    def __getitem__(self, index: int) -> TrainingTile | FoveateError:
        """The `index`-th tile of the share."""
        try:
            return self.sampler(self.share.tile(index))
        except FoveateError as error:
            return error


def worker_count(recipe: Recipe) -> int:
    """Loader processes of each device: the recipe's, or what suits this machine."""
    if recipe.workers is not None:
        return recipe.workers
    if not torch.cuda.is_available():
        return 0
    return min(_MOST_WORKERS, max(1, ((os.cpu_count() or 1) - 1) // recipe.devices))


def batches(
    dataset: Dataset,
    recipe: Recipe,
    first_step: int,
    process: int = 0,
    clips: Sequence[Clip] = (),
) -> Iterator[tuple[Tensor, list[Targets]]]:
    """Batches from step `first_step` to the last: images ``(N, H, W, C)`` uint8, and targets.

    Args:
        dataset: Training pictures.
        recipe: Tiles, batch, seed, processes.
        first_step: 0, or where a run goes on.
        process: Which of the recipe's devices draws; N is its part of the batch.
        clips: Which of the pictures are frames of one clip, for a recipe that asks for motion.

    Raises:
        FoveateError: If a picture cannot be read, when it is first drawn.
    """
    sampler = TileSampler(
        dataset,
        _read if recipe.motion is None else ClipReader(recipe.motion, clips),
        recipe.sampling.tile or recipe.tile_plan.size,
        recipe.tile_plan.enlargements([(s.width, s.height) for s in dataset.samples]),
        recipe.sampling,
        recipe.augment,
        recipe.seed,
        recipe.motion.channels if recipe.motion else 0,
    )
    size = recipe.batch_size // recipe.devices
    share = Share(recipe.batch_size, process * size, size, first_step, recipe.iterations)
    loader: DataLoader[TrainingTile | FoveateError] = DataLoader(
        TileDataset(sampler, share),
        batch_size=size,
        num_workers=worker_count(recipe),
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
    )
    for images, tiles in loader:
        if isinstance(tiles, FoveateError):
            raise tiles
        yield images, [_targets(tile) for tile in tiles]


def _read(sample: Sample) -> UInt8Image:
    return load_image(sample.path)


def _collate(
    tiles: list[TrainingTile | FoveateError],
) -> tuple[Tensor, list[_Labels] | FoveateError]:
    """Pixels as one tensor; labels stay arrays: between processes a tensor takes a file handle."""
    drawn = []
    for tile in tiles:
        if isinstance(tile, FoveateError):
            return torch.zeros(0), tile
        drawn.append(tile)
    images = torch.from_numpy(np.stack([tile.image for tile in drawn]))
    return images, [(tile.boxes, tile.labels, tile.ignore) for tile in drawn]


def _targets(labels: _Labels) -> Targets:
    boxes, classes, ignore = map(torch.from_numpy, labels)
    return Targets(boxes, classes, ignore)
