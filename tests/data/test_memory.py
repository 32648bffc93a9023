import gc
from pathlib import Path

import cv2
import numpy as np
import pytest

from foveate.data import memory
from foveate.data.images import load_image
from foveate.data.memory import picture_memory


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_waiting", [])


def test_memory_is_used_again_when_no_view_is_left() -> None:
    first = picture_memory(700, 800)
    first[:] = 7
    view, address = first[100:200, ::2], first.ctypes.data
    del first
    gc.collect()
    other = picture_memory(700, 800)
    assert other.ctypes.data != address
    other[:] = 9
    assert (view == 7).all()
    del view
    gc.collect()
    again = picture_memory(690, 800)
    assert again.ctypes.data == address
    assert again.shape == (690, 800, 3)
    assert again.flags.writeable
    assert again.flags.c_contiguous


def test_much_smaller_pictures_do_not_hold_large_memory() -> None:
    address = (large := picture_memory(2000, 2000)).ctypes.data
    del large
    gc.collect()
    assert picture_memory(700, 800).ctypes.data != address
    assert picture_memory(4, 5).base is None


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST_KEPT", 5_000_000)
    pictures = [picture_memory(800, 800) for _ in range(6)]
    del pictures
    gc.collect()
    assert sum(map(len, memory._waiting)) <= 5_000_000
    assert len(memory._waiting) == 2


def test_a_picture_stays_as_it_is_while_others_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        image = np.repeat(rng.integers(0, 255, (800, 1, 3), dtype=np.uint8), 900, axis=1)
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), image)
    first = load_image(tmp_path / "0.jpg")
    before = first.copy()
    for number in (1, 2, 1):
        load_image(tmp_path / f"{number}.jpg")
        gc.collect()
    assert (first == before).all()
    decoded = np.asarray(cv2.imread(str(tmp_path / "0.jpg")))
    assert (first == decoded[..., ::-1]).all()
