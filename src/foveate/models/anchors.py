"""Anchors: what a recipe says of them, and where they lie on a tile.

Shapes: A = anchors of a cell, R = anchors of all cells of all levels.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from foveate.config import Config
from foveate.errors import UsageError
from foveate.models.backbones import BackboneConfig
from foveate.models.pixels import Exposure

AnchorLevels: TypeAlias = tuple[tuple[tuple[float, float], ...], ...]
"""Width and height of each anchor of each level, network pixels, finest level first."""

DEFAULT = "default"
AUTO = "auto"

NATURAL_SIDE = 4
"""Strides: the side of the objects that a level's cells suit [S: RetinaNet, 32 px at stride 8]."""

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)\s*")


class AnchoredConfig(Config):
    """Settings that every method with anchors has.

    Attributes:
        backbone: Its strides are those of the finer maps that have anchors.
        exposure: See `Pixels`.
        anchors: `default` is the method's own; `auto` fits them to the training pictures, and the
            run folder's recipe says what came out; or widths and heights in network pixels, as in
            `10x13,16x30; 30x61,62x45`, with a `;` between levels, finest first.
        anchor_fit: How `auto` fits, by a row of `foveate.data.anchors.ANCHOR_FITS`.
        anchors_per_level: How many `auto` gives to each level.
        least_anchor: Least side that `auto` gives, network pixels.
        suppression: Of two boxes of one class and tile that overlap by this IoU, the better stays.
            For soft-NMS: 1 here, and `merge.method: soft-nms` in the recipe.
        candidates: Best boxes of a tile that suppression chooses from, several an object.
        max_detections: Most boxes one tile can give.
    """

    backbone: BackboneConfig = BackboneConfig(strides=(8, 16, 32))
    exposure: Exposure = "fixed"
    anchors: str = DEFAULT
    anchor_fit: Literal["kmeans", "kmedoids"] = "kmeans"
    anchors_per_level: int = Field(default=3, ge=1, le=32)
    least_anchor: float = Field(default=1.0, gt=0)
    suppression: float = Field(default=0.5, gt=0, le=1)
    candidates: int = Field(default=1000, ge=1)
    max_detections: int = Field(default=300, ge=1)

    @property
    @abstractmethod
    def level_strides(self) -> tuple[int, ...]:
        """Of the maps that have anchors, network pixels, finest first."""

    @property
    @abstractmethod
    def default_anchors(self) -> AnchorLevels:
        """The method's own."""

    @property
    def anchor_sizes(self) -> AnchorLevels:
        """The anchors to build the method with.

        Raises:
            UsageError: If they are still to be fitted.
        """
        if self.anchors == AUTO:
            raise UsageError("anchors: auto needs training pictures; say default, or widths and "
                             "heights")  # fmt: skip
        return self.default_anchors if self.anchors == DEFAULT else parse_anchors(self.anchors)

    @model_validator(mode="after")
    def _anchors_suit_the_levels(self) -> AnchoredConfig:
        if self.anchors in (DEFAULT, AUTO):
            return self
        levels, strides = parse_anchors(self.anchors), self.level_strides
        if len(levels) != len(strides):
            raise ValueError(
                f"anchors: {len(levels)} levels are given and the method has {len(strides)}, of "
                f"strides {', '.join(map(str, strides))}; put a ';' between levels"
            )
        counts = [len(level) for level in levels]
        if len(set(counts)) > 1:
            raise ValueError("anchors: every level needs as many as the others, got "
                             f"{', '.join(map(str, counts))}")  # fmt: skip
        return self


def with_further(strides: tuple[int, ...], further: int) -> tuple[int, ...]:
    """Strides of a backbone's maps and of `further` ones, each twice the one before."""
    return (*strides, *(strides[-1] * 2**n for n in range(1, further + 1)))


def parse_anchors(text: str) -> AnchorLevels:
    """Read what `format_anchors` writes.

    Raises:
        ValueError: If a size is not two positive numbers.
    """
    return tuple(tuple(_parse_size(size) for size in level.split(",")) for level in text.split(";"))


def _parse_size(text: str) -> tuple[float, float]:
    match = _SIZE.fullmatch(text)
    size = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if min(size) <= 0:
        raise ValueError(f"anchors: expected {DEFAULT}, {AUTO} or sizes such as 10x13,16x30; "
                         f"30x61,62x45, got {text.strip()!r}")  # fmt: skip
    return size


def format_anchors(levels: AnchorLevels) -> str:
    """Widths and heights to a tenth of a pixel, as in ``10x13,16.5x30; 30x61,62x45``."""
    return "; ".join(
        ",".join(f"{round(w, 1):g}x{round(h, 1):g}" for w, h in level) for level in levels
    )


class AnchorGrid(nn.Module):
    """The anchors of every cell of every level, for a tile of any size.

    Args:
        levels: Sizes by level, as many each.
        strides: Of the levels, network pixels.

    Attributes:
        per_cell: A.
    """

    def __init__(self, levels: AnchorLevels, strides: Sequence[int]) -> None:
        super().__init__()
        self.per_cell = len(levels[0])
        self.strides = tuple(strides)
        self.sizes: Tensor
        self.register_buffer("sizes", torch.tensor(levels), persistent=False)  # (levels, A, 2)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Boxes of all anchors, ``(R, 4)`` xyxy network pixels.

        Args:
            maps: One a level, ``(N, channels, h, w)``; only their sizes count. A level's anchors
                go row by row, cell by cell, anchor by anchor.
        """
        return torch.cat(
            [
                _around_cells(sizes, stride, level.shape[2], level.shape[3])
                for sizes, stride, level in zip(self.sizes, self.strides, maps, strict=True)
            ]
        )


def _around_cells(sizes: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Boxes of sizes ``(A, 2)`` around the cells' centres, ``(height * width * A, 4)``."""
    y = (torch.arange(height, device=sizes.device) + 0.5)[:, None, None] * stride  # (h, 1, 1)
    x = (torch.arange(width, device=sizes.device) + 0.5)[None, :, None] * stride  # (1, w, 1)
    across, down = (sizes / 2).unbind(1)  # (A,)
    shape = (height, width, len(sizes))
    edges = [edge.expand(shape) for edge in (x - across, y - down, x + across, y + down)]
    return torch.stack(edges, dim=-1).reshape(-1, 4)
