from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.structures import Tile, UInt8Image
from foveate.tiling import TilePlan, canvas_size, plan_tiles, show_tile, tile_batch


def noise(height: int, width: int, channels: int = 3) -> UInt8Image:
    return np.random.default_rng(0).integers(1, 256, (height, width, channels), dtype=np.uint8)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 700), st.integers(1, 700)), min_size=1, max_size=5),
    st.sampled_from([1, 8, 32, 64]),
)
def test_canvas_is_the_smallest_that_suits(shown: list[tuple[int, int]], multiple: int) -> None:
    width, height = canvas_size([Tile(0, 0, 5, 5, w, h) for w, h in shown], multiple)
    for side, most in ((width, max(w for w, _ in shown)), (height, max(h for _, h in shown))):
        assert side % multiple == 0
        assert most <= side < most + multiple


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_tile_of_its_own_size_is_shown_unchanged_and_padded(channels: int) -> None:
    region = noise(20, 30, channels)
    before = region.copy()
    canvas = np.full((32, 64, channels), 99, np.uint8)  # memory of an earlier batch
    show_tile(region, Tile(0, 0, 30, 20, 30, 20), canvas)
    np.testing.assert_array_equal(canvas[:20, :30], before)
    assert canvas[20:].max() == 0
    assert canvas[:, 30:].max() == 0
    np.testing.assert_array_equal(region, before)


@settings(deadline=None)
@given(*[st.integers(1, 40)] * 4, st.sampled_from([1, 3]), st.integers(1, 255))
def test_any_scaling_keeps_a_plain_colour_and_pads(
    width: int, height: int, out_width: int, out_height: int, channels: int, colour: int
) -> None:
    region = np.full((height, width, channels), colour, np.uint8)
    canvas = np.full((64, 64, channels), 99, np.uint8)
    show_tile(region, Tile(0, 0, width, height, out_width, out_height), canvas)
    assert (canvas[:out_height, :out_width] == colour).all()
    assert canvas[out_height:].max(initial=0) == 0
    assert canvas[:, out_width:].max(initial=0) == 0


def test_shrinking_averages_so_that_small_objects_fade_and_stay() -> None:
    region = np.zeros((64, 64, 3), np.uint8)
    region[5, 6] = 255  # one pixel of 8 x 8
    canvas = np.zeros((8, 8, 3), np.uint8)
    show_tile(region, Tile(0, 0, 64, 64, 8, 8), canvas)
    assert (canvas[0, 0] == round(255 / 64)).all()
    assert canvas.sum() == 3 * round(255 / 64)


def test_enlarging_keeps_the_object_in_place() -> None:
    region = np.zeros((10, 10, 3), np.uint8)
    region[4:6, 2:4] = 255
    canvas = np.zeros((32, 32, 3), np.uint8)
    show_tile(region, Tile(0, 0, 10, 10, 20, 20), canvas)
    rows, columns = np.nonzero(canvas[..., 0] > 127)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (8, 12, 4, 8)


def test_batch_shows_every_tile_of_a_plan() -> None:
    image = noise(150, 200)
    tiles = plan_tiles(200, 150, TilePlan(size=64, overlap=8, full_image=True))
    regions = [image[t.y : t.y + t.height, t.x : t.x + t.width] for t in tiles]
    assert all(np.shares_memory(region, image) for region in regions)
    batch = tile_batch(regions, tiles, multiple=32)
    assert batch.shape == (len(tiles), 64, 64, 3)
    for shown, region in zip(batch[:-1], regions[:-1], strict=True):
        np.testing.assert_array_equal(shown, region)
    squeezed = tiles[-1]
    assert batch[-1, : squeezed.out_height].min(axis=2).max() > 0
    assert batch[-1, squeezed.out_height :].max() == 0


def test_one_pixel_and_a_strip() -> None:
    for height, width in ((1, 1), (3, 20000), (20000, 3)):
        for plan in (TilePlan(size=64), TilePlan(size=64, plain=True), TilePlan(size=64, scale=2)):
            tiles = plan_tiles(width, height, plan)[:3]
            regions = [np.ones((tile.height, tile.width, 3), np.uint8) for tile in tiles]
            batch = tile_batch(regions, tiles, multiple=32)
            tile = tiles[0]
            assert batch[0, : tile.out_height, : tile.out_width].min() == 1
            assert batch[0].sum() == 3 * tile.out_height * tile.out_width


def test_any_number_of_channels_is_scaled_alike() -> None:
    region = np.random.default_rng(0).integers(0, 255, (64, 64, 7), dtype=np.uint8)
    for shown in (40, 96):
        tile = Tile(0, 0, 64, 64, shown, shown)
        canvas = np.empty((96, 96, 7), np.uint8)
        show_tile(region, tile, canvas)
        for channel in range(7):
            alone = np.empty((96, 96, 1), np.uint8)
            show_tile(region[..., channel : channel + 1], tile, alone)
            np.testing.assert_array_equal(canvas[..., channel], alone[..., 0])
