"""Merging as tiles come gives what merging at once gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_data import perfect_views, same, touching_objects

from foveate.merge import MERGES, MergeConfig, merge_tiles
from foveate.merge.front import FrontMerge, FrontState
from foveate.structures import Detections, FloatArray, Tile, TiledDetections
from foveate.tiling import Pyramid, TilePlan, plan_pyramid, plan_tiles

SIZE = (400, 500)
PLANS = (
    TilePlan(size=64, overlap=0.25),
    TilePlan(size=96, overlap=0),
    TilePlan(size=80, overlap=4),
)


def by_rows(tiles: list[Tile]) -> list[Tile]:
    return sorted(tiles, key=lambda tile: (tile.y, tile.x))


def random_views(
    rng: np.random.Generator, tiles: list[Tile], objects: FloatArray, noise: float
) -> TiledDetections:
    """Parts of objects in every tile, a little off, some twice, and boxes of nothing beside."""
    labels = rng.integers(0, 2, len(objects))
    seen = perfect_views(objects, labels, tiles, SIZE, rng)
    again = rng.random(len(seen.tile_index)) < 0.3
    index = np.concatenate([seen.tile_index, seen.tile_index[again]])
    found = Detections.concatenate([seen.detections, seen.detections[again]])
    regions = seen.regions[index]
    low, high = np.tile(regions[:, :2], 2), np.tile(regions[:, 2:], 2)
    boxes = np.clip(found.boxes + rng.normal(0, noise, (len(found), 4)), low, high)
    scores = rng.integers(1, 9, len(found)) / 8
    return TiledDetections(
        Detections(boxes.astype(np.float32), scores.astype(np.float32), found.labels),
        index, seen.regions, SIZE,
    )  # fmt: skip


def in_pieces(
    scene: TiledDetections, tiles: list[Tile], config: MergeConfig, rng: np.random.Generator
) -> tuple[list[Detections], int]:
    """What comes out piece by piece, and the most boxes that were held."""
    front, out, most, at = FrontMerge(config, SIZE), [], 0, 0
    while at < len(tiles):
        upto = min(len(tiles), at + int(rng.integers(1, 9)))
        rows = (scene.tile_index >= at) & (scene.tile_index < upto)
        front.add(
            TiledDetections(
                scene.detections[rows], scene.tile_index[rows] - at, scene.regions[at:upto], SIZE
            )
        )
        at = upto
        most = max(most, len(front))
        done = front.advance(tiles[at].y if at < len(tiles) else np.inf)
        out += [] if done is None else [done]
        if rng.random() < 0.3:  # as after a kill
            front = FrontMerge(config, SIZE, FrontState(*front.state))
    return [*out, front.finish()], most


def objects_of(kind: str, rng: np.random.Generator) -> FloatArray:
    if kind == "touching":
        return touching_objects(rng, *SIZE)
    count, largest = (60, 200) if kind == "large" else (150, 30)
    corner = rng.uniform(0, SIZE, (count, 2))
    size = np.exp(rng.uniform(np.log(3), np.log(largest), (count, 2)))
    boxes = np.concatenate([corner, corner + size], axis=1)
    return np.asarray(np.clip(boxes, 0, [*SIZE, *SIZE]), np.float32)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(MERGES)),
    st.sampled_from(["touching", "large", "small"]),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.sampled_from(["iou", "ios"]),
    st.sampled_from([0.3, 0.5, 0.8]),
)
def test_piece_by_piece_is_the_same_as_at_once(
    method: str, kind: str, seed: int, class_aware: bool, metric: str, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    plan = PLANS[rng.integers(len(PLANS))]
    if rng.random() < 0.3:
        tiles = by_rows(plan_pyramid(*SIZE, plan, Pyramid(scales=(1.0, 0.5)), 8))
    else:
        full = plan.model_copy(update={"full_image": bool(rng.random() < 0.3)})
        tiles = by_rows(plan_tiles(*SIZE, full, 8))
    scene = random_views(rng, tiles, objects_of(kind, rng), float(rng.choice([0, 0.4, 2])))
    config = MergeConfig.from_dict(
        {"method": method, "class_aware": class_aware, "metric": metric, "threshold": threshold}
    )
    pieces, _ = in_pieces(scene, tiles, config, rng)
    assert same(Detections.concatenate(pieces).in_order(), merge_tiles(scene, config))


@pytest.mark.parametrize("method", MERGES)
def test_little_is_held(method: str) -> None:
    """Of a long picture about as much as of a short one, also where objects touch."""
    rng = np.random.default_rng(0)
    held = []
    for height in (1000, 4000):
        tiles = by_rows(plan_tiles(SIZE[0], height, PLANS[0], 8))
        x, y = np.meshgrid(np.arange(0, SIZE[0], 12), np.arange(0, height, 12))
        corner = np.stack([x.ravel(), y.ravel()], axis=1)
        objects = np.concatenate([corner, corner + 12], axis=1).astype(np.float32)
        labels = np.zeros(len(objects), np.int64)
        scene = perfect_views(objects, labels, tiles, (SIZE[0], height), rng)
        front, most = FrontMerge(MergeConfig.from_dict({"method": method}), (SIZE[0], height)), 0
        for number, tile in enumerate(tiles):
            rows = scene.tile_index == number
            front.add(
                TiledDetections(
                    scene.detections[rows], np.zeros(rows.sum(), np.int64),
                    scene.regions[[number]], (SIZE[0], height),
                )
            )  # fmt: skip
            front.advance(tile.y)
            most = max(most, len(front))
        held.append(most)
    assert held[1] < 1.2 * held[0]


def test_what_waits_is_settled_after_some_calls() -> None:
    front = FrontMerge(MergeConfig(), (100, 100_000))
    found = Detections(
        np.array([[1, 1, 9, 9], [1, 80, 9, 99]], np.float32),
        np.ones(2, np.float32),
        np.zeros(2, int),
    )
    regions = np.array([[0, 0, 100, 100]], np.float32)
    front.add(TiledDetections(found, np.zeros(2, int), regions, (100, 100_000)))
    first = front.advance(50)
    assert first is not None
    assert first.boxes.tolist() == [[1, 1, 9, 9]]
    given_out = [front.advance(1000 * step) for step in range(1, 20)]
    (second,) = [done for done in given_out if done is not None and len(done)]
    assert second.boxes.tolist() == [[1, 80, 9, 99]]
