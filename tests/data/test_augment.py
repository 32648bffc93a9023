import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.data.augment import (
    AugmentConfig,
    draw_linear_map,
    vary_colour,
    warp_boxes,
    warp_image,
)


def turn(degrees: float, scale: float = 1.0) -> np.ndarray:
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return scale * np.array([[cos, -sin], [sin, cos]])


@settings(deadline=None)
@given(
    st.integers(0, 3), st.booleans(), st.floats(0.8, 2.0), st.integers(20, 40), st.integers(20, 40)
)
def test_the_warped_box_frames_the_warped_object(
    quarter: int, mirror: bool, scale: float, x: int, y: int
) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[y : y + 12, x : x + 16] = 255
    linear = turn(90 * quarter, scale) @ np.diag([-1.0 if mirror else 1.0, 1.0])
    centre = np.array([32.0, 32.0])
    boxes = np.array([[x, y, x + 16, y + 12]], np.float32)
    tile = warp_image(image, linear, centre, 128)
    rows, columns = np.nonzero(tile[..., 0] > 127)
    frame = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    for shape in ("ellipse", "corners"):
        moved = warp_boxes(boxes, linear, centre, 128, shape)[0]
        assert np.abs(moved - frame).max() <= 1.01


@pytest.mark.parametrize("degrees", [17, 45, 70, 133])
def test_a_turned_ellipse_has_the_box_the_formula_says(degrees: float) -> None:
    rows, columns = np.mgrid[0:200, 0:200] + 0.5
    inside = ((columns - 100) / 40) ** 2 + ((rows - 100) / 20) ** 2 <= 1
    image = np.repeat(inside[..., None].astype(np.uint8) * 255, 3, axis=2)
    linear, centre = turn(degrees), np.array([100.0, 100.0])
    tile = warp_image(image, linear, centre, 200)
    rows, columns = np.nonzero(tile[..., 0] > 127)
    boxes = np.array([[60, 80, 140, 120]], np.float32)
    moved = warp_boxes(boxes, linear, centre, 200, "ellipse")[0]
    frame = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.abs(moved - frame).max() <= 1.5
    wider = warp_boxes(boxes, linear, centre, 200, "corners")[0]
    assert (wider[:2] <= moved[:2]).all()
    assert (wider[2:] >= moved[2:]).all()


def test_same_seed_same_map_and_scale_stays_in_range() -> None:
    config = AugmentConfig(scale_low=0.5, scale_high=2.0)
    maps = [draw_linear_map(config, 1.5, np.random.default_rng(i)) for i in range(200)]
    again = [draw_linear_map(config, 1.5, np.random.default_rng(i)) for i in range(200)]
    assert all((a == b).all() for a, b in zip(maps, again, strict=True))
    factors = [math.sqrt(abs(np.linalg.det(m))) for m in maps]
    assert 0.75 <= min(factors) < 0.9
    assert 2.6 < max(factors) <= 3.0


def test_one_of_the_scales_is_drawn_and_then_varied() -> None:
    config = AugmentConfig(scale_low=0.9, scale_high=1.1, scales=(0.5, 1, 2))
    maps = [draw_linear_map(config, 1.5, np.random.default_rng(i)) for i in range(300)]
    factors = np.array([math.sqrt(abs(np.linalg.det(m))) for m in maps]) / 1.5
    nearest = np.array([0.5, 1, 2])[np.abs(np.log(factors[:, None] / [0.5, 1, 2])).argmin(axis=1)]
    assert (np.abs(factors / nearest - 1) < 0.1001).all()
    assert len(set((factors / nearest).round(6))) > 100
    assert (np.unique(nearest, return_counts=True)[1] > 70).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_colour_keeps_shape_and_input(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, channels), dtype=np.uint8)
    before = image.copy()
    config = AugmentConfig(blur=1.0, noise=1.0, invert=0.5)
    varied = vary_colour(image, config, np.random.default_rng(1))
    assert varied.shape == image.shape
    assert varied.dtype == np.uint8
    assert (image == before).all()
    assert (varied != image).any()


def test_a_dark_picture_is_never_pushed_into_black() -> None:
    image = np.random.default_rng(0).integers(0, 24, (64, 64, 3), dtype=np.uint8)
    config = AugmentConfig(brightness=0.3, contrast=0.4)
    spread = [float(vary_colour(image, config, np.random.default_rng(i)).std()) for i in range(100)]
    assert min(spread) > 0.5
