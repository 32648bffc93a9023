"""The second stage of two-stage methods: regions of the maps, what they hold, and what they learn.

Shapes: N = tiles, B = regions of a batch, P = positive ones, K = proposals of a tile, C = classes.
A region is a row of five: number of the tile in the batch, then xyxy network pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import roi_align  # type: ignore[import-untyped]

from foveate.config import Config
from foveate.losses import MatchingConfig, hardest, match_anchors
from foveate.models.dense import encode_boxes
from foveate.models.method import Decoded, Targets
from foveate.models.proposals import Proposals, within

_CODING = (0.1, 0.1, 0.2, 0.2)
"""What one unit of the box output is, in the units of `encode_boxes` [S: weights 10, 10, 5, 5]."""
_GOLDEN = (math.sqrt(5) - 1) / 2


class RegionHeadConfig(Config):
    """The second stage: what is read of a region, and which ones learn.

    Attributes:
        bins: Cells of a region after pooling, along each side.
        samples: Points of a bin, along each side, that are read from the map.
        width: Of the two fully connected layers; the papers' 1024 [S] takes four times as long.
        class_agnostic: One box a region instead of one a class.
        global_context: Show the head the mean of the coarsest map over the tile as well.
        matching: Which regions learn which boxes, of the proposals and the labelled boxes
            themselves. [S] From an IoU of .5 one is positive, below it background.
        drawn: Regions of a tile that learn (Fast R-CNN: 64 of each picture; FPN: 512 [S]).
        positive: At most this share of them.
        box_weight: Weight of the box loss.
        box_beta: Where smooth L1 turns from square to straight: 1 is a tenth of the region's side
            for the centre and a fifth of the logarithm of the sides' ratio [S].
        refinements: How often a region is moved to the box found in it and judged again, at run
            time; what was found before stays among the candidates.
    """

    bins: int = Field(default=7, ge=1, le=32)
    samples: int = Field(default=2, ge=1, le=8)
    width: int = Field(default=256, ge=8)
    class_agnostic: bool = False
    global_context: bool = False
    matching: MatchingConfig = MatchingConfig(positive=0.5, negative=0.5, best=1.0)
    drawn: int = Field(default=128, ge=4)
    positive: float = Field(default=0.25, gt=0, le=1)
    box_weight: float = Field(default=1.0, gt=0)
    box_beta: float = Field(default=1.0, gt=0)
    refinements: int = Field(default=0, ge=0, le=5)


class RegionLesson(NamedTuple):
    """Regions of a batch and what they are taught.

    Attributes:
        regions: ``(B, 5)``.
        classes: ``(B,)`` int64; C is background.
        deltas: ``(P, 4)``: the boxes of those that have one, see `encode_boxes`.
    """

    regions: Tensor
    classes: Tensor
    deltas: Tensor


class SingleMap(nn.Module):
    """Pool regions from one map.

    Args:
        channels: Of the map.
        stride: Of the map.
        config: Bins and samples.

    Attributes:
        channels: Of a pooled region.
    """

    def __init__(self, channels: int, stride: int, config: RegionHeadConfig) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride
        self.bins, self.samples = config.bins, config.samples

    def forward(self, maps: Sequence[Tensor], regions: Tensor) -> Tensor:
        """``(B, channels, bins, bins)`` of regions ``(B, 5)`` of the only map."""
        return pooled(maps[0], regions, self.stride, self.bins, self.samples)


class LevelMaps(nn.Module):
    """Pool each region from the level that suits its size (Lin 2017, arXiv:1612.03144, eq. 1 [S]).

    The levels are laid side by side, so that one pooling serves all and shapes are known before
    the sizes are. Each has a border of its own edge, as pooling has beyond the edge of a map: for
    regions within the tile the result is that of pooling from the level itself.

    Args:
        channels: Of every map.
        strides: Of the maps, finest first, each twice the one before.
        canonical: See `region_levels`.
        config: Bins and samples.

    Attributes:
        channels: Of a pooled region.
    """

    def __init__(
        self, channels: int, strides: Sequence[int], canonical: float, config: RegionHeadConfig
    ) -> None:
        super().__init__()
        self.channels, self.strides, self.canonical = channels, tuple(strides), canonical
        self.bins, self.samples = config.bins, config.samples
        widths = torch.tensor([strides[0] / stride for stride in strides])
        self.sides: Tensor
        self.lefts: Tensor
        self.register_buffer("sides", torch.tensor(strides).float(), persistent=False)
        self.register_buffer("lefts", widths.cumsum(0) - widths, persistent=False)

    def forward(self, maps: Sequence[Tensor], regions: Tensor) -> Tensor:
        """``(B, channels, bins, bins)`` of regions ``(B, 5)`` within their tiles."""
        level = region_levels(regions[:, 1:], self.strides, self.canonical)  # (B,)
        # The borders of 1 around the levels before, and its own.
        left = self.lefts[level] * maps[0].shape[3] + 2 * level + 1
        corners = regions[:, 1:] / self.sides[level][:, None]
        shift = torch.stack([left, torch.ones_like(left)] * 2, dim=1)
        placed = torch.cat([regions[:, :1], corners + shift], dim=1)
        return pooled(_side_by_side(maps), placed, 1, self.bins, self.samples)


def region_levels(boxes: Tensor, strides: Sequence[int], canonical: float) -> Tensor:
    """Which level each box is pooled from, ``(B,)`` int64, 0 being the finest.

    Args:
        boxes: ``(B, 4)`` xyxy network pixels.
        strides: Of the levels, each twice the one before.
        canonical: Side, network pixels, of the least square that goes to stride 16: the paper's 224
            [S].
    """
    side = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6).prod(dim=1).sqrt()
    # As torchvision: a box of just that size must not fall short of it by rounding.
    level = torch.floor(torch.log2(side * 16 / (canonical * strides[0])) + 1e-6)
    return level.clamp(0, len(strides) - 1).long()


def pooled(features: Tensor, regions: Tensor, stride: float, bins: int, samples: int) -> Tensor:
    """RoIAlign (He 2017, arXiv:1703.06870): the mean of points between cells, nothing rounded.

    Args:
        features: ``(N, channels, h, w)``.
        regions: ``(B, 5)``.
        stride: Of the map.
        bins: Of a region, along each side.
        samples: Of a bin, along each side.

    Returns:
        ``(B, channels, bins, bins)`` float32.
    """
    found: Tensor = roi_align(features.float(), regions, bins, 1 / stride, samples, aligned=True)
    return found


def _side_by_side(maps: Sequence[Tensor]) -> Tensor:
    """Maps with a border of their own edge, in one, aligned at the top."""
    bordered = [functional.pad(level, (1, 1, 1, 1), mode="replicate") for level in maps]
    height = maps[0].shape[2]
    below = [functional.pad(b, (0, 0, 0, height - m.shape[2])) for b, m in zip(bordered, maps,
             strict=True)]  # fmt: skip
    return torch.cat(below, dim=3)


def as_regions(boxes: Tensor) -> Tensor:
    """Boxes of every tile, ``(N, K, 4)``, as regions ``(N * K, 5)``."""
    tile = torch.arange(boxes.shape[0], device=boxes.device, dtype=boxes.dtype)
    numbered = torch.cat([tile[:, None, None].expand(-1, boxes.shape[1], 1), boxes], dim=2)
    return numbered.reshape(-1, 5)


class RegionHead(nn.Module):
    """Two fully connected layers, then the class and the boxes of a region.

    Args:
        inputs: Values that are read of a region.
        class_count: C.
        config: Width, and boxes for all classes or one.
    """

    def __init__(self, inputs: int, class_count: int, config: RegionHeadConfig) -> None:
        super().__init__()
        first, second = nn.Linear(inputs, config.width), nn.Linear(config.width, config.width)
        for layer in (first, second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.hidden = nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
        self.classify = nn.Linear(config.width, class_count + 1)
        self.regress = nn.Linear(config.width, 4 * (1 if config.class_agnostic else class_count))
        # [S: Fast R-CNN's deviations.]
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.normal_(self.regress.weight, std=0.001)
        for last in (self.classify, self.regress):
            nn.init.zeros_(last.bias)
        self.coding: Tensor
        self.register_buffer("coding", torch.tensor(_CODING), persistent=False)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """What regions hold of which ``(B, inputs)`` is read.

        Returns:
            Logits ``(B, C + 1)``, background last; and deltas ``(B, C, 4)``, or ``(B, 1, 4)`` of
            all classes, see `encode_boxes`.
        """
        hidden = self.hidden(values)
        deltas = self.regress(hidden).unflatten(1, (-1, 4))
        return self.classify(hidden), deltas * self.coding


def draw_regions(
    proposals: Proposals,
    targets: list[Targets],
    size: tuple[int, int],
    background: int,
    config: RegionHeadConfig,
) -> RegionLesson:
    """Which regions learn, and what: of proposals and labelled boxes, a quarter positive at most.

    The papers draw at random. [D] Here they are taken evenly over the ranks of the proposals, so
    that chance, the batch and the order of tiles have no part in it.

    Args:
        proposals: Of each tile.
        targets: Likewise.
        size: Height and width of the tiles, network pixels.
        background: The class of a region without an object: C.
        config: How many, and what is positive.
    """
    lessons = [
        _drawn_of_tile(boxes[used], target, size, background, config)
        for boxes, used, target in zip(proposals.boxes, proposals.used, targets, strict=True)
    ]
    boxes, classes, deltas = zip(*lessons, strict=True)
    numbered = [functional.pad(b, (1, 0), value=float(tile)) for tile, b in enumerate(boxes)]
    return RegionLesson(torch.cat(numbered), torch.cat(classes), torch.cat(deltas))


def _drawn_of_tile(
    proposed: Tensor,
    target: Targets,
    size: tuple[int, int],
    background: int,
    config: RegionHeadConfig,
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, classes, and the positive ones' deltas of one tile."""
    boxes = torch.cat([within(target.boxes, size), proposed])
    match = match_anchors(boxes, target.boxes, target.ignore, config.matching)
    order = spread(len(boxes), boxes.device)
    most = torch.tensor([round(config.drawn * config.positive)], device=boxes.device)
    positive = hardest(order, match.positive[None], most)
    others = config.drawn - positive.sum(dim=1)
    rest = hardest(order, (match.taught & ~match.positive)[None], others)
    chosen = (positive | rest)[0].nonzero()[:, 0]
    is_object = positive[0, chosen]
    owner = match.owner[chosen[is_object]]
    classes = torch.full_like(chosen, background)
    classes[is_object] = target.labels[owner]
    deltas = encode_boxes(target.boxes[owner], boxes[chosen[is_object]])
    return boxes[chosen], classes, deltas


