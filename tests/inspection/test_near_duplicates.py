from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspection_pictures import save, scene

from foveate.errors import FoveateError
from foveate.inspection import near_duplicates as module
from foveate.inspection.near_duplicates import (
    SAME_VIEW,
    near_duplicates,
    nearest,
    read_fingerprints,
    read_grey,
    view_correlation,
)
from foveate.structures import UInt8Image

Change = Callable[[UInt8Image], UInt8Image]


def recompressed(grey: UInt8Image) -> UInt8Image:
    data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


CHANGES: dict[str, Change] = {
    "recompressed": recompressed,
    "brighter": lambda grey: np.clip(grey * 1.25 + 15, 0, 255).astype(np.uint8),
    "darker": lambda grey: (grey * 0.5).astype(np.uint8),
    "scaled": lambda grey: np.asarray(cv2.resize(grey, None, fx=0.6, fy=0.6), np.uint8),
    "shifted": lambda grey: np.roll(grey, (7, 10), (0, 1)),
    "cropped": lambda grey: grey[6:-6, 8:-8],
    "noisy": lambda grey: np.clip(
        grey + np.random.default_rng(0).normal(0, 8, grey.shape), 0, 255
    ).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_among_others(tmp_path: Path, change: str) -> None:
    known = [save(tmp_path, f"{seed}.jpg", scene(seed)) for seed in range(12)]
    asked = [
        save(tmp_path, "copy.png", CHANGES[change](scene(7))),
        save(tmp_path, "other.png", scene(99)),
    ]
    match, score = near_duplicates(read_fingerprints(asked), read_fingerprints(known))
    assert match.tolist() == [7, -1]
    assert score[0] >= SAME_VIEW > score[1] == 0


def test_alike_in_light_alone_is_not_the_same_view(tmp_path: Path) -> None:
    vignette = 120 - 0.002 * ((np.mgrid[:300, :400] - [[[150]], [[200]]]) ** 2).sum(axis=0)
    pictures = []
    for seed in range(2):
        spots = (scene(seed).astype(float) - 128) * 0.1
        pictures.append((vignette + spots).clip(0, 255).astype(np.uint8))
    a, b = (read_fingerprints([save(tmp_path, f"{n}.png", p)]) for n, p in enumerate(pictures))
    assert int(np.bitwise_count(a.hashes[0] ^ b.hashes[0])) < 32
    assert near_duplicates(a, b)[0].tolist() == [-1]


def test_one_bright_spot_does_not_decide() -> None:
    def dark(seed: int) -> UInt8Image:
        grey = 10 + scene(seed, 128, 128) // 16
        cv2.circle(grey, (60, 60), 6, (250,), -1)
        return grey

    assert view_correlation(dark(0), dark(0)) > 0.99
    assert view_correlation(dark(0), dark(1)) < SAME_VIEW


def test_plain_and_broken_pictures_match_nothing(tmp_path: Path) -> None:
    plain = save(tmp_path, "plain.png", np.full((200, 200), 90, np.uint8))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    prints = read_fingerprints([plain, broken, tmp_path / "missing.png"])
    assert prints.plain.tolist() == [True, True, True]
    assert prints.read.tolist() == [True, False, False]
    assert [bool(failure) for failure in prints.failures] == [False, True, True]
    assert not prints.comparable.any()
    assert near_duplicates(prints, prints)[0].tolist() == [-1, -1, -1]


def test_no_pictures() -> None:
    none = read_fingerprints([])
    assert len(none) == 0
    assert near_duplicates(none, none)[0].shape == (0,)


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12), st.integers(1, 4))
def test_nearest_is_the_nearest(seed: int, asked: int, known: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 2**63, n, dtype=np.uint64) for n in (asked, known))
    rows, bits = nearest(a, b, count)
    assert rows.shape == bits.shape == (asked, min(count, known))
    for i in range(asked):
        every = sorted(int(x ^ a[i]).bit_count() for x in b)
        assert bits[i].tolist() == every[:count]
        assert len(set(rows[i].tolist())) == rows.shape[1]


def test_nearest_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a = np.random.default_rng(0).integers(0, 2**63, 40, dtype=np.uint64)
    whole = nearest(a, a[::-1], 2)
    monkeypatch.setattr(module, "_BLOCK", 100)
    for one, other in zip(whole, nearest(a, a[::-1], 2), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_grey_of_every_format(tmp_path: Path, ending: str) -> None:
    grey = scene(3)
    path = save(tmp_path, f"a{ending}", grey)
    assert np.abs(read_grey(path).astype(int) - grey).mean() < 6


def test_jpegs_are_decoded_reduced(tmp_path: Path) -> None:
    path = save(tmp_path, "a.jpg", scene(3, 1200, 1600))
    assert read_grey(path, 256).shape == (300, 400)
    assert read_grey(path).shape == (1200, 1600)


def test_sixteen_bits_are_spread(tmp_path: Path) -> None:
    path = save(tmp_path, "a.png", scene(3))
    deep = tmp_path / "deep.png"
    cv2.imwrite(str(deep), scene(3).astype(np.uint16) * 4 + 100)
    assert view_correlation(read_grey(path), read_grey(deep)) > 0.99
    assert read_grey(deep).max() == 255


def test_too_large_and_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "a.jpg", scene(0))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FoveateError, match="cut short"):
        read_grey(path)
    monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    with pytest.raises(FoveateError, match="more than 1,000 pixels"):
        read_grey(save(tmp_path, "b.png", scene(0)))
