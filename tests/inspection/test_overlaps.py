from __future__ import annotations

import cv2
import numpy as np
import pytest
from inspection_pictures import scene

from foveate.inspection.overlaps import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    find_overlap,
    joins_at_seam,
)
from foveate.structures import UInt8Image

WHOLE = scene(5, 500, 600)


def saved(tile: UInt8Image) -> UInt8Image:
    data = cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


@pytest.mark.parametrize("offset", [(160, 0), (-160, 0), (0, 120), (0, -120), (40, 150)])
def test_overlapping_tiles_are_placed(offset: tuple[int, int]) -> None:
    x, y = offset
    a = saved(WHOLE[150:350, 200:400])
    b = saved(WHOLE[150 + y : 350 + y, 200 + x : 400 + x])
    assert find_overlap(a, b) == offset


def test_only_the_sides_asked_for() -> None:
    a, b = WHOLE[:200, :200], WHOLE[:200, 150:350]
    assert find_overlap(a, b, [RIGHT]) == (150, 0)
    assert find_overlap(a, b, [LEFT]) is None


def test_unrelated_same_and_plain_pictures_do_not_overlap() -> None:
    a = WHOLE[:200, :200]
    plain = np.full((200, 200), 80, np.uint8)
    assert find_overlap(a, scene(6, 200, 200)) is None
    assert find_overlap(a, a) is None
    assert find_overlap(plain, plain) is None
    assert find_overlap(a, a[:5, :5]) is None


def test_one_bright_spot_at_the_edge_is_no_overlap() -> None:
    a, b = (10 + scene(seed, 256, 256) // 20 for seed in (1, 2))
    for picture in (a, b):
        cv2.circle(picture, (250 if picture is a else 14, 128), 9, (220,), -1)
    assert find_overlap(a, b) is None


def test_seams() -> None:
    left, right = saved(WHOLE[:, :300]), saved(WHOLE[:, 300:])
    above, below = saved(WHOLE[:250]), saved(WHOLE[250:])
    assert joins_at_seam(left, right, RIGHT)
    assert joins_at_seam(right, left, LEFT)
    assert joins_at_seam(above, below, BOTTOM)
    assert joins_at_seam(below, above, TOP)
    assert not joins_at_seam(left, right, LEFT)
    assert not joins_at_seam(left, below, RIGHT)


def test_seams_of_plain_and_short_sides_say_nothing() -> None:
    plain = np.full((200, 200), 80, np.uint8)
    assert not joins_at_seam(plain, plain, RIGHT)
    assert not joins_at_seam(WHOLE[:40, :300], WHOLE[:40, 300:], RIGHT)
