"""Merge a picture while its tiles still come: what no further tile can change is given out.

Tiles come from top to bottom. The *front* is the height at which the next of them begins: none
that is yet to come shows anything above. A box above it may still hang on one that reaches it, and
that one on another; so boxes are linked with all that they can have a say in, and a whole
component of linked boxes is settled once none of it can meet a further tile. The result is that of
`merge_tiles` over everything, to the last bit, and only what is not settled is held.

What links boxes:

- *nms*, *greedy-nmm*, *wbf*: an overlap of the threshold or more. What grows or is averaged is not
  compared again.
- *soft-nms*: any overlap that it looks at, `soft_nms.NEGLIGIBLE`; so crowds stay linked over long
  distances. Identical unless near copies are struck for the number of pairs, which begins beyond a
  million (2**20) in the whole picture: that number is then counted among what is held.
- *seam*: see `front_seam`.

A component that spans the whole picture is held to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from foveate.merge.config import MergeConfig
from foveate.merge.front_seam import MARGIN, settle_seam
from foveate.merge.greedy_nmm import merge_greedy_nmm
from foveate.merge.links import linked, spread
from foveate.merge.nms import merge_nms
from foveate.merge.ranked import Ranked, rank
from foveate.merge.soft_nms import NEGLIGIBLE, merge_soft_nms
from foveate.merge.wbf import merge_wbf
from foveate.structures import BoolArray, Detections, TiledDetections

GROWTH = 2
"""Settling waits until so many times the boxes held after it last are there: each box is looked at
a few times, however many are held."""

PATIENCE = 16
"""So many calls later it is done all the same, so that results of an empty stretch do not wait."""

Settle: TypeAlias = Callable[[Ranked, float, MergeConfig], tuple[Detections, BoolArray]]
"""Ranked boxes and the front to what is final, and ``(N,)`` which boxes are held."""


class FrontState(NamedTuple):
    """All that a `FrontMerge` knows: with it, another goes on.

    Attributes:
        pending: Boxes that are not settled, and the tiles that have a say in them.
        held: Boxes that were held when some were last settled.
        waited: Calls of `FrontMerge.advance` since.
    """

    pending: TiledDetections
    held: int = 0
    waited: int = 0


class FrontMerge:
    """A merge that gives out what is final.

    Args:
        config: As of `merge_tiles`.
        image_size: Width and height of the picture in pixels.
        state: Of another one, to go on from.
    """

    def __init__(
        self, config: MergeConfig, image_size: tuple[int, int], state: FrontState | None = None
    ) -> None:
        self._config, self._image_size = config, image_size
        state = state or FrontState(TiledDetections.gather([], [], image_size))
        self._parts = [state.pending]
        self._held, self._waited = state.held, state.waited

    def __len__(self) -> int:
        """Boxes that are not settled."""
        return sum(len(part.tile_index) for part in self._parts)

    @property
    def state(self) -> FrontState:
        """What it knows now."""
        self._parts = [_together(self._parts, self._image_size)]
        return FrontState(self._parts[0], self._held, self._waited)

    def add(self, tiled: TiledDetections) -> None:
        """Take what further tiles gave: none of them above the front, every box within its tile."""
        self._parts.append(tiled)

    def advance(self, front: float) -> Detections | None:
        """Settle what can be, if it is worth while; that depends on the calls so far alone.

        Args:
            front: Height, picture pixels, at which the topmost of the tiles to come begins.

        Returns:
            Final boxes in canonical order, or None if nothing was looked at.
        """
        self._waited += 1
        if len(self) < GROWTH * self._held and self._waited < PATIENCE:
            return None
        return self._settle(front)

    def finish(self) -> Detections:
        """Settle the rest: no tile is yet to come."""
        return self._settle(np.inf)

    def _settle(self, front: float) -> Detections:
        ranked = rank(self.state.pending, self._config)
        how: Settle = settle_seam if self._config.method == "seam" else _settle_plain
        final, held = how(ranked, front, self._config)
        self._parts = [_reduced(ranked[held].tiled, front)]
        self._held, self._waited = int(held.sum()), 0
        return final


def _settle_plain(
    ranked: Ranked, front: float, config: MergeConfig
) -> tuple[Detections, BoolArray]:
    """As `Settle`: for merges in which boxes have a say in what they overlap, and no more."""
    merge, least = {
        "nms": (merge_nms, config.threshold),
        "greedy-nmm": (merge_greedy_nmm, config.threshold),
        "wbf": (merge_wbf, config.threshold),
        "soft-nms": (merge_soft_nms, NEGLIGIBLE),
    }[config.method]
    owner = linked(ranked.boxes, ranked.groups, least, config.metric)
    held = spread(owner, ranked.boxes[:, 3] > front)
    return merge(ranked[~held].tiled, config), held


def _together(parts: list[TiledDetections], image_size: tuple[int, int]) -> TiledDetections:
    """All of several, in their order."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.regions) for part in parts[:-1])])
    return TiledDetections(
        Detections.concatenate([part.detections for part in parts]),
        np.concatenate([part.tile_index + n for part, n in zip(parts, offsets, strict=True)]),
        np.concatenate([part.regions for part in parts]),
        image_size,
    )


def _reduced(tiled: TiledDetections, front: float) -> TiledDetections:
    """Without the tiles that end above all that is held or yet to come."""
    top = min(front, float(tiled.detections.boxes[:, 1].min(initial=np.inf)))
    kept = tiled.regions[:, 3] > top - MARGIN
    place = np.cumsum(kept) - 1
    return TiledDetections(
        tiled.detections, place[tiled.tile_index], tiled.regions[kept], tiled.image_size
    )
