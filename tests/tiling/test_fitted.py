"""Fitted tiles show all that is wanted with its surroundings, and less than the plan's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from foveate.structures import Tile
from foveate.tiling import TilePlan, plan_tiles
from foveate.tiling.fitted import cheaper, cheapest_tiles, fitted_tiles, looking_cost
from foveate.tiling.select import Demand, held_cells

CELL = 16


def cells(width: int, height: int) -> np.ndarray:
    return np.zeros((-(-height // CELL), -(-width // CELL)), bool)


def pixels(tiles: list[Tile]) -> int:
    return sum(tile.out_width * tile.out_height for tile in tiles)


@pytest.mark.parametrize("seed", range(12))
def test_all_that_is_wanted_is_shown_with_its_surroundings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = rng.integers(100, 900, 2).tolist()
    plan = TilePlan(size=160, overlap=32, scale=float(rng.choice([0.5, 0.7, 1.0, 2.0])))
    tiles = plan_tiles(width, height, plan)
    wanted = cells(width, height)
    wanted.flat[rng.choice(wanted.size, min(wanted.size, 6), replace=False)] = True
    margin = 12
    fitted = cheaper(fitted_tiles(tiles, wanted, CELL, (width, height), margin), tiles)
    seen = np.zeros((height, width), bool)
    for tile in fitted:
        x1, y1, x2, y2 = tile.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert max(tile.out_width, tile.out_height) <= plan.size
        seen[y1:y2, x1:x2] = True
    around = 0 if fitted == tiles else int(margin / plan.scale)
    for row, column in np.argwhere(wanted).tolist():
        x, y = column * CELL, row * CELL
        assert seen[
            max(0, y - around) : y + CELL + around, max(0, x - around) : x + CELL + around
        ].all()
    assert pixels(fitted) <= pixels(tiles)


def test_nothing_wanted_nothing_shown() -> None:
    tiles = plan_tiles(640, 480, TilePlan(size=160, overlap=32))
    assert fitted_tiles(tiles, cells(640, 480), CELL, (640, 480), 16) == []


def test_a_cell_costs_little_and_everything_what_the_plan_costs() -> None:
    tiles = plan_tiles(640, 480, TilePlan(size=160, overlap=32))
    wanted = cells(640, 480)
    wanted[10, 10] = True
    assert fitted_tiles(tiles, wanted, CELL, (640, 480), 20) == [Tile(136, 136, 64, 64, 64, 64)]
    wanted[:] = True
    assert cheaper(fitted_tiles(tiles, wanted, CELL, (640, 480), 20), tiles) == tiles


def test_neighbours_share_a_tile_and_the_distant_do_not() -> None:
    tiles = plan_tiles(1280, 960, TilePlan(size=320, overlap=32))
    wanted = cells(1280, 960)
    wanted[10, 10] = wanted[10, 13] = wanted[50, 70] = True
    near, far = fitted_tiles(tiles, wanted, CELL, (1280, 960), 24) or []
    assert near.box[0] <= 160 - 24
    assert near.box[2] >= 14 * CELL + 24
    assert far.x > 1000


def test_a_region_longer_than_a_tile_is_shown_in_several() -> None:
    tiles = plan_tiles(1280, 960, TilePlan(size=160, overlap=32))
    wanted = cells(1280, 960)
    wanted[10, 10:40] = True
    fitted = fitted_tiles(tiles, wanted, CELL, (1280, 960), 16)
    assert fitted is not None
    assert len(fitted) > 2
    for before, after in pairwise(fitted):
        assert before.box[2] - after.x >= 32
    assert pixels(fitted) < pixels(tiles) / 4


def test_the_result_does_not_depend_on_the_order_of_the_tiles() -> None:
    tiles = plan_tiles(640, 480, TilePlan(size=160, overlap=32))
    wanted = cells(640, 480)
    wanted[3, 3] = wanted[20, 30] = wanted[12, 8] = True
    assert fitted_tiles(tiles[::-1], wanted, CELL, (640, 480), 16) == fitted_tiles(
        tiles, wanted, CELL, (640, 480), 16
    )


def test_a_crowd_is_not_fitted() -> None:
    tiles = plan_tiles(2560, 2560, TilePlan(size=640, overlap=32))
    wanted = cells(2560, 2560)
    wanted[::4, ::4] = True
    assert fitted_tiles(tiles, wanted, 4, (2560, 2560), 2) is None
    assert cheaper(None, tiles) == tiles


def test_far_corners_of_a_raster_are_fitted_each_by_itself() -> None:
    size = 40_000
    tiles = plan_tiles(size, size, TilePlan(size=640, overlap=64))
    wanted = cells(size, size)
    rows, columns = np.meshgrid(np.arange(50, 2500, 100), np.arange(50, 2500, 100))
    wanted[rows, columns] = True
    fitted = fitted_tiles(tiles, wanted, CELL, (size, size), 64)
    assert fitted is not None
    assert len(fitted) == rows.size
    assert [tile.y for tile in fitted] == sorted(tile.y for tile in fitted)


@pytest.mark.parametrize("wanted_cells", [0, 1, 5, 60, 900])
def test_the_cheapest_hold_all_at_every_scale_for_no_more_than_the_plan(wanted_cells: int) -> None:
    rng = np.random.default_rng(wanted_cells)
    wanted = cells(900, 700)
    wanted.flat[rng.choice(wanted.size, wanted_cells, replace=False)] = True
    demand = Demand((900, 700), CELL, wanted.astype(np.float32), wanted)
    plan = TilePlan(size=128, overlap=32)
    tiles = [
        *plan_tiles(900, 700, plan),
        *plan_tiles(900, 700, plan.model_copy(update={"scale": 2.0})),
    ]
    chosen = cheapest_tiles(tiles, demand, 32)
    assert looking_cost(chosen) <= looking_cost(tiles)
    for scale in (1, 2):
        of_scale = [tile for tile in chosen if round(tile.out_width / tile.width) == scale]
        held = np.zeros_like(wanted)
        for tile in of_scale:
            held[held_cells(tile, demand, (16 // scale, 16 // scale))] = True
        assert not (wanted & ~held).any()
    if 0 < wanted_cells <= 5:
        assert looking_cost(chosen) < looking_cost(tiles) / 5
