import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foveate.structures import BoolArray, Tile
from foveate.tiling import Pyramid, TilePlan, plan_pyramid, plan_tiles
from foveate.tiling.select import (
    Choice,
    Demand,
    by_scale,
    choose_tiles,
    free_tiles,
    held_cells,
    held_well,
)

CELL = 16


def demand_of(width: int, height: int, seed: int, share: float) -> Demand:
    rng = np.random.default_rng(seed)
    shape = math.ceil(height / CELL), math.ceil(width / CELL)
    expected = rng.random(shape, np.float32)
    return Demand((width, height), CELL, expected, rng.random(shape) < share)


def spots(width: int, height: int, *places: tuple[int, int]) -> Demand:
    wanted = np.zeros((math.ceil(height / CELL), math.ceil(width / CELL)), bool)
    for x, y in places:
        wanted[y // CELL, x // CELL] = True
    return Demand((width, height), CELL, wanted.astype(np.float32), wanted)


def held_by(tiles: list[Tile], demand: Demand, margin: int) -> BoolArray:
    """Told pixel by pixel, the slow way."""
    rows, columns = demand.wanted.shape
    width, height = demand.size
    held = np.zeros((rows, columns), bool)
    for row in range(rows):
        for column in range(columns):
            x = min((column + 0.5) * CELL, width - 1)
            y = min((row + 0.5) * CELL, height - 1)
            for tile in tiles:
                x1, y1, x2, y2 = tile.box
                x1, y1 = x1 + margin * (x1 > 0), y1 + margin * (y1 > 0)
                x2, y2 = x2 - margin * (x2 < width), y2 - margin * (y2 < height)
                held[row, column] |= bool(x1 <= x < x2 and y1 <= y < y2)
    return held


demands = st.builds(
    demand_of,
    st.integers(20, 900),
    st.integers(20, 700),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.002, 0.02, 0.3, 1.0]),
)


@given(demands, st.sampled_from([0, 16, 40]))
def test_all_that_is_wanted_is_held_by_no_more_tiles_than_planned(
    demand: Demand, overlap: int
) -> None:
    plan = TilePlan(size=128, overlap=float(overlap))
    tiles = plan_tiles(*demand.size, plan)
    choice = choose_tiles(tiles, demand, overlap)
    assert len(choice.tiles) <= len(tiles)
    assert len(set(choice.tiles)) == len(choice.tiles)
    assert choice.moved == (not set(choice.tiles) <= set(tiles))
    # What neighbours share in fact may be more than the plan's overlap, never less.
    assert not (demand.wanted & ~held_by(choice.tiles, demand, overlap // 2)).any()
    assert (choice.held == demand.wanted).all()
    for tile in choice.tiles:
        assert tile.x >= 0
        assert tile.y >= 0
        assert tile.x + tile.width <= demand.size[0]
        assert tile.y + tile.height <= demand.size[1]


@given(demands)
def test_every_cell_is_held_well_by_some_tile_of_the_plan(demand: Demand) -> None:
    plan = TilePlan(size=128, overlap=0.25)
    tiles = plan_tiles(*demand.size, plan)
    assert held_by(tiles, demand, plan.overlap_pixels // 2).all()


@given(demands, st.randoms(use_true_random=False))
def test_the_order_of_the_tiles_does_not_matter(demand: Demand, random: object) -> None:
    tiles = plan_tiles(*demand.size, TilePlan(size=96, overlap=0.2))
    shuffled = list(tiles)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for most in (None, 1, 3):
        one = choose_tiles(tiles, demand, 19, most)
        other = choose_tiles(shuffled, demand, 19, most)
        assert one.tiles == other.tiles
        assert (one.held == other.held).all()


@given(demands, st.integers(1, 6))
def test_a_budget_is_kept_and_says_what_it_holds(demand: Demand, most: int) -> None:
    tiles = plan_tiles(*demand.size, TilePlan(size=128, overlap=32.0))
    choice = choose_tiles(tiles, demand, 32, most)
    assert len(choice.tiles) <= most
    assert not (choice.held & ~held_by(choice.tiles, demand, 16)).any()
    assert not (choice.held & ~demand.wanted).any()


def test_more_is_never_worth_less() -> None:
    demand = demand_of(900, 700, 5, 0.05)
    tiles = plan_tiles(900, 700, TilePlan(size=128, overlap=32.0))

    def worth(choice: Choice) -> float:
        return float(demand.worth[choice.held].sum())

    some = [choose_tiles(tiles, demand, 32, most) for most in range(1, 8)]
    values = [worth(choice) for choice in some]
    gains = np.diff([0.0, *values])
    assert (gains > 0).all()
    assert (np.diff(gains) <= 1e-9).all()
    assert [choice.tiles[0] for choice in some] == [some[0].tiles[0]] * 7


def test_neighbouring_demands_across_a_seam_share_a_tile() -> None:
    demand = spots(1000, 1000, (375, 375), (435, 435), (375, 435), (435, 375))
    tiles = plan_tiles(1000, 1000, TilePlan(size=256, overlap=32.0))
    choice = choose_tiles(tiles, demand, 32)
    assert len(choice.tiles) == 1
    assert choice.moved
    assert choice.tiles[0].out_width == tiles[0].out_width


def test_nothing_wanted_is_no_tile() -> None:
    demand = spots(1000, 1000)
    choice = choose_tiles(plan_tiles(1000, 1000, TilePlan(size=256)), demand, 51)
    assert choice.tiles == []
    assert not choice.moved


def test_every_scale_looks_for_itself() -> None:
    demand = spots(1000, 800, (500, 400))
    plan = TilePlan(size=256, overlap=32.0, full_image=True)
    tiles = plan_pyramid(1000, 800, plan, Pyramid(scales=(2.0, 1.0)))
    choice = choose_tiles(tiles, demand, 32)
    assert len(by_scale(choice.tiles)) == len(by_scale(tiles)) == 3
    assert len(choice.tiles) == 3


def test_a_tile_smaller_than_a_cell_is_not_placed_freely() -> None:
    demand = spots(100, 100, (50, 50))
    assert free_tiles(Tile(0, 0, 20, 20, 20, 20), demand, (4, 4)) is None


def test_cells_at_the_picture_s_edge_are_held_by_the_tile_there() -> None:
    demand = spots(1000, 1000)
    tile = Tile(1000 - 128, 0, 128, 128, 128, 128)
    rows, columns = held_cells(tile, demand, (16, 16))
    assert (rows.start, rows.stop) == (0, 7)
    assert (columns.start, columns.stop) == (55, 63)


def test_what_tiles_hold_is_told_of_any_of_them() -> None:
    demand = demand_of(900, 700, 5, 0.05)
    tiles = plan_tiles(900, 700, TilePlan(size=128, overlap=32.0))
    choice = choose_tiles(tiles, demand, 32, 5)
    assert (held_well(choice.tiles, tiles, demand, 32) == choice.held).all()
    assert not held_well([], tiles, demand, 32).any()


def test_what_moved_tiles_hold_is_told_too() -> None:
    demand = spots(1000, 1000, (375, 375), (435, 435), (375, 435), (435, 375))
    tiles = plan_tiles(1000, 1000, TilePlan(size=256, overlap=32.0))
    choice = choose_tiles(tiles, demand, 32)
    assert choice.moved
    assert (held_well(choice.tiles, tiles, demand, 32) == demand.wanted).all()
    assert not held_well(choice.tiles, [*tiles, Tile(0, 0, 1000, 1000, 256, 256)], demand, 32).any()
