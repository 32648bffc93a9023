from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from merge_data import Box, as_rows, perfect_views, same, shuffled, tiled, touching_objects

from foveate.merge import MergeConfig
from foveate.merge.seam import connected, merge_seam
from foveate.structures import Detections, TiledDetections
from foveate.tiling import Pyramid, TilePlan, plan_pyramid, plan_tiles

CONFIG = MergeConfig()
LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (80.0, 0.0, 180.0, 100.0)
SIZE = (180, 100)
SEEDS = st.integers(0, 2**32 - 1)


def merged_rows(
    regions: list[Box], found: list[tuple[int, Box, float]], size: tuple[int, int]
) -> list[tuple[float, ...]]:
    return [row[:4] for row in as_rows(merge_seam(tiled(regions, found, size), CONFIG))]


def views(objects: list[Box], plan: TilePlan, size: tuple[int, int]) -> TiledDetections:
    boxes = np.array(objects, np.float32)
    tiles = plan_tiles(*size, plan)
    labels = np.zeros(len(boxes), np.int64)
    return perfect_views(boxes, labels, tiles, size, np.random.default_rng(0))


@pytest.mark.parametrize("x", [0, 30, 60, 77, 79, 80, 81])
def test_small_object_inside_a_large_one_stays(x: int) -> None:
    """Micro-case (a): 20 pixels in 100, wherever the tile edges cut the two."""
    objects: list[Box] = [(60, 10, 160, 110), (60 + x, 40, 80 + x, 60)]
    scene = views(objects, TilePlan(size=128, overlap=32), (400, 128))
    assert as_rows(merge_seam(scene, CONFIG)) == [(*box, 0) for box in sorted(objects)]


@pytest.mark.parametrize(
    "box",
    [(10, 40, 90, 70), (10, 40, 500, 45), (30, 2, 40, 509), (100, 100, 400, 410), (0, 0, 512, 512)],
)
def test_object_longer_than_the_overlap_is_one_box(box: Box) -> None:
    """Micro-case (b): over two tiles, a row of them, a column, a block, all of them."""
    scene = views([box], TilePlan(size=64, overlap=16), (512, 512))
    assert len(scene.tile_index) > 1
    assert as_rows(merge_seam(scene, CONFIG)) == [(*box, 0)]


def test_sliver_goes_whatever_its_score() -> None:
    """Micro-case (c): 4 of 12 pixels, scored above the whole box, which keeps its own score."""
    whole, sliver = (96.0, 50.0, 108.0, 62.0), (96.0, 50.0, 100.0, 62.0)
    merged = merge_seam(tiled([LEFT, RIGHT], [(0, sliver, 0.9), (1, whole, 0.5)], SIZE), CONFIG)
    assert as_rows(merged) == [(*whole, 0)]
    assert merged.scores.tolist() == [0.5]


def test_sliver_drawn_a_little_off_goes_too() -> None:
    whole, sliver = (97.0, 50.0, 109.0, 62.0), (95.5, 51.0, 99.0, 61.5)
    assert merged_rows([LEFT, RIGHT], [(0, sliver, 0.9), (1, whole, 0.5)], SIZE) == [whole]


def test_whole_box_takes_the_score_of_a_part_that_shows_most_of_it() -> None:
    whole, most = (90.0, 50.0, 104.0, 62.0), (90.0, 50.0, 100.0, 62.0)
    merged = merge_seam(tiled([LEFT, RIGHT], [(0, most, 0.9), (1, whole, 0.5)], SIZE), CONFIG)
    assert as_rows(merged) == [(*whole, 0)]
    assert merged.scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("end", range(70, 112))
@pytest.mark.parametrize("second", [(20.0, 40.0), (25.0, 45.0)])
def test_touching_objects_are_not_joined(end: float, second: tuple[float, float]) -> None:
    """Two boxes side by side, meeting before, in and behind the zone that both tiles see."""
    objects: list[Box] = [(end - 25, 20, end, 40), (end, second[0], end + 25, second[1])]
    scene = views(objects, TilePlan(size=100, overlap=20), SIZE)
    assert as_rows(merge_seam(scene, CONFIG)) == [(*box, 0) for box in objects]


