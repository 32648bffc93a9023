from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foveate.data.images import ArraySource
from foveate.inference.glance import OnnxGlance
from foveate.inference.glance_calibration import (
    THRESHOLDS,
    HeldOut,
    calibrate,
    object_levels,
)
from foveate.structures import FloatArray, UInt8Image
from foveate.tiling import TilePlan, plan_tiles

PLAN = TilePlan(size=64, overlap=0.25)
Paint = Callable[..., UInt8Image]


@pytest.fixture
def glance(make_glance: Callable[..., Path]) -> OnnxGlance:
    return OnnxGlance(make_glance(calibration=None), threads=1)


def boxes_at(*centres: tuple[int, int]) -> FloatArray:
    return np.array([[x - 4, y - 4, x + 4, y + 4] for x, y in centres], np.float32).reshape(-1, 4)


def held_out(unit: str, image: UInt8Image, *centres: tuple[int, int]) -> HeldOut:
    source = ArraySource(unit, image)
    tiles = plan_tiles(source.width, source.height, PLAN)
    return HeldOut(unit, source, boxes_at(*centres), tiles)


def test_an_object_s_level_is_that_of_its_cell(glance: OnnxGlance) -> None:
    presence = np.zeros((4, 5), np.float32)
    presence[0, 0], presence[3, 4] = 0.25, 0.75
    # The last one's centre lies in pixels that fill no reduced one.
    levels = object_levels(glance, presence, boxes_at((3, 3), (24, 24), (40, 8), (82, 66)))
    assert levels == pytest.approx([0.25, 0.25, 0, 0.75])


def test_what_is_seen_is_kept_and_what_is_not_is_missed(
    glance: OnnxGlance, paint_blobs: Paint
) -> None:
    seen, unseen = (80, 60), (300, 200)
    image = paint_blobs(400, 300, [seen])
    pictures = [held_out(str(n), image, seen) for n in range(58)]
    pictures += [held_out("half", image, seen, unseen), held_out("empty", image)]
    calibration = calibrate(glance, pictures, PLAN.overlap_pixels, "picture")
    assert (calibration.units, calibration.empty, calibration.objects) == (59, 1, 60)
    thresholds = [row.threshold for row in calibration.rows]
    assert set(thresholds) <= set(THRESHOLDS)
    assert thresholds == sorted(thresholds)
    assert len(thresholds) < len(THRESHOLDS) / 2  # rows that say the same are one
    safest, *_, strictest = calibration.rows
    assert safest.kept == pytest.approx(59 / 60)
    assert safest.mean == pytest.approx(58.5 / 59)
    assert 0.9 < safest.bound < 0.95 < safest.mean
    assert safest.looked < 0.1
    assert strictest.looked <= safest.looked
    bounds = [row.bound for row in calibration.rows]
    assert bounds == sorted(bounds, reverse=True)


def test_pictures_of_one_folder_count_as_one(glance: OnnxGlance, paint_blobs: Paint) -> None:
    image = paint_blobs(200, 100, [(80, 60)])
    alone = [held_out(str(n), image, (80, 60)) for n in range(12)]
    together = [held_out(str(n // 4), image, (80, 60)) for n in range(12)]
    bounds = []
    for pictures, unit, units in ((alone, "picture", 12), (together, "folder", 3)):
        calibration = calibrate(glance, pictures, 16, unit)  # type: ignore[arg-type]
        assert (calibration.unit, calibration.units) == (unit, units)
        bounds.append(calibration.rows[0].bound)
    assert bounds == [pytest.approx(0.05 ** (1 / 12)), pytest.approx(0.05 ** (1 / 3))]


def test_a_dense_picture_counts_as_looked_at_whole(glance: OnnxGlance, paint_blobs: Paint) -> None:
    centres = [(x, y) for x in range(8, 195, 12) for y in range(8, 195, 12)]
    done: list[int] = []
    dense = held_out("dense", paint_blobs(200, 200, centres), *centres)
    calibration = calibrate(glance, [dense], 16, "picture", lambda: done.append(1))
    assert calibration.rows[0].looked == 1
    assert done == [1]


def test_nothing_held_out_promises_nothing(glance: OnnxGlance) -> None:
    calibration = calibrate(glance, [], 16, "picture")
    assert calibration.units == calibration.objects == 0
    assert {row.bound for row in calibration.rows} == {0.0}
