"""What a glance's thresholds keep on held-out pictures, and what can be promised of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from foveate.evaluation.guarantee import LEVEL, kept_shares, least_mean
from foveate.inference.glance import OnnxGlance
from foveate.inference.glance_info import Calibration, HeldAt
from foveate.inference.selecting import DENSE
from foveate.structures import FloatArray, ImageSource, Tile
from foveate.tiling.fitted import cheapest_tiles, looking_cost

THRESHOLDS = tuple(float(1 / (1 + np.exp(-logit))) for logit in np.arange(-10, 4, 0.125))
"""Fixed beforehand, from the safest on: evenly spread in logits, close together, for most of what
is to be gained lies between two of them [D]."""

Unit = Literal["picture", "folder"]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A picture that the glance did not learn from.

    Attributes:
        unit: Name of what it was held out with: pictures of one name count as one.
        source: The picture.
        boxes: ``(G, 4)`` xyxy pixels: objects that are to be kept.
        tiles: All that would be looked at.
        multiple: Of the sides that the detector takes.
    """

    unit: str
    source: ImageSource
    boxes: FloatArray
    tiles: Sequence[Tile]
    multiple: int = 32


@dataclass(slots=True)
class _Seen:
    """Of all pictures so far: by unit the levels of its objects; by threshold what looking cost."""

    levels: dict[str, list[FloatArray]]
    looked: list[int]
    whole: int


def calibrate(
    glance: OnnxGlance,
    pictures: Iterable[HeldOut],
    overlap: int,
    unit: Unit,
    on_picture: Callable[[], None] = lambda: None,
) -> Calibration:
    """Find what each threshold keeps.

    An object is kept where its centre lies in a cell of at least the threshold's level: every such
    cell is held well by a tile that is looked at, whatever the tile geometry. That others are
    looked at by luck does not count: what is promised holds for any size of tile.

    Args:
        glance: To be calibrated.
        pictures: Held out; each is let go before the next is taken.
        overlap: Of the tile plan, network pixels.
        unit: What is independent: see `foveate.evaluation.guarantee`.
        on_picture: Told of each picture that is done.
    """
    seen = _Seen({}, [0] * len(THRESHOLDS), 0)
    for picture in pictures:
        presence = glance(picture.source)
        levels = object_levels(glance, presence, picture.boxes)
        seen.levels.setdefault(picture.unit, []).append(levels)
        _add_cost(seen, glance, presence, picture, overlap)
        on_picture()
    units = [np.concatenate(parts) for parts in seen.levels.values()]
    every = np.concatenate(units) if units else np.zeros(0, np.float32)
    bound, rows = 1.0, []
    for threshold, looked in zip(THRESHOLDS, seen.looked, strict=True):
        shares = kept_shares(units, threshold)
        bound = min(bound, least_mean(shares))
        rows.append(
            HeldAt(
                threshold=threshold,
                looked=looked / max(1, seen.whole),
                kept=float((every >= threshold).mean()) if len(every) else 0.0,
                mean=float(np.mean(shares)) if shares else 0.0,
                bound=bound,
            )
        )
    with_objects = sum(len(levels) > 0 for levels in units)
    return Calibration(
        level=LEVEL,
        unit=unit,
        units=with_objects,
        empty=len(units) - with_objects,
        objects=len(every),
        rows=_last_alike(rows),
    )


def _last_alike(rows: Sequence[HeldAt]) -> tuple[HeldAt, ...]:
    """Of rows in turn that differ in nothing but the threshold, the one with the highest."""
    same = [
        one.model_copy(update={"threshold": two.threshold}) == two for one, two in pairwise(rows)
    ]
    return tuple(row for row, is_same in zip(rows, [*same, False], strict=True) if not is_same)


def object_levels(glance: OnnxGlance, presence: FloatArray, boxes: FloatArray) -> FloatArray:
    """The level of the cell that each object's centre lies in, ``(G,)``.

    Args:
        glance: That gave the presence.
        presence: ``(R, C)``.
        boxes: ``(G, 4)`` xyxy picture pixels.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / (2 * glance.info.cell)
    limit = np.array(presence.shape[::-1]) - 1
    columns, rows = np.clip(np.floor(centres).astype(np.int64), 0, limit).T
    of_objects: FloatArray = glance.levels(presence)[rows, columns]
    return of_objects


def _add_cost(
    seen: _Seen, glance: OnnxGlance, presence: FloatArray, picture: HeldOut, overlap: int
) -> None:
    """Add what looking would have cost at each threshold."""
    whole = looking_cost(picture.tiles)
    known: dict[int, int] = {}
    for number, threshold in enumerate(THRESHOLDS):
        demand = glance.demand(picture.source, presence, threshold)
        cells = int(demand.wanted.sum())  # fewer at each threshold, so that as many are the same
        if cells not in known:
            chosen = cheapest_tiles(picture.tiles, demand, overlap, picture.multiple)
            cost = looking_cost(chosen)
            known[cells] = whole if cost > DENSE * whole else cost
        seen.looked[number] += known[cells]
    seen.whole += whole
