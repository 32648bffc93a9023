"""Show a picture at several scales: fine ones for small objects, coarse ones for large ones.

The tile plan travels in the model file and says at which scale a model was trained; at how many
scales a picture is looked at is the business of one run, unless the recipe and so the file say it.
"""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field, field_validator, model_validator

from foveate.config import Config
from foveate.structures import Tile
from foveate.tiling.plan import Scale, TilePlan, plan_tiles


class Pyramid(Config):
    """Several scales of one picture, all cut by one plan.

    Attributes:
        scales: Enlargements, each in place of the plan's own; held finest first, each once.
        sides: Least and most length, network pixels, of the longer side of a box that a scale is
            trusted with; None trusts every scale with all. The finest scale is also trusted with
            smaller boxes and the coarsest with larger ones, so that no object is left out.
    """

    scales: tuple[Scale, ...] = Field(min_length=1)
    sides: tuple[float, float] | None = None

    @field_validator("scales")
    @classmethod
    def _finest_first(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(set(scales), reverse=True))

    @model_validator(mode="after")
    def _sides_leave_no_gap(self) -> Pyramid:
        if self.sides is None:
            return self
        low, high = self.sides
        if not 0 <= low < high < float("inf"):
            raise ValueError(f"sides: expected LOW below HIGH, from 0 on, got {low:g}:{high:g}")
        for fine, coarse in pairwise(self.scales):
            if high * coarse < low * fine:
                raise ValueError(
                    f"sides: {low:g}:{high:g} leaves out objects between the scales {coarse:g} "
                    f"and {fine:g}; HIGH must be at least {fine / coarse:g} times LOW"
                )
        return self


def plan_pyramid(
    width: int, height: int, plan: TilePlan, pyramid: Pyramid | None, multiple: int = 32
) -> list[Tile]:
    """Cover a picture at every scale of a pyramid.

    Args:
        width: Picture pixels.
        height: Picture pixels.
        plan: The geometry but for the scale.
        pyramid: The scales; None leaves the plan's own.
        multiple: Of the sides that the network takes.

    Returns:
        The tiles of each scale, finest first, as `plan_tiles` gives them; what several scales have
        in common, such as the full-image tile, only once.
    """
    if pyramid is None:
        return plan_tiles(width, height, plan, multiple)
    plans = [plan.model_copy(update={"scale": scale}) for scale in pyramid.scales]
    tiles = (tile for one in plans for tile in plan_tiles(width, height, one, multiple))
    return list(dict.fromkeys(tiles))
