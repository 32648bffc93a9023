"""Few tiles of many pictures, drawn evenly."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.data.images import ArraySource
from foveate.errors import FoveateError
from foveate.inference.calibration_tiles import calibration_tiles, chosen
from foveate.inference.settings import Options, run_settings
from foveate.structures import Detections, ImageSource


@given(st.integers(0, 500), st.integers(1, 500))
def test_chosen_evenly(total: int, count: int) -> None:
    indices = chosen(total, count)
    assert len(indices) == min(total, count)
    assert len(set(indices)) == len(indices)
    assert all(0 <= i < total for i in indices)
    if len(indices) > 1:
        steps = np.diff(indices)
        assert steps.max() - steps.min() <= 1


def nothing(images: object) -> list[Detections]:
    return []


def opened(path: Path) -> ImageSource:
    if path.name == "bad":
        raise FoveateError("bad: cannot be read")
    return ArraySource(path.name, np.full((100, 250, 3), int(path.name), np.uint8))


@pytest.mark.parametrize(("count", "tiles"), [(1, 1), (3, 3), (7, 7), (100, 24)])
def test_no_more_than_asked_for(count: int, tiles: int) -> None:
    settings = run_settings(nothing, Options(tile=64, overlap=0.0))
    paths = [Path(str(value)) for value in (10, 20, 30)]
    drawn = list(calibration_tiles(paths, opened, settings, count))
    assert len(drawn) == tiles
    assert {tile.shape for tile in drawn} == {(64, 64, 3)}
    assert len({int(tile[0, 0, 0]) for tile in drawn}) == min(count, 3)


def test_a_bad_picture_is_left_out_and_told() -> None:
    settings = run_settings(nothing, Options(tile=64, overlap=0.0))
    told: list[str] = []
    paths = [Path("bad"), Path("10")]
    assert len(list(calibration_tiles(paths, opened, settings, 4, told.append))) == 2
    assert told == ["bad: cannot be read"]
    with pytest.raises(FoveateError, match="cannot be read"):
        list(calibration_tiles(paths, opened, settings, 4))
