from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports_data import annotations_of, boxes_of, detections_of, one_box, scene

from foveate.evaluation import match_detections
from foveate.reports import draw_detections, draw_match
from foveate.reports.palette import CLASS_COLOURS, FALSE, FOUND, MISSED, Colour, class_colour
from foveate.structures import Annotations, Detections, UInt8Image

NAMES = ("ball", "player")


def flat(value: int, width: int = 120, height: int = 100, channels: int = 3) -> UInt8Image:
    return np.full((height, width, channels), value, np.uint8)


def changed(
    before: UInt8Image, after: UInt8Image
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray((before.astype(int) != after).any(axis=2))


def test_draws_on_a_copy() -> None:
    image = scene()
    before = image.copy()
    drawn = draw_detections(image, detections_of(boxes_of()), NAMES)
    np.testing.assert_array_equal(image, before)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert changed(image, drawn).any()


def test_no_detections_leave_the_picture_as_it_is() -> None:
    image = scene()
    drawn = draw_detections(image, Detections.empty(), NAMES)
    np.testing.assert_array_equal(drawn, image)
    assert not np.shares_memory(drawn, image)


@pytest.mark.parametrize("background", [0, 90, 255])
@pytest.mark.parametrize("label", range(len(CLASS_COLOURS)))
def test_a_three_pixel_object_stands_out_and_is_not_drawn_over(background: int, label: int) -> None:
    image = flat(background)
    image[50:53, 60:63] = 255 - background
    drawn = draw_detections(image, one_box(60, 50, 63, 53, label=label), ())
    np.testing.assert_array_equal(drawn[50:53, 60:63], image[50:53, 60:63])
    around = drawn[44:60, 54:70].astype(int)
    # Line and halo together hold something bright and something dark, on any background.
    assert around.sum(axis=2).max() > 380
    assert around.sum(axis=2).min() < 200 or background == 0
    rows, columns = np.nonzero(changed(image, drawn))
    assert min(rows.min(), columns.min()) > 40
    assert max(rows.max() - 53, columns.max() - 63) < 8


@given(
    st.lists(st.floats(-50, 250, width=32), min_size=4, max_size=4),
    st.sampled_from([1, 3]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.5, 1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_any_box_on_any_picture(
    numbers: list[float], channels: int, width: int, height: int, scale: float
) -> None:
    image = flat(120, width, height, channels)
    drawn = draw_detections(image, one_box(*numbers), NAMES, scale=scale)
    assert drawn.shape == (max(1, round(height * scale)), max(1, round(width * scale)), 3)


def test_an_object_in_the_corner_has_its_outline_inside() -> None:
    image = flat(120)
    for box in ((0, 0, 4, 4), (116, 96, 120, 100)):
        drawn = draw_detections(image, one_box(*box), NAMES)
        assert np.abs(drawn.astype(int) - 120).max(axis=2).sum() > 1500


def test_scale_enlarges_picture_and_boxes() -> None:
    image = flat(0)
    image[50:53, 60:63] = 255
    drawn = draw_detections(image, one_box(60, 50, 63, 53), NAMES, scale=4)
    assert drawn.shape == (400, 480, 3)
    assert (drawn[203:209, 243:249] > 200).all()
    assert changed(flat(0, 480, 400), drawn)[190:222, 230:262].any(axis=0).sum() > 16


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_grey_and_more_bands_become_rgb(channels: int) -> None:
    drawn = draw_detections(flat(100, channels=channels), one_box(10, 10, 30, 30), NAMES)
    assert drawn.shape == (100, 120, 3)
    assert (drawn[20, 20] == 100).all()


def test_large_objects_are_named_but_no_text_covers_another_object() -> None:
    image = flat(120, 300, 300)
    large = one_box(100, 100, 200, 200)
    drawn = draw_detections(image, large, NAMES)
    assert changed(image, drawn)[80:96, 100:140].any()
    assert not changed(image, draw_detections(image, large, NAMES, labels=False))[80:96].any()
    small_above = Detections.concatenate([large, one_box(110, 86, 114, 90, label=1)])
    near = draw_detections(image, small_above, NAMES)
    apart = draw_detections(image, small_above, NAMES, labels=False)
    np.testing.assert_array_equal(near, apart)


def test_own_colours_and_classes_without_a_name() -> None:
    image = flat(120, 200, 200)
    drawn = draw_detections(
        image, one_box(50, 50, 150, 150, label=5), (), colours=[(1, 2, 3)], line=3
    )
    assert (drawn == (1, 2, 3)).all(axis=2).sum() > 300


def test_match_is_told_by_shape_too() -> None:
    image = flat(120, 300, 120)
    boxes = np.array([[20, 30, 70, 80], [120, 30, 170, 80], [220, 30, 270, 80]], np.float32)
    labels = Annotations(boxes[:2], np.zeros(2, np.int64), np.zeros(2, bool))
    found = Detections(boxes[[0, 2]], np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
    drawn = draw_match(image, found, labels, match_detections(found, labels), line=2)[:120]
    touched = changed(image, drawn)
    middle_of_top = [touched[26:32, x + 25].any() for x in (20, 120, 220)]
    corner = [touched[26:31, x - 4 : x].any() for x in (20, 120, 220)]
    assert middle_of_top[0]
    assert corner[0]  # found: a whole box
    assert not corner[1]  # missed: a ring
    assert corner[2]  # false: brackets
    assert not middle_of_top[2]
    for left, colour in ((10, FOUND), (110, MISSED), (210, FALSE)):
        part = drawn[:, left : left + 70]
        assert np.abs(part.astype(int) - colour).sum(axis=2).min() < 30


def test_legend_is_a_strip_that_fits() -> None:
    detections = detections_of(boxes_of())
    labels = annotations_of(detections)
    match = match_detections(detections, labels)
    image = scene()
    wide = draw_match(image, detections, labels, match)
    assert wide.shape[1:] == image.shape[1:]
    strip = wide.shape[0] - image.shape[0]
    assert 15 < strip < 40
    without = draw_match(image, detections, labels, match, legend=False)
    np.testing.assert_array_equal(without, wide[:-strip])
    narrow = draw_match(flat(90, 40, 60), Detections.empty(), Annotations.empty(), EMPTY_MATCH)
    assert narrow.shape[0] - 60 == 3 * strip


EMPTY_MATCH = match_detections(Detections.empty(), Annotations.empty())

# Machado, Oliveira, Fernandes 2009, severity 1: what colour-blind eyes see, in linear RGB.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def seen(colour: Colour, kind: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    linear = (np.array(colour) / 255) ** 2.2
    return np.clip(np.array(BLINDNESS[kind]) @ linear, 0, 1) ** (1 / 2.2) * 255


@pytest.mark.parametrize("kind", sorted(BLINDNESS))
def test_found_missed_false_differ_for_every_eye(kind: str) -> None:
    colours = [seen(colour, kind) for colour in (FOUND, MISSED, FALSE)]
    for i in range(3):
        for j in range(i):
            assert np.linalg.norm(colours[i] - colours[j]) > 55


def test_class_colours_repeat_only_after_all_are_used() -> None:
    assert len(set(CLASS_COLOURS)) == 8
    assert class_colour(8) == class_colour(0)
    assert all(sum(colour) > 380 for colour in CLASS_COLOURS)  # bright enough for the dark halo
