from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.inference.trust import trusted
from foveate.structures import Detections, Tile, TiledDetections
from foveate.tiling import Pyramid

SIZE = (200, 100)
FINE, MIDDLE, COARSE = (Tile(0, 0, 200, 100, 200 * n // 2, 100 * n // 2) for n in (4, 2, 1))
PYRAMID = Pyramid(scales=(0.5, 1, 2), sides=(10, 40))
Box = tuple[float, float, float, float]


def scene(found: list[tuple[Tile, Box]]) -> tuple[TiledDetections, list[Tile]]:
    """One box a tile."""
    parts = [
        Detections(np.array([box], np.float32), np.array([0.9], np.float32), np.array([0]))
        for _, box in found
    ]
    tiles = [tile for tile, _ in found]
    return TiledDetections.gather(parts, tiles, SIZE), tiles


def is_trusted(tile: Tile, box: Box, pyramid: Pyramid = PYRAMID) -> bool:
    return len(trusted(*scene([(tile, box)]), pyramid).detections) == 1


def box_of(side: float) -> Box:
    return 20, 30, 20 + side, 30 + side / 3


@pytest.mark.parametrize(
    ("tile", "sides"),
    [(FINE, (1, 5, 20)), (MIDDLE, (10, 25, 40)), (COARSE, (20, 80, 150))],
)
def test_sides_that_a_scale_is_trusted_with(tile: Tile, sides: tuple[float, ...]) -> None:
    assert all(is_trusted(tile, box_of(side)) for side in sides)


@pytest.mark.parametrize(
    ("tile", "sides"), [(FINE, (20.5, 90)), (MIDDLE, (3, 9.5, 40.5, 150)), (COARSE, (1, 19.5))]
)
def test_sides_that_it_is_not_trusted_with(tile: Tile, sides: tuple[float, ...]) -> None:
    assert not any(is_trusted(tile, box_of(side)) for side in sides)


def test_a_part_is_never_too_small_but_can_be_too_large() -> None:
    left = Tile(0, 0, 100, 100, 100, 100)
    assert is_trusted(left, (96, 30, 100, 35))
    assert not is_trusted(left, (60, 30, 64, 35))
    assert not is_trusted(left, (50, 30, 100, 35))
    # The edge of the picture is no inner edge: what is small there is small.
    assert not is_trusted(left, (0, 30, 4, 35))


def test_the_full_image_tile_counts_to_the_nearest_scale() -> None:
    squeezed = Tile(0, 0, 200, 100, 64, 32)
    assert is_trusted(squeezed, box_of(150))
    assert not is_trusted(squeezed, box_of(25))  # 8 network pixels


def test_a_picture_one_pixel_high() -> None:
    """At scale .5 it is shown one pixel high: only the longer side tells the scale."""
    assert is_trusted(Tile(0, 0, 200, 1, 100, 1), (0, 0, 150, 1))


def test_without_a_range_all_are_trusted() -> None:
    tiled, tiles = scene([(FINE, box_of(150)), (COARSE, box_of(1))])
    assert trusted(tiled, tiles, Pyramid(scales=(0.5, 1, 2))) is tiled


def test_nothing_found() -> None:
    for tiles in ([], [FINE, COARSE]):
        empty = TiledDetections.gather([Detections.empty()] * len(tiles), tiles, SIZE)
        kept = trusted(empty, tiles, PYRAMID)
        assert len(kept.detections) == 0
        assert len(kept.regions) == len(tiles)


def test_other_boxes_and_all_regions_stay() -> None:
    tiled, tiles = scene([(FINE, box_of(90)), (COARSE, box_of(90)), (MIDDLE, box_of(20))])
    kept = trusted(tiled, tiles, PYRAMID)
    assert kept.tile_index.tolist() == [1, 2]
    assert np.array_equal(kept.detections.boxes, tiled.detections.boxes[1:])
    assert np.array_equal(kept.regions, tiled.regions)
    assert kept.image_size == SIZE


@given(
    side=st.floats(0.5, 150),
    low=st.floats(0, 60),
    spread=st.floats(2.01, 10),
    scales=st.sampled_from([(0.5, 1.0, 2.0), (1.0, 2.0), (0.5, 1.0)]),
)
def test_no_size_is_left_out(
    side: float, low: float, spread: float, scales: tuple[float, ...]
) -> None:
    pyramid = Pyramid(scales=scales, sides=(low, low * spread + 1))
    tiles = [Tile(0, 0, 200, 100, int(200 * scale), int(100 * scale)) for scale in scales]
    assert any(is_trusted(tile, box_of(side), pyramid) for tile in tiles)
