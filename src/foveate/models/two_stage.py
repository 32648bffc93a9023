"""What two-stage methods share: propose regions, pool them from the maps, judge each.

Shapes: N = tiles, R = anchors of a tile, K = proposals of a tile, B = regions of a batch, C =
classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from foveate.models.anchors import AnchoredConfig, AnchorLevels
from foveate.models.backbones import Backbone, BackboneConfig
from foveate.models.dense import AnchoredMethod, Dense, decode_boxes
from foveate.models.method import Decoded, Targets
from foveate.models.proposals import (
    ProposalConfig,
    ProposalHead,
    Proposals,
    best_proposals,
    proposal_losses,
    within,
)
from foveate.models.regions import (
    RegionHead,
    RegionHeadConfig,
    as_regions,
    best_pairs,
    draw_regions,
    region_losses,
)

_RATIOS = (0.5, 1.0, 2.0)


class RegionConfig(AnchoredConfig):
    """Settings of every two-stage method.

    Attributes:
        backbone: Whose maps are used.
        width: Channels of the maps that anchors stand on.
        proposals: The first stage.
        regions: The second stage.
    """

    backbone: BackboneConfig = BackboneConfig(strides=(16,))
    width: int = Field(default=96, ge=8)
    proposals: ProposalConfig = ProposalConfig()
    regions: RegionHeadConfig = RegionHeadConfig()


class Maps(NamedTuple):
    """What a neck makes of the backbone's maps.

    Attributes:
        proposing: Those that anchors stand on, ``(N, width, h, w)`` each, finest first.
        pooled: Those that regions are read from, finest first.
    """

    proposing: list[Tensor]
    pooled: list[Tensor]


class Pool(Protocol):
    """Reads regions ``(B, 5)`` from maps, as `SingleMap` does: ``(B, channels, bins, bins)``.

    Attributes:
        channels: Of a pooled region.
    """

    channels: int

    def __call__(self, maps: Sequence[Tensor], regions: Tensor) -> Tensor:
        """Read regions ``(B, 5)`` from maps, finest first."""


class Staged(NamedTuple):
    """Raw outputs: all that the second stage needs.

    It runs on what the first proposes in `decode`, and on what is drawn with the help of the labels
    in `loss`: one `forward` for both, and no region is judged in vain.

    Attributes:
        maps: That regions are pooled from, finest first.
        first: What the first stage says of every anchor; one class.
    """

    maps: tuple[Tensor, ...]
    first: Dense


class TwoStage(AnchoredMethod):
    """Neck, proposals, pooling and head over a backbone.

    Args:
        config: Of the method.
        class_count: C.
        backbone: Gives the maps.
        neck: From them to `Maps`.
        pool: A `Pool` module.
        finest: Stride of the finest pooled map, network pixels.
    """

    near_ties = 0.02

    def __init__(
        self,
        config: RegionConfig,
        class_count: int,
        backbone: Backbone,
        neck: nn.Module,
        pool: Pool,
        finest: int,
    ) -> None:
        super().__init__(config, class_count, backbone)
        self.config, self.finest = config, finest
        self.neck, self.pool = neck, pool
        self.propose = ProposalHead(config.width, self.anchors.per_cell)
        beside = config.width if config.regions.global_context else 0
        inputs = pool.channels * config.regions.bins**2 + beside
        self.judge = RegionHead(inputs, class_count, config.regions)

    def forward(self, images: Tensor) -> Staged:
        """Maps and first stage of ``(N, H, W, channels)`` uint8 images."""
        maps: Maps = self.neck(self.backbone(self.pixels(images)))
        logits, deltas = self.propose(maps.proposing)
        counts = tuple(m.shape[2] * m.shape[3] * self.anchors.per_cell for m in maps.proposing)
        first = Dense(logits, deltas, self.anchors(maps.proposing), counts)
        return Staged(tuple(maps.pooled), first)

    def proposals(self, outputs: Staged) -> Proposals:
        """Where the second stage looks."""
        return best_proposals(outputs.first, self._size(outputs), self.config.proposals)

    def decode(self, outputs: Staged) -> Decoded:
        """The best pairs of region and class, several an object.

        The score of a region that has been moved is the geometric mean of what it was judged at
        every place [D]: what has been moved onto an object from afar is hardly believed.
        """
        boxes, used = self.proposals(outputs)
        found, scores, certain = [], [], torch.zeros(())
        for judged in range(1, 2 + self.config.regions.refinements):
            logits, deltas = self._judged(outputs, as_regions(boxes))
            shape = (*boxes.shape[:2], -1)
            certain = certain + logits.log_softmax(dim=1)[:, :-1].reshape(shape)  # (N, K, C)
            placed = decode_boxes(deltas.reshape(*shape, 4), boxes[:, :, None])
            found.append(placed.expand(-1, -1, self.class_count, -1))
            scores.append((certain / judged).exp() * used[..., None])
            best = certain.argmax(dim=2)[..., None, None].expand(-1, -1, 1, 4)
            boxes = within(found[-1].gather(2, best)[:, :, 0], self._size(outputs))
        return best_pairs(torch.cat(found, dim=1), torch.cat(scores, dim=1), self.candidates)

    def loss(self, outputs: Staged, targets: list[Targets]) -> dict[str, Tensor]:
        """Objectness and box loss of the anchors, class and box loss of the regions drawn."""
        config, size = self.config, self._size(outputs)
        proposed = self.proposals(outputs)
        lesson = draw_regions(proposed, targets, size, self.class_count, config.regions)
        judged = self._judged(outputs, lesson.regions)
        first = proposal_losses(outputs.first, targets, config.proposals)
        return first | region_losses(*judged, lesson, config.regions)

    def loss_parameters(self) -> list[nn.Parameter]:
        """Those of the second stage."""
        pool = self.pool.parameters() if isinstance(self.pool, nn.Module) else []
        return [*pool, *self.judge.parameters()]

    def _judged(self, outputs: Staged, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and deltas of regions ``(B, 5)``, see `RegionHead`."""
        values = self.pool(outputs.maps, regions).flatten(1)
        if self.config.regions.global_context:
            means = outputs.maps[-1].mean(dim=(2, 3))  # (N, channels)
            values = torch.cat([values, means[regions[:, 0].long()]], dim=1)
        return self.judge(values)  # type: ignore[no-any-return]

    def _size(self, outputs: Staged) -> tuple[int, int]:
        """Height and width of the tiles, network pixels."""
        height, width = outputs.maps[0].shape[2:]
        return height * self.finest, width * self.finest


def square_and_oblong(sides: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Width and height of anchors of some sizes, each at three ratios of height to width [S]."""
    return tuple((side * r**-0.5, side * r**0.5) for side in sides for r in _RATIOS)


def on_one_map(sides: Sequence[float]) -> AnchorLevels:
    """All anchors of those sizes on one level."""
    return (square_and_oblong(sides),)
