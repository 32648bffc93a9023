"""Batches of training tiles, the same whatever the number of workers or the point of resuming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from foveate.data.formats import load_dataset
from foveate.data.formats.splits import split_names, with_same_classes
from foveate.data.images import load_image
from foveate.data.sampling import TileSampler, TrainingTile
from foveate.errors import FoveateError, UsageError
from foveate.models import Targets
from foveate.structures import Dataset
from foveate.training.recipe import Recipe


def training_splits(data: Path) -> tuple[Dataset, Dataset | None]:
    """Training pictures, and validation pictures where there are any.

    Args:
        data: A data set in any format that `load_dataset` reads; its `train` and `val` parts are
            taken, or all of it where it has no parts.

    Raises:
        FoveateError: If pictures are missing, before a long run starts.
    """
    names = split_names(data)
    if "train" not in names:
        return _checked(load_dataset(data)), None
    val = next((name for name in ("val", "valid") if name in names), None)
    wanted = ["train"] if val is None else ["train", val]
    parts = with_same_classes({name: load_dataset(data, split=name) for name in wanted})
    train_set, *rest = map(_checked, parts.values())
    return train_set, rest[0] if rest else None


def _checked(dataset: Dataset) -> Dataset:
    missing = [s.path for s in dataset.samples if not s.path.is_file()]
    if missing:
        raise FoveateError(f"{dataset.name}: {len(missing)} pictures are missing, "
                           f"the first is {missing[0]}")  # fmt: skip
    if not dataset.samples:
        raise UsageError(f"{dataset.name}: no pictures to learn from")
    return dataset


class TileDataset(TorchDataset[tuple[Tensor, Targets]]):
    """Tiles `first`, `first + 1`, ... of a sampler."""

    def __init__(self, sampler: TileSampler, first: int, count: int) -> None:
        self.sampler, self.first, self.count = sampler, first, count

    def __len__(self) -> int:
        """Tiles left to draw."""
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Targets]:
        """Tile `first + index` as tensors."""
        return to_tensors(self.sampler(self.first + index))


def to_tensors(tile: TrainingTile) -> tuple[Tensor, Targets]:
    """A training tile as ``(H, W, C)`` uint8 and its targets."""
    image = torch.from_numpy(np.ascontiguousarray(tile.image))
    boxes, labels = torch.from_numpy(tile.boxes), torch.from_numpy(tile.labels)
    return image, Targets(boxes, labels, torch.from_numpy(tile.ignore))


def batches(
    dataset: Dataset, recipe: Recipe, first_step: int
) -> Iterator[tuple[Tensor, list[Targets]]]:
    """Batches from step `first_step` to the last: images ``(N, H, W, C)`` uint8, and targets."""
    sampler = TileSampler(
        dataset,
        lambda sample: load_image(sample.path),
        recipe.sampling.tile or recipe.tile_plan.size,
        recipe.tile_plan.scale,
        recipe.sampling,
        recipe.augment,
        recipe.seed,
    )
    first = first_step * recipe.batch_size
    tiles = TileDataset(sampler, first, recipe.iterations * recipe.batch_size - first)
    return iter(
        DataLoader(
            tiles,
            batch_size=recipe.batch_size,
            num_workers=recipe.workers,
            collate_fn=_collate,
            persistent_workers=False,
        )
    )


def _collate(items: list[tuple[Tensor, Targets]]) -> tuple[Tensor, list[Targets]]:
    return torch.stack([image for image, _ in items]), [targets for _, targets in items]