def test_parts_meet_across_a_seam_without_overlap() -> None:
    tiles = [(0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0)]
    parts = [(0, (60.0, 20.0, 99.0, 50.0), 0.6), (1, (100.5, 21.0, 150.0, 50.0), 0.8)]
    merged = merge_seam(tiled(tiles, parts, (200, 100)), CONFIG)
    assert as_rows(merged) == [(60, 20, 150, 50, 0)]
    assert merged.scores.tolist() == pytest.approx([0.8])


@pytest.mark.parametrize("neighbour", [(100, 32, 150, 62), (104.5, 20, 150, 50)])
def test_boxes_at_a_seam_with_other_extents_or_a_gap_stay_apart(neighbour: Box) -> None:
    tiles = [(0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0)]
    first = (60.0, 20.0, 100.0, 50.0)
    found = [(0, first, 0.6), (1, neighbour, 0.8)]
    assert merged_rows(tiles, found, (200, 100)) == [first, neighbour]


def test_four_tiles_at_a_corner() -> None:
    box = (50.0, 40.0, 150.0, 160.0)
    scene = views([box], TilePlan(size=100, overlap=0), (200, 200))
    assert len(scene.tile_index) == 4
    assert as_rows(merge_seam(scene, CONFIG)) == [(*box, 0)]


def test_diagonal_tiles_alone_do_not_join_what_fills_their_corner() -> None:
    tiles = [(0.0, 0.0, 100.0, 100.0), (90.0, 90.0, 190.0, 190.0)]
    parts = [(0, (60.0, 70.0, 100.0, 100.0), 0.9), (1, (90.0, 90.0, 130.0, 120.0), 0.8)]
    assert len(merged_rows(tiles, parts, (190, 190))) == 2


def test_the_edge_of_the_picture_is_no_seam() -> None:
    boxes: list[Box] = [(0, 0, 10, 30), (0, 0, 10, 12)]  # IoU .4: by all means two objects
    found = [(0, boxes[0], 0.5), (0, boxes[1], 0.9)]
    assert merged_rows([LEFT, RIGHT], found, SIZE) == sorted(boxes)


def test_full_image_tile_shows_large_objects_whole() -> None:
    box = (20.0, 10.0, 170.0, 90.0)
    tiles = [LEFT, RIGHT, (0.0, 0.0, 180.0, 100.0)]
    found = [
        (0, (20.0, 10.0, 100.0, 90.0), 0.9),
        (1, (80.0, 11.0, 170.0, 90.0), 0.8),
        (2, box, 0.4),
    ]
    assert merged_rows(tiles, found, SIZE) == [box]


def test_part_of_a_tilted_object_goes() -> None:
    """The object runs along the diagonal of its box, so its part is lower than the box."""
    whole, part = (90.0, 10.0, 160.0, 80.0), (90.0, 10.0, 100.0, 20.0)
    assert merged_rows([LEFT, RIGHT], [(0, part, 0.9), (1, whole, 0.5)], SIZE) == [whole]


def test_part_that_no_other_tile_saw_stays() -> None:
    part = (90.0, 20.0, 100.0, 40.0)
    assert merged_rows([LEFT, RIGHT], [(0, part, 0.5)], SIZE) == [part]


def test_one_region_looked_at_twice_is_one_tile() -> None:
    box = (80.0, 20.0, 100.0, 40.0)
    found = [(0, box, 0.5), (1, (81.0, 20.0, 100.0, 41.0), 0.4)]
    assert merged_rows([LEFT, LEFT, RIGHT], found, SIZE) == [box]


