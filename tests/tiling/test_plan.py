from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.errors import UsageError
from foveate.structures import Tile
from foveate.tiling import TilePlan, plan_tiles

PLANS = st.builds(
    TilePlan,
    size=st.integers(32, 300),
    overlap=st.one_of(st.floats(0, 0.75), st.integers(1, 24).map(float)),
    scale=st.floats(0.25, 4),
    full_image=st.booleans(),
)
SIDES = st.integers(1, 200)
LENGTHS = st.integers(1, 5000)


def spans(tiles: Sequence[Tile], axis: int) -> list[tuple[int, int]]:
    """Distinct (start, end) along one axis, in order; the full-image tile left out."""
    return sorted({(tile.box[axis], tile.box[axis + 2]) for tile in tiles})


def only_tiles(width: int, height: int, plan: TilePlan) -> list[Tile]:
    return plan_tiles(width, height, plan.model_copy(update={"full_image": False}))


def geometry(plan: TilePlan) -> tuple[int, int]:
    """Side and least overlap of a tile in picture pixels."""
    region = max(1, round(plan.size / plan.scale))
    return region, min(math.ceil(plan.overlap_pixels / plan.scale), region - 1)


def along_each_axis(length: int, plan: TilePlan) -> list[tuple[int, list[Tile]]]:
    return [(0, only_tiles(length, 1, plan)), (1, only_tiles(1, length, plan))]


@settings(deadline=None)
@given(SIDES, SIDES, PLANS)
def test_tiles_cover_every_pixel_and_lie_inside(width: int, height: int, plan: TilePlan) -> None:
    tiles = only_tiles(width, height, plan)
    for axis, length in ((0, width), (1, height)):
        along = spans(tiles, axis)
        assert along[0][0] == 0
        assert along[-1][1] == length
        assert all(after[0] <= before[1] for before, after in pairwise(along))
        assert all(0 <= start < end <= length for start, end in along)
    # A full grid: every column with every row, once, in reading order.
    places = [(tile.y, tile.x) for tile in tiles]
    assert places == [(y, x) for y, _ in spans(tiles, 1) for x, _ in spans(tiles, 0)]


def test_cover_counted_pixel_by_pixel() -> None:
    seen = np.zeros((211, 157), int)
    for tile in plan_tiles(157, 211, TilePlan(size=64, overlap=10)):
        seen[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
    assert seen.min() == 1


@settings(deadline=None)
@given(LENGTHS, PLANS)
def test_overlap_is_at_least_what_was_asked(length: int, plan: TilePlan) -> None:
    region, overlap = geometry(plan)
    for axis, tiles in along_each_axis(length, plan):
        for before, after in pairwise(spans(tiles, axis)):
            assert before[1] - after[0] >= overlap
            assert before[1] - before[0] <= region


@settings(deadline=None)
@given(LENGTHS, PLANS)
def test_no_cover_has_fewer_tiles(length: int, plan: TilePlan) -> None:
    region, overlap = geometry(plan)
    for _, tiles in along_each_axis(length, plan):
        fewer = len(tiles) - 1
        reach = fewer * region - (fewer - 1) * overlap  # the most that one tile fewer spans
        assert fewer == 0 or reach < length


@settings(deadline=None)
@given(LENGTHS, PLANS)
def test_tiles_are_spread_evenly(length: int, plan: TilePlan) -> None:
    for axis, tiles in along_each_axis(length, plan):
        steps = [after[0] - before[0] for before, after in pairwise(spans(tiles, axis))]
        assert not steps or max(steps) - min(steps) <= 1


@settings(deadline=None)
@given(SIDES, SIDES, PLANS)
def test_tiles_are_of_one_size_at_the_scale_asked(width: int, height: int, plan: TilePlan) -> None:
    tiles = only_tiles(width, height, plan)
    assert len({(t.width, t.height, t.out_width, t.out_height) for t in tiles}) == 1
    tile = tiles[0]
    region, _ = geometry(plan)
    for length, covered, shown in (
        (width, tile.width, tile.out_width),
        (height, tile.height, tile.out_height),
    ):
        assert 1 <= covered <= min(length, region)
        assert 1 <= shown <= plan.size
        if length <= region:
            assert covered == length
            assert abs(shown - covered * plan.size / region) <= 0.5 or shown == 1
        else:
            # Half a picture pixel of rounding, enlarged; nothing else changes the scale.
            assert abs(shown - covered * plan.scale) <= max(1, plan.scale)


@settings(deadline=None)
@given(LENGTHS, PLANS, st.sampled_from([1, 16, 32, 64]))
def test_tiles_are_no_larger_than_their_number_needs(
    length: int, plan: TilePlan, multiple: int
) -> None:
    _, overlap = geometry(plan)
    tiles = plan_tiles(length, 1, plan.model_copy(update={"full_image": False}), multiple)
    if len(tiles) == 1:
        return
    shown = tiles[0].out_width
    assert shown == plan.size or shown % multiple == 0
    # As many tiles, each one multiple smaller, would not reach the end.
    smaller = math.floor((shown - multiple) / plan.scale)
    assert smaller <= overlap or len(tiles) * smaller - (len(tiles) - 1) * overlap < length


def test_a_picture_just_over_a_tile_gets_two_halves() -> None:
    plan = TilePlan(size=576, overlap=96, scale=1.25)
    tiles = plan_tiles(696, 520, plan)
    assert [(t.out_width, t.out_height) for t in tiles] == [(512, 384)] * 4


def test_tile_round_trip_of_a_whole_plan() -> None:
    for tile in plan_tiles(1000, 700, TilePlan(size=256, overlap=0.25, scale=1.5)):
        boxes = np.array([[3, 4, 20, 30]], np.float32)
        np.testing.assert_allclose(tile.to_tile(tile.to_image(boxes)), boxes, atol=1e-3)


@settings(deadline=None)
@given(SIDES, SIDES, PLANS)
def test_full_image_pass_comes_last(width: int, height: int, plan: TilePlan) -> None:
    tiles = plan_tiles(width, height, plan)
    without = only_tiles(width, height, plan)
    assert tiles[: len(without)] == without
    extra = tiles[len(without) :]
    assert len(extra) == (plan.full_image and len(without) > 1)
    for tile in extra:
        assert tile.box == (0, 0, width, height)


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(32, 300))
def test_plain_is_the_picture_squeezed_into_one_tile(width: int, height: int, size: int) -> None:
    (tile,) = plan_tiles(width, height, TilePlan(size=size, plain=True))
    assert tile.box == (0, 0, width, height)
    assert max(tile.out_width, tile.out_height) == size
    squeeze = size / max(width, height)
    assert abs(tile.out_width - width * squeeze) <= 0.5 or tile.out_width == 1
    assert abs(tile.out_height - height * squeeze) <= 0.5 or tile.out_height == 1


