from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.errors import UsageError
from foveate.structures import Tile
from foveate.tiling import Pyramid, TilePlan, plan_pyramid, plan_tiles

SCALES = st.lists(st.floats(0.25, 4), min_size=1, max_size=4)
SIDES = st.integers(1, 200)


@given(SIDES, SIDES, SCALES, st.booleans(), st.randoms())
def test_every_scale_is_covered_and_nothing_is_shown_twice(
    width: int, height: int, scales: list[float], full_image: bool, random: Any
) -> None:
    plan = TilePlan(size=64, overlap=8, full_image=full_image)
    tiles = plan_pyramid(width, height, plan, Pyramid(scales=tuple(scales)))
    alone = {
        tile
        for scale in scales
        for tile in plan_tiles(width, height, plan.model_copy(update={"scale": scale}))
    }
    assert set(tiles) == alone
    assert len(tiles) == len(alone)
    shuffled = random.sample(scales, len(scales))
    assert plan_pyramid(width, height, plan, Pyramid(scales=tuple(shuffled))) == tiles


@given(SIDES, SIDES, st.floats(0.25, 4), st.booleans())
def test_one_scale_is_the_plan_at_that_scale(
    width: int, height: int, scale: float, full_image: bool
) -> None:
    plan = TilePlan(size=64, overlap=8, scale=scale, full_image=full_image)
    other = plan.model_copy(update={"scale": 1.0})
    expected = plan_tiles(width, height, plan)
    assert plan_pyramid(width, height, other, Pyramid(scales=(scale, scale))) == expected


def test_the_full_image_tile_is_there_once() -> None:
    plan = TilePlan(size=64, overlap=8, full_image=True)
    tiles = plan_pyramid(300, 200, plan, Pyramid(scales=(0.5, 1, 2)))
    assert tiles.count(Tile(0, 0, 300, 200, 64, 43)) == 1
    assert sum(tile.box == (0, 0, 300, 200) for tile in tiles) == 1


def test_plain_shows_one_tile_whatever_the_scales() -> None:
    plan = TilePlan(size=64, plain=True)
    assert plan_pyramid(300, 200, plan, Pyramid(scales=(0.5, 1, 2))) == plan_tiles(300, 200, plan)


def test_scales_are_held_finest_first_and_once() -> None:
    assert Pyramid(scales=(1, 0.5, 2, 1)).scales == (2, 1, 0.5)
    assert Pyramid(scales=(1, 0.5)) == Pyramid(scales=(0.5, 1))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"scales": []}, "scales: .*at least 1 item"),
        ({"scales": [1, 0]}, "scales.1: .*greater than 0, got 0"),
        ({"scales": [1, 17]}, "scales.1: .*less than or equal to 16, got 17"),
        ({"scales": [float("nan")]}, "scales.0: .*got nan"),
        ({"scales": [1, 2], "sides": [96, 24]}, "sides: expected LOW below HIGH.*got 96:24"),
        ({"scales": [1, 2], "sides": [-1, 24]}, "sides: expected LOW below HIGH.*got -1:24"),
        ({"scales": [1, 2], "sides": [1, float("inf")]}, "sides: .*got 1:inf"),
        ({"scales": [1, 2], "sides": [1, float("nan")]}, "sides: .*got 1:nan"),
        (
            {"scales": [2, 1, 0.25], "sides": [10, 30]},
            "sides: 10:30 leaves out objects between the scales 0.25 and 1; "
            "HIGH must be at least 4 times LOW",
        ),
    ],
)
def test_values_that_cannot_be(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        Pyramid.from_dict(values)
    assert "\n" not in str(caught.value)
