from __future__ import annotations

import math

import numpy as np
import pytest
from labelled_pictures import labelled_pictures, squares

from foveate.inspection.objects import Objects, weighted_quantile
from foveate.inspection.sizes import View, network_sides, relative_sides
from foveate.tiling import TilePlan


def test_ignored_and_empty_boxes_are_no_objects() -> None:
    dataset = labelled_pictures([[0, 0, 9, 9], [5, 5, 5, 9], [1, 1, 4, 4]], [], ignored=[[2], []])
    objects = Objects.of(dataset)
    assert len(objects) == 1
    assert objects.picture.tolist() == [0]
    assert objects.image_sizes.shape == (2, 2)
    np.testing.assert_array_equal(objects.sides, [9])


def test_squeezed_a_picture_has_its_own_scale() -> None:
    dataset = labelled_pictures([[0, 0, 16, 16]], [[0, 0, 16, 16]], sizes=[(1280, 400), (320, 640)])
    sides = network_sides(Objects.of(dataset), TilePlan(size=640, plain=True))
    np.testing.assert_allclose(sides, [8, 16])


def test_in_tiles_every_picture_has_the_plans_scale() -> None:
    dataset = labelled_pictures([[0, 0, 4, 16]], [[0, 0, 16, 16]])
    sides = network_sides(Objects.of(dataset), TilePlan(scale=1.5))
    np.testing.assert_allclose(sides, [12, 24])


def test_lost_is_less_than_one_cell() -> None:
    dataset = labelled_pictures([[0, 0, 7, 7], [0, 0, 8, 8], [0, 0, 20, 20], [0, 0, 40, 40]])
    view = View.of("tiles", TilePlan(), Objects.of(dataset), strides=(8, 16, 64))
    assert view.overall.lost == {8: 0.25, 16: 0.5, 64: 1.0}
    assert view.overall.median == 14
    assert view.overall.cells == {8: 14 / 8, 16: 14 / 16, 64: 14 / 64}


def test_by_class_leaves_out_classes_without_objects() -> None:
    dataset = labelled_pictures(
        [[0, 0, 8, 8], [0, 0, 32, 32]], labels=[[0, 2]], class_names=("a", "b", "c")
    )
    view = View.of("tiles", TilePlan(), Objects.of(dataset))
    assert {name: one.median for name, one in view.by_class.items()} == {"a": 8, "c": 32}


def test_nothing_at_all() -> None:
    view = View.of("tiles", TilePlan(), Objects.of(labelled_pictures([])))
    assert view.overall.objects == 0
    assert math.isnan(view.overall.median)
    assert view.to_dict()["overall"]["side_quantiles_px"] == {}


def test_relative_to_the_picture() -> None:
    dataset = labelled_pictures([[0, 0, 10, 40]], size=(400, 100))
    np.testing.assert_allclose(relative_sides(Objects.of(dataset)), [0.1])


def test_every_class_weighs_the_same() -> None:
    boxes = np.concatenate([np.asarray(squares(99, 10)), [[0, 0, 90, 90]]])
    dataset = labelled_pictures(boxes, labels=[[0] * 99 + [1]], class_names=("many", "one"))
    objects = Objects.of(dataset)
    assert objects.class_weights.sum() == pytest.approx(2)
    assert weighted_quantile(objects.sides, objects.class_weights, 0.25) == pytest.approx(10)
    assert weighted_quantile(objects.sides, objects.class_weights, 0.9) == pytest.approx(90)
    assert math.isnan(weighted_quantile(np.zeros(0), np.zeros(0), 0.5))