def test_scale_shows_a_small_object_larger() -> None:
    tile = plan_tiles(2560, 1440, TilePlan(size=640, scale=2))[0]
    assert (tile.width, tile.out_width) == (320, 640)
    shown = tile.to_tile(np.array([[10, 10, 16, 16]], np.float32))
    np.testing.assert_array_equal(shown, [[20, 20, 32, 32]])


@pytest.mark.parametrize("plan", [TilePlan(), TilePlan(full_image=True), TilePlan(plain=True)])
def test_one_pixel(plan: TilePlan) -> None:
    (tile,) = plan_tiles(1, 1, plan)
    assert tile.box == (0, 0, 1, 1)


def test_a_strip_of_3_by_20000() -> None:
    tiles = plan_tiles(20000, 3, TilePlan(size=640, overlap=0.2))
    assert len(tiles) == math.ceil((20000 - 128) / 512)
    assert {(tile.height, tile.out_height) for tile in tiles} == {(3, 3)}
    (plain,) = plan_tiles(3, 20000, TilePlan(plain=True))
    assert (plain.out_width, plain.out_height) == (1, 640)


def test_an_overlap_as_large_as_the_region_still_moves_on() -> None:
    tiles = plan_tiles(20, 1, TilePlan(size=32, overlap=28, scale=16))  # regions of 2 pixels
    assert [tile.x for tile in tiles] == list(range(19))


def test_overlap_as_ratio_or_pixels() -> None:
    assert TilePlan(size=640, overlap=0.2).overlap_pixels == 128
    assert TilePlan(size=640, overlap=100).overlap_pixels == 100
    assert TilePlan(size=640, overlap=0).overlap_pixels == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"size": 0}, "size: input should be greater than or equal to 32, got 0"),
        ({"overlap": 1.2}, "ratio below 1 or a whole number of pixels, got 1.2"),
        ({"overlap": 561}, "at most 560 whole pixels of a tile of 640, got 561"),
        ({"overlap": 0.88}, "got 0.88"),
        ({"overlap": -0.1}, "overlap: input should be greater than or equal to 0"),
        ({"overlap": float("nan")}, "overlap: input should be a finite number"),
        ({"overlap": float("inf")}, "overlap: input should be a finite number"),
        ({"scale": 0}, "scale: input should be greater than 0"),
        ({"scale": 17}, "scale: input should be less than or equal to 16"),
        ({"tile": 640}, "unknown key 'tile'"),
        ({"overlop": 0.1}, "did you mean 'overlap'?"),
    ],
)
def test_impossible_plans_are_named(values: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        TilePlan.from_dict(values, "flags")
    assert says in str(caught.value)
    assert str(caught.value).startswith("flags: ")
    assert "\n" not in str(caught.value)