def spread(count: int, device: torch.device) -> Tensor:
    """Numbers in ``[0, 1)``, ``(1, count)``: the rows of the greatest few lie evenly among all.

    Multiples of the golden ratio, less their whole part: as even as any order can be.
    """
    rows = torch.arange(1, count + 1, device=device, dtype=torch.float64)
    return (rows * _GOLDEN).frac()[None]


def region_losses(
    logits: Tensor, deltas: Tensor, lesson: RegionLesson, config: RegionHeadConfig
) -> dict[str, Tensor]:
    """Cross-entropy per region and smooth L1 per positive one.

    [D] The papers divide the second by all regions: where objects are few a box would hardly teach.

    Args:
        logits: ``(B, C + 1)``.
        deltas: ``(B, C, 4)`` or ``(B, 1, 4)``.
        lesson: Of these regions.
        config: Weights.
    """
    row = (lesson.classes < logits.shape[1] - 1).nonzero()[:, 0]  # (P,)
    column = torch.zeros_like(row) if deltas.shape[1] == 1 else lesson.classes[row]
    unit = deltas.new_tensor(_CODING)
    boxes = functional.smooth_l1_loss(
        deltas[row, column] / unit, lesson.deltas / unit, beta=config.box_beta, reduction="sum"
    )
    classes = functional.cross_entropy(logits, lesson.classes, reduction="sum")
    return {
        "class": classes / max(1, len(lesson.classes)),
        "box": config.box_weight * boxes / max(1, len(row)),
    }


def best_pairs(boxes: Tensor, scores: Tensor, count: int) -> Decoded:
    """The `count` most probable pairs of region and class, best first.

    Args:
        boxes: ``(N, K, C, 4)``.
        scores: ``(N, K, C)``.
        count: Rows of the result; those beyond the last pair have score 0.
    """
    missing = max(0, count - scores.shape[1] * scores.shape[2])
    rows = functional.pad(boxes.flatten(1, 2), (0, 0, 0, missing))
    best, index = functional.pad(scores.flatten(1), (0, missing)).topk(count, dim=1)
    chosen = rows.gather(1, index[..., None].expand(-1, -1, 4))
    return Decoded(chosen, best, index % scores.shape[2])
