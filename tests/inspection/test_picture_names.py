from __future__ import annotations

from pathlib import Path

import pytest

from foveate.inspection.names import (
    clip_neighbours,
    parse_name,
    same_originals,
    tile_neighbours,
)


@pytest.mark.parametrize(
    ("name", "scene", "place"),
    [
        ("P0001__1__1024___512.png", "P0001__1", (1024, 512)),
        ("P0001__0.5__0___824.png", "P0001__0.5", (0, 824)),
        ("name__1024__0___512.png", "name__1024", (0, 512)),
        ("field_r03_c12.tif", "field", (12, 3)),
        ("field_row3_col12.tif", "field", (12, 3)),
        ("field-x512-y0.tif", "field", (512, 0)),
        ("field_256_512.jpg", "field", (256, 512)),
        ("beach_640_0_1280_512.jpg", "beach", (640, 0)),
    ],
)
def test_tiles(name: str, scene: str, place: tuple[int, int]) -> None:
    parsed = parse_name(Path("data/images") / name)
    assert (parsed.scene, parsed.place) == (scene, place)


@pytest.mark.parametrize("name", ["image.jpg", "image_0001.jpg", "0001.jpg", "IMG1234.jpg"])
def test_no_tiles(name: str) -> None:
    assert parse_name(Path(name)).scene == ""


def test_clips_and_their_folders() -> None:
    assert parse_name(Path("train/clip7_0012.jpg")).clip == "clip7_"
    assert parse_name(Path("train/clip7_0012.jpg")).number == 12
    assert parse_name(Path("train/clip7/0012.jpg")).clip == "clip7/"
    assert parse_name(Path("val/images/whole.jpg")).number == -1


def test_exports_of_one_original() -> None:
    names = [
        parse_name(Path(f"{stem}.jpg")) for stem in ("a3_jpg.rf.0123456789ab", "a3_jpg.rf.ffff00")
    ]
    assert [name.original for name in names] == ["a3", "a3"]
    assert names[0].clip == "a"
    assert names[0].number == 3
    assert same_originals(names[:1], names[1:]) == {0: (0,)}
    plain = [parse_name(Path("a3.jpg"))]
    assert same_originals(plain, plain) == {}


def test_the_nearest_frame() -> None:
    known = [parse_name(Path(f"c_{number}.jpg")) for number in (90, 10, 50)]
    asked = [parse_name(Path(name)) for name in ("c_12.jpg", "c_69.jpg", "c_999.jpg", "d_12.jpg")]
    assert clip_neighbours(asked, known) == {0: (1,), 1: (2,), 2: (0,)}


def test_the_nearest_tiles_and_those_of_the_same_row_first() -> None:
    known = [
        parse_name(Path(f"{name}.png"))
        for name in ("s_512_512", "s_256_256", "s_0_256", "s_1024_0", "t_0_0", "s_0_0", "s_0_512")
    ]
    asked = [parse_name(Path("s_0_0.png")), parse_name(Path("u_0_0.png"))]
    assert tile_neighbours(asked, known) == {0: (2, 6, 3)}
    assert tile_neighbours(asked, []) == {}
