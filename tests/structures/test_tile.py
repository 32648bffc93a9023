from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.structures import Detections, Tile, TiledDetections

TILES = st.builds(
    Tile,
    x=st.integers(0, 50_000),
    y=st.integers(0, 50_000),
    width=st.integers(1, 2000),
    height=st.integers(1, 2000),
    out_width=st.integers(1, 1500),
    out_height=st.integers(1, 1500),
)
PARTS = st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5)


def test_box_is_the_region() -> None:
    assert Tile(10, 20, 30, 40, 60, 80).box == (10, 20, 40, 60)


def test_scaling_both_ways() -> None:
    tile = Tile(100, 200, 320, 160, 640, 640)  # twice as wide, four times as high
    boxes = np.array([[0, 0, 640, 640], [10, 40, 20, 80]], np.float32)
    shown = np.array([[100, 200, 420, 360], [105, 210, 110, 220]], np.float32)
    np.testing.assert_array_equal(tile.to_image(boxes), shown)
    np.testing.assert_array_equal(tile.to_tile(shown), boxes)


@settings(deadline=None)
@given(TILES, PARTS)
def test_network_to_picture_and_back(tile: Tile, parts: list[tuple[float, ...]]) -> None:
    shown = np.array([tile.out_width, tile.out_height] * 2)
    boxes = (np.array(parts).reshape(-1, 4) * shown).astype(np.float32)
    in_picture = tile.to_image(boxes)
    assert in_picture.dtype == np.float32
    x1, y1, x2, y2 = tile.box
    assert (in_picture >= np.array([x1, y1, x1, y1])).all()
    assert (in_picture <= np.array([x2, y2, x2, y2])).all()
    # float32 keeps 1/128 pixel at 52,000 pixels; the enlargement multiplies it.
    enlarged = max(tile.out_width / tile.width, tile.out_height / tile.height, 1)
    np.testing.assert_allclose(tile.to_tile(in_picture), boxes, atol=0.01 * enlarged)


@settings(deadline=None)
@given(TILES)
def test_boxes_are_cut_to_the_region_one_way_only(tile: Tile) -> None:
    far = np.array([[-9, -9, tile.out_width + 9, tile.out_height + 9]], np.float32)
    np.testing.assert_array_equal(tile.to_image(far)[0], np.array(tile.box, np.float32))
    outside = np.array([[tile.x - tile.width, tile.y, tile.x, tile.y + 1]], np.float32)
    assert tile.to_tile(outside)[0, 0] == pytest.approx(-tile.out_width, abs=0.01 * tile.out_width)


def test_no_boxes_in_no_boxes_out() -> None:
    none = np.zeros((0, 4), np.float32)
    tile = Tile(0, 0, 10, 10, 20, 20)
    assert tile.to_image(none).shape == (0, 4)
    assert tile.to_tile(none).shape == (0, 4)


def found(*boxes: list[float]) -> Detections:
    """Boxes with their number as label."""
    count = len(boxes)
    coordinates = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(coordinates, np.ones(count, np.float32), np.arange(count))


def tiled(*boxes: list[float]) -> TiledDetections:
    """Two tiles beside each other with 20 pixels in common, in a picture of 180 x 100."""
    tiles = [Tile(0, 0, 100, 100, 100, 100), Tile(80, 0, 100, 100, 100, 100)]
    return TiledDetections.gather([found(*boxes), Detections.empty()], tiles, (180, 100))


def test_only_inner_edges_cut() -> None:
    cut = tiled([0, 0, 10, 100], [90, 5, 100, 9], [90, 5, 98, 9], [90, 5, 97.9, 9])
    expected = [[False] * 4, [False, False, True, False], [False, False, True, False], [False] * 4]
    np.testing.assert_array_equal(cut.cut_sides(tolerance=2), expected)


def test_tolerance_can_differ_by_box_and_axis() -> None:
    boxes = [[90.0, 5, 97, 97], [90.0, 5, 97, 97]]
    tiles = [Tile(0, 0, 100, 100, 100, 100), Tile(80, 80, 100, 100, 100, 100)]
    cut = TiledDetections.gather([found(*boxes), Detections.empty()], tiles, (180, 180))
    sides = cut.cut_sides(np.array([[3, 2], [2, 3]], np.float32))
    np.testing.assert_array_equal(sides[:, 2:], [[True, False], [False, True]])
    assert not sides[:, :2].any()


def test_sides_of_a_middle_tile_all_cut() -> None:
    box = found([10, 10, 30, 30])
    cut = TiledDetections.gather([box], [Tile(10, 10, 20, 20, 20, 20)], (100, 100))
    np.testing.assert_array_equal(cut.cut_sides(0), [[True] * 4])


def test_gather_remembers_the_tile_of_each_box() -> None:
    tiles = [Tile(0, 0, 10, 10, 10, 10), Tile(5, 0, 10, 10, 10, 10), Tile(0, 0, 15, 10, 10, 7)]
    parts = [found([0, 0, 1, 1], [0, 0, 2, 2]), Detections.empty(), found([0, 0, 3, 3])]
    gathered = TiledDetections.gather(parts, tiles, (15, 10))
    np.testing.assert_array_equal(gathered.tile_index, [0, 0, 2])
    np.testing.assert_array_equal(gathered.detections.labels, [0, 1, 0])
    np.testing.assert_array_equal(gathered.regions, [tile.box for tile in tiles])


def test_gather_of_nothing() -> None:
    gathered = TiledDetections.gather([], [], (5, 5))
    assert len(gathered.detections) == 0
    assert gathered.regions.shape == (0, 4)
    assert gathered.cut_sides(1).shape == (0, 4)
