from __future__ import annotations

import dataclasses

import pytest
from evaluation_data import dataset_of, detections, labelled

from foveate.evaluation import SEAM_KINDS
from foveate.evaluation.assignment import Matcher
from foveate.evaluation.pairs import find_pairs
from foveate.evaluation.seams import SeamCounts, seam_effects
from foveate.evaluation.tables import flatten
from foveate.structures import Dataset, Detections, Tile

# Two tiles of 220 x 400 side by side in a picture of 400 x 400; they share x from 180 to 220.
LEFT, RIGHT = Tile(0, 0, 220, 400, 220, 400), Tile(180, 0, 220, 400, 220, 400)


def effects(
    dataset: Dataset,
    predictions: dict[int, Detections],
    tiles: dict[int, list[Tile]],
    threshold: float = 0.5,
) -> dict[str, SeamCounts]:
    tables = flatten(dataset, predictions, None)
    matcher = Matcher(tables, find_pairs(tables, {"iou": 0.5})["iou"], [0.5])
    return seam_effects(dataset, tables, matcher.assign(), tiles, threshold)


BOXES = {
    "cut": (170.0, 10.0, 230.0, 30.0),  # longer than the overlap
    "crossed": (175.0, 50.0, 190.0, 60.0),  # whole in the left tile, cut by the right one's edge
    "near": (185.0, 100.0, 195.0, 110.0),  # whole in both, 5 px from an edge
    "far": (0.0, 200.0, 10.0, 210.0),  # at the edge of the picture, which is none
}


@pytest.mark.parametrize("kind", SEAM_KINDS)
def test_nearness_of_found_missed_and_false(kind: str) -> None:
    box = BOXES[kind]
    shape = dataset_of(labelled(box), labelled(box), labelled())
    predictions = {
        1: detections(box, scores=[0.9]),
        2: detections(box, scores=[0.4]),  # below the threshold
        3: detections(box, scores=[0.9]),
    }
    counts = effects(shape, predictions, {i: [LEFT, RIGHT] for i in (1, 2, 3)})
    assert counts.keys() == set(SEAM_KINDS)
    for name, count in counts.items():
        assert count == (SeamCounts(1, 1, 1) if name == kind else SeamCounts(0, 0, 0))
    assert counts[kind].to_dict()["recall"] == 0.5


def test_only_the_finest_tiles_count() -> None:
    whole = Tile(0, 0, 400, 400, 200, 200)
    dataset = dataset_of(labelled(BOXES["cut"]))
    assert effects(dataset, {}, {1: [whole, LEFT, RIGHT]})["cut"].missed == 1
    assert effects(dataset, {}, {1: [whole]})["far"].missed == 1


def test_pictures_without_tiles_are_left_out() -> None:
    dataset = dataset_of(labelled(BOXES["cut"]), labelled(BOXES["near"]))
    counts = effects(dataset, {}, {2: [LEFT, RIGHT]})
    assert {name: count.missed for name, count in counts.items()} == {
        "cut": 0, "crossed": 0, "near": 1, "far": 0,
    }  # fmt: skip
    assert counts["cut"].to_dict()["recall"] is None
    assert effects(dataset, {}, {}).keys() == set(SEAM_KINDS)


def test_ignore_regions_and_what_lies_on_them_are_no_matter() -> None:
    dataset = dataset_of(labelled(BOXES["cut"], ignore=1))
    counts = effects(dataset, {1: detections(BOXES["cut"], scores=[0.9])}, {1: [LEFT, RIGHT]})
    assert all(count == SeamCounts(0, 0, 0) for count in counts.values())


def test_a_box_over_the_edge_of_the_picture_is_cut_to_it() -> None:
    dataset = dataset_of(labelled((-5.0, 200.0, 10.0, 210.0)))
    turned = dataclasses.replace(dataset, samples=dataset.samples[::-1])
    assert effects(turned, {}, {1: [LEFT, RIGHT]})["far"].missed == 1
