from __future__ import annotations

import time

import numpy as np
import pytest
import yaml
from labelled_pictures import labelled_pictures, squares
from random_boxes import random_boxes

from foveate.inspection.advice import MOST_SCALE, Advice, advise, named
from foveate.inspection.coverage import whole_objects
from foveate.inspection.crowding import measure_crowding
from foveate.inspection.objects import Objects
from foveate.inspection.recipe import advised_recipe
from foveate.structures import Dataset


def advice_for(dataset: Dataset) -> Advice:
    objects = Objects.of(dataset)
    return advise(objects, measure_crowding(objects))


def of_side(side: float, size: tuple[int, int] = (1280, 960)) -> Dataset:
    return labelled_pictures(squares(30, side, step=120), size=size)


@pytest.mark.parametrize(
    ("side", "scale"), [(6, MOST_SCALE), (20, 2.0), (27, 1.5), (60, 1.0), (280, 0.5)]
)
def test_objects_become_as_large_as_those_that_backbones_know(side: float, scale: float) -> None:
    advice = advice_for(of_side(side, (4000, 4000)))
    assert advice.plan.scale == scale
    said = named(advice.recommendations, "scale")
    assert said is not None
    assert said.value == scale
    assert ("beyond x2" in said.reason) == (side == 6)


@pytest.mark.parametrize(
    ("small", "large", "scale"),
    [
        (20, 105, 1.25),  # the median asks for 2, the large ones allow 1.33
        (70, 240, 0.6),  # reduced until the large ones fit, the median still at 40
        (30, 300, 1.0),  # too different: neither side gives way
        (60, 400, 0.7),  # reduced as far as the median allows
    ],
)
def test_median_and_large_objects_bound_the_scale(small: int, large: int, scale: float) -> None:
    several = np.asarray(squares(40, small, 120)), np.asarray(squares(10, large, 500)) + 1200
    dataset = labelled_pictures(np.concatenate(several), size=(8000, 8000))
    said = named(advice_for(dataset).recommendations, "scale")
    assert said is not None
    assert said.value == pytest.approx(scale)
    assert f"the large ones (95 %) of {large}" in said.reason


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    boxes = np.concatenate([np.asarray(squares(50, 100, 120)), np.asarray(squares(2, 5))])
    dataset = labelled_pictures(
        boxes, labels=[[0] * 50 + [1] * 2], class_names=("large", "ball"), size=(1280, 960)
    )
    reason = named(advice_for(dataset).recommendations, "scale")
    assert reason is not None
    assert 5 < float(reason.reason.split("side of ")[1].split(" px")[0]) < 100


def test_the_overlap_keeps_objects_whole() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 1900, (3000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 80, (3000, 2))], axis=1)
    dataset = labelled_pictures(boxes, size=(2000, 2000))
    advice = advice_for(dataset)
    assert whole_objects(Objects.of(dataset), advice.plan).mean() >= 0.99
    assert advice.coverage.whole >= 0.99
    assert not advice.plan.full_image


def test_objects_longer_than_a_tile_ask_for_the_whole_picture() -> None:
    boxes = np.concatenate([np.asarray(squares(20, 30)), [[0, 0, 1900, 1900]]])
    advice = advice_for(labelled_pictures(boxes, size=(2000, 2000)))
    assert advice.plan.full_image
    assert named(advice.recommendations, "full image") is not None


def test_rare_classes_are_drawn_more_often() -> None:
    pictures = [squares(3, 30)] * 20
    labels = [[0, 0, 1 if number == 0 else 0] for number in range(20)]
    dataset = labelled_pictures(*pictures, labels=labels, class_names=("often", "rare"))
    advice = advice_for(dataset)
    assert advice.repeat_below == 0.5
    said = named(advice.recommendations, "balance")
    assert said is not None
    assert said.reason.startswith("rare is in 5.0% of the pictures")
    even = labelled_pictures(*pictures, class_names=("often", "never"))
    assert advice_for(even).repeat_below == 0


def test_objects_on_top_of_each_other_ask_for_a_gentle_merge() -> None:
    boxes = np.repeat(np.asarray(squares(10, 30)), 2, axis=0)
    assert named(advice_for(labelled_pictures(boxes)).recommendations, "merge") is not None
    assert named(advice_for(of_side(20)).recommendations, "merge") is None


def test_strides_follow_the_sizes() -> None:
    small = named(advice_for(of_side(12)).recommendations, "strides")
    large = named(advice_for(of_side(100)).recommendations, "strides")
    assert small is not None
    assert large is not None
    assert small.value == [8, 8]  # 24 network pixels
    assert large.value[0] == 32


def test_every_reason_has_a_number() -> None:
    for one in advice_for(of_side(20)).recommendations:
        assert any(character.isdigit() for character in one.reason), one


def test_no_objects_get_the_default_plan() -> None:
    advice = advice_for(labelled_pictures([], []))
    assert len(advice.recommendations) == 1
    assert advice.recommendations[0].advice == "label some objects"
    assert advice.anchors == {}
    assert advice.to_dict()["anchors"] == {}


def test_one_object_in_one_picture() -> None:
    advice = advice_for(labelled_pictures([[3, 3, 12, 12]], size=(100, 80)))
    assert advice.plan.scale == MOST_SCALE
    assert advice.coverage.tiles == 1


def test_a_hundred_thousand_boxes_of_ten_thousand_classes_take_seconds() -> None:
    rng = np.random.default_rng(0)
    pictures = [random_boxes(rng, 1000, 2000) for _ in range(100)]
    labels = [rng.integers(0, 10_000, 1000).tolist() for _ in range(100)]
    names = tuple(f"class {number}" for number in range(10_000))
    dataset = labelled_pictures(*pictures, labels=labels, class_names=names, size=(2000, 2000))
    started = time.process_time()
    advice = advice_for(dataset)
    assert time.process_time() - started < 10  # about 2 s on an idle machine
    assert advice.default_anchors is not None
    assert advice.anchors["kmeans"].mean_iou > advice.default_anchors.mean_iou


@pytest.mark.parametrize("name", ["line\nbreak", "\x1b[31mred", "half \ud800", "größe: 漢字"])
def test_any_folder_name_makes_a_recipe(name: str) -> None:
    text = advised_recipe(advice_for(of_side(20)), name)
    values = yaml.safe_load(text.encode())
    assert values["tile_plan"]["scale"] == 2.0
    assert values["name"] == "".join(one if one.isprintable() else "-" for one in name)


def reason_for(dataset: Dataset, topic: str) -> str:
    said = named(advice_for(dataset).recommendations, topic)
    assert said is not None
    return said.reason


def test_tiles_are_counted_in_whole_numbers() -> None:
    few = labelled_pictures(squares(1, 60), size=(100, 80))
    assert "takes 1 tile and" in reason_for(few, "tile")
    assert "holds 1 object, " in reason_for(few, "detections")
    many = labelled_pictures(squares(5, 20), size=(60_000, 40_000))
    assert "e+" not in reason_for(many, "tile")


def test_the_recipe_is_yaml_with_its_reasons() -> None:
    advice = advice_for(of_side(20))
    text = advised_recipe(advice, "things: mine")
    values = yaml.safe_load(text)
    assert values["name"] == "things: mine"
    assert values["tile_plan"]["scale"] == 2.0
    assert values["tile_plan"]["overlap"] == advice.plan.overlap_pixels
    assert values["method"]["max_detections"] == advice.max_detections
    assert "# scale: The median object" in text
    assert max(map(len, text.splitlines())) <= 100
