from __future__ import annotations

import base64
import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports_data import boxes_of, scene

from foveate.reports.charts.sizes import SizeBars, size_chart, size_counts
from foveate.reports.figures import (
    Layer,
    choose_regions,
    content_id,
    crop_svg,
    encode_picture,
    key_box,
    outlines,
    resized,
    shown_width,
)
from foveate.structures import UInt8Image


def decode(uri: str) -> UInt8Image:
    data = np.frombuffer(base64.b64decode(uri.split(",", 1)[1]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def numbers_of(svg: str) -> list[list[float]]:
    """x, y, width, height of every box in an SVG path."""
    found = re.findall(r"M(-?[\d.]+) (-?[\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", svg)
    return [[float(number) for number in row] for row in found]


@pytest.mark.parametrize("most_bytes", [200_000, 30_000, 5_000])
def test_pictures_keep_to_their_budget(most_bytes: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (700, 1000, 3), dtype=np.uint8)
    uri = encode_picture(image, most_bytes)
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(base64.b64decode(uri.split(",")[1])) <= most_bytes
    shown = decode(uri)
    assert shown.shape[1] / shown.shape[0] == pytest.approx(1000 / 700, rel=0.05)


def test_small_pictures_are_kept_to_the_pixel() -> None:
    image = scene(90, 60)
    np.testing.assert_array_equal(decode(encode_picture(image, 20_000)), image)


@pytest.mark.parametrize(
    "shape", [(1, 1, 3), (3, 20_000, 3), (20_000, 3, 1), (50, 60, 4), (9, 9, 2)]
)
def test_odd_shapes(shape: tuple[int, int, int]) -> None:
    image = np.full(shape, 77, np.uint8)
    shown = decode(encode_picture(image, 50_000))
    assert np.abs(shown.astype(int) - 77).max() <= 3
    assert max(shown.shape) <= 1600
    assert shown_width((shape[1], shape[0])) >= 1
    assert resized(image, 0.5).ndim == 3


def test_outlines_surround_their_objects() -> None:
    boxes = boxes_of()
    svg = outlines([Layer(boxes, (255, 0, 0))], (0, 0, 320, 240), 960, 'class="boxes"')
    drawn = np.array(numbers_of(svg))
    assert len(drawn) == len(boxes)
    assert (drawn[:, :2] < boxes[:, :2]).all()
    assert (drawn[:, :2] + drawn[:, 2:] > boxes[:, 2:]).all()
    assert 'stroke="#ff0000"' in svg


def test_outlines_stay_legible_where_the_picture_is_shrunk() -> None:
    tiny = np.array([[100, 100, 102, 102]], np.float32)
    (box,) = numbers_of(outlines([Layer(tiny, (0, 0, 0))], (0, 0, 9600, 5400), 960, ""))
    assert box[2] >= 90  # 9 pixels on the page
    assert box[0] < 100 < 102 < box[0] + box[2]


def test_outlines_of_a_region_are_in_its_coordinates() -> None:
    boxes = np.array([[10, 10, 20, 20], [110, 60, 130, 90], [300, 200, 310, 210]], np.float32)
    svg = outlines([Layer(boxes, (0, 0, 0))], (100, 50, 200, 150), 200, "")
    (box,) = numbers_of(svg)
    assert box == pytest.approx([9.5, 9.5, 21, 31])


def test_outlines_are_grouped_by_score() -> None:
    boxes = boxes_of(count=40)
    scores = np.linspace(0.3, 1, 40).astype(np.float32)
    svg = outlines([Layer(boxes, (0, 0, 0), scores=scores)], (0, 0, 320, 240), 960, "")
    steps = {
        float(s): int(c) for s, c in re.findall(r'data-score="([\d.]+)" data-count="(\d+)"', svg)
    }
    assert sum(steps.values()) == 40
    assert min(steps) == 0.3
    for step, count in steps.items():
        assert count == ((scores >= step - 1e-6) & (scores < step + 0.05 - 1e-6)).sum()


@pytest.mark.parametrize("shape", ["box", "ring", "brackets"])
def test_shapes_are_paths_without_errors(shape: str) -> None:
    svg = outlines([Layer(boxes_of(), (1, 2, 3), shape)], (0, 0, 320, 240), 640, "")  # type: ignore[arg-type]
    assert svg.count("<g") == svg.count("</g>")
    assert "nan" not in svg
    assert "e-" not in svg
    assert 'stroke="#fff"' in key_box("#fff", shape)  # type: ignore[arg-type]


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 60), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_regions_lie_in_the_picture_and_show_objects(
    width: int, height: int, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, (width, height), (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 40, (count, 2))], 1).astype(np.float32)
    regions = choose_regions(boxes, (width, height), 4)
    assert len(regions) <= 4
    for x1, y1, x2, y2 in regions:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        touch = (boxes[:, :2] <= (x2, y2)).all(axis=1) & (boxes[:, 2:] >= (x1, y1)).all(axis=1)
        assert touch.any()


def test_the_fullest_region_comes_first() -> None:
    crowd = np.tile([[1500.0, 900.0]], (30, 1)) + np.random.default_rng(0).uniform(0, 20, (30, 2))
    lonely = np.array([[100.0, 100.0], [2000.0, 200.0]])
    corner = np.concatenate([lonely, crowd])
    boxes = np.concatenate([corner, corner + 6], axis=1).astype(np.float32)
    regions = choose_regions(boxes, (2560, 1440), 3)
    assert regions[0][0] < 1510 < regions[0][2]
    assert len(regions) == 3
    assert choose_regions(boxes, (100, 80), 3) == []  # hardly larger than a region
    assert choose_regions(boxes[:0], (2560, 1440), 3) == []


def test_crops_show_the_pixels_of_the_region() -> None:
    image = scene()
    svg = crop_svg(image[30:94, 20:84], [], (20, 30, 84, 94), "part")
    uri = re.findall(r'href="(data:[^"]+)"', svg)[0]
    np.testing.assert_array_equal(decode(uri), image[30:94, 20:84])
    assert 'viewBox="0 0 64 64"' in svg
    squeezed = re.findall(
        r'href="(data:[^"]+)"', crop_svg(image[30:94, 20:84], [], (20, 30, 84, 94), "", 0.25)
    )
    assert decode(squeezed[0]).shape == (16, 16, 3)
    enlarged = re.findall(
        r'href="(data:[^"]+)"', crop_svg(image[30:94, 20:84], [], (20, 30, 84, 94), "", 2)
    )
    assert decode(enlarged[0]).shape == (64, 64, 3)


def test_ids_depend_on_content() -> None:
    assert content_id("a") == content_id("a") != content_id("b")
    assert content_id("a")[0].isalpha()


def test_sizes_are_counted_by_side() -> None:
    sides = np.array([1, 3.9, 4, 7, 20, 128, 900], np.float32)
    boxes = np.stack([sides * 0, sides * 0, sides, sides], axis=1)
    assert size_counts(boxes) == [2, 2, 0, 1, 0, 0, 2]
    assert size_counts(boxes[:0]) == [0] * 7


def test_chart_has_a_bar_for_each_size_and_a_key() -> None:
    single = size_chart([SizeBars("objects", boxes_of())])
    assert single.count("<rect") == 7
    assert 'class="key"' not in single
    double = size_chart([SizeBars("<a>", boxes_of(), "b0"), SizeBars("b", boxes_of()[:0])])
    assert double.count("<rect") == 14
    assert "&lt;a&gt;" in double
    assert "<a>" not in double
    assert size_chart([SizeBars("none", boxes_of()[:0])]).count('height="0.0"') == 7
