from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_pictures import labelled_pictures
from random_boxes import random_boxes

from foveate.inspection.coverage import cover, whole_objects
from foveate.inspection.crowding import measure_crowding
from foveate.inspection.objects import Objects
from foveate.tiling import TilePlan, plan_tiles

PLANS = st.builds(
    TilePlan,
    size=st.integers(64, 400),
    overlap=st.floats(0, 0.6),
    scale=st.sampled_from([0.5, 1.0, 1.5]),
    full_image=st.booleans(),
    plain=st.booleans(),
)


@given(st.integers(0, 2**32 - 1), PLANS)
def test_whole_and_counts_are_what_a_look_at_every_tile_gives(seed: int, plan: TilePlan) -> None:
    rng = np.random.default_rng(seed)
    sizes = [(int(w), int(h)) for w, h in rng.integers(40, 900, (3, 2))]
    dataset = labelled_pictures(*(random_boxes(rng, 15, 700) for _ in sizes), sizes=sizes)
    objects = Objects.of(dataset)
    whole, counts, tiles, pixels = [], [], 0, 0
    for number, (width, height) in enumerate(sizes):
        planned = plan_tiles(width, height, plan)
        tiles += len(planned)
        pixels += sum(tile.out_width * tile.out_height for tile in planned)
        boxes = objects.boxes[objects.picture == number].astype(np.float64)
        cut = np.clip(boxes, 0, [width, height, width, height])
        regions = np.array([tile.box for tile in planned])
        inside = (cut[:, None, :2] >= regions[None, :, :2]) & (
            cut[:, None, 2:] <= regions[None, :, 2:]
        )
        whole += inside.all(axis=2).any(axis=1).tolist()
        centres = np.clip((boxes[:, :2] + boxes[:, 2:]) / 2, 0, [width, height])
        for tile in planned[:-1] if plan.full_image and len(planned) > 1 else planned:
            x1, y1, x2, y2 = tile.box
            held = (centres >= (x1, y1)) & (centres <= (x2, y2))
            counts.append(int(held.all(axis=1).sum()))
    assert whole_objects(objects, plan).tolist() == whole
    found = cover(objects, plan)
    assert found.tiles == pytest.approx(tiles / 3)
    assert found.network_pixels == pytest.approx(pixels / 3e6)
    assert found.most_in_a_tile == max(counts)


def test_nothing_to_cover() -> None:
    found = cover(Objects.of(labelled_pictures([])), TilePlan())
    assert math.isnan(found.whole)
    assert found.to_dict()["objects_whole_in_a_tile"] is None
    assert found.most_in_a_tile == 0


def test_neighbours() -> None:
    dataset = labelled_pictures(
        [[0, 0, 10, 10], [0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 90]],
        [],
        labels=[[0, 1, 0, 0], []],
        class_names=("a", "b"),
    )
    crowding = measure_crowding(Objects.of(dataset))
    assert crowding.per_image == (2.0, 2.0, 4)
    assert crowding.empty_images == 1
    assert crowding.touching == 0.75
    # The two that coincide are of different classes; two of one class share a third.
    assert crowding.overlapping == {0.3: 0.5, 0.5: 0.0, 0.7: 0.0}
    assert crowding.aspect[1] == 1.0


def test_no_neighbours_of_nothing() -> None:
    crowding = measure_crowding(Objects.of(labelled_pictures()))
    assert crowding.per_image == (0.0, 0.0, 0)
    assert crowding.to_dict()["width_over_height"] == {}