@settings(deadline=None, max_examples=60)
@given(
    seed=SEEDS,
    size=st.tuples(st.integers(40, 300), st.integers(40, 300)),
    tile=st.integers(32, 160),
    overlap=st.integers(4, 90),
    scale=st.sampled_from([0.7, 1.0, 1.5]),
    full_image=st.booleans(),
    class_aware=st.booleans(),
)
def test_perfect_views_give_exactly_the_objects(
    seed: int,
    size: tuple[int, int],
    tile: int,
    overlap: int,
    scale: float,
    full_image: bool,
    class_aware: bool,
) -> None:
    """Objects side by side, of any size, cut by any plan: one box each, to the last bit."""
    assume(4 * scale <= overlap <= tile // 2)  # a step of one pixel makes 90,000 tiles
    plan = TilePlan(size=tile, overlap=float(overlap), scale=scale, full_image=full_image)
    rng = np.random.default_rng(seed)
    objects = touching_objects(rng, *size)
    labels = rng.integers(0, 2, len(objects))
    scene = perfect_views(objects, labels, plan_tiles(*size, plan), size, rng)
    merged = merge_seam(scene, MergeConfig(class_aware=class_aware))
    truth = Detections(objects, np.ones(len(objects), np.float32), labels)
    assert as_rows(merged) == as_rows(truth)


@settings(deadline=None, max_examples=30)
@given(
    seed=SEEDS,
    size=st.tuples(st.integers(40, 300), st.integers(40, 300)),
    tile=st.integers(32, 160),
    overlap=st.integers(8, 60),
    scales=st.sampled_from([(0.5, 1.0, 2.0), (0.7, 1.0), (1.0, 1.5)]),
    full_image=st.booleans(),
)
def test_perfect_views_at_several_scales_give_exactly_the_objects(
    seed: int,
    size: tuple[int, int],
    tile: int,
    overlap: int,
    scales: tuple[float, ...],
    full_image: bool,
) -> None:
    """What one scale cuts another shows whole, or cuts elsewhere."""
    assume(overlap <= tile // 2)
    plan = TilePlan(size=tile, overlap=float(overlap), full_image=full_image)
    rng = np.random.default_rng(seed)
    objects = touching_objects(rng, *size)
    labels = rng.integers(0, 2, len(objects))
    tiles = plan_pyramid(*size, plan, Pyramid(scales=scales))
    scene = perfect_views(objects, labels, tiles, size, rng)
    truth = Detections(objects, np.ones(len(objects), np.float32), labels)
    merged = merge_seam(scene, CONFIG)
    assert as_rows(merged) == as_rows(truth)
    assert same(merge_seam(shuffled(scene, rng), CONFIG), merged)


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    size=st.tuples(st.integers(40, 300), st.integers(40, 300)),
    tile=st.integers(32, 160),
    overlap=st.integers(0, 4),
)
def test_without_overlap_objects_with_a_gap_are_found_to_two_pixels(
    seed: int, size: tuple[int, int], tile: int, overlap: int
) -> None:
    rng = np.random.default_rng(seed)
    objects = touching_objects(rng, *size) + np.array([3, 3, -3, -3], np.float32)
    objects = objects[(objects[:, 2:] - objects[:, :2] >= 3).all(axis=1)]
    labels = np.zeros(len(objects), np.int64)
    tiles = plan_tiles(*size, TilePlan(size=tile, overlap=float(overlap)))
    merged = merge_seam(perfect_views(objects, labels, tiles, size, rng), CONFIG)
    assert len(merged) == len(objects)
    off = np.abs(merged.boxes[:, None] - objects[None]).max(axis=2)  # (N, N)
    assert (off <= 2).sum(axis=0).tolist() == [1] * len(objects)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(1, 40), st.integers(0, 60))
def test_connected_components(seed: int, count: int, edges: int) -> None:
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, count, (2, edges))
    lowest = list(range(count))
    for _ in range(count):
        for a, b in zip(i, j, strict=True):
            lowest[a] = lowest[b] = min(lowest[a], lowest[b])
    assert connected(count, i, j).tolist() == lowest
