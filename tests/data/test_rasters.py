from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from raster_files import EAST, NORTH, PIXEL, noise, simple_source, vrt, write_raster
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning

from foveate.data.images import ArraySource
from foveate.data.rasters import RasterSource
from foveate.data.sources import open_source
from foveate.data.values import Reading, ValueRange
from foveate.errors import FoveateError, UsageError
from foveate.structures import Tile, UInt8Image

TILE = Tile(70, 40, 120, 90, 120, 90)


def whole(source: RasterSource | ArraySource) -> Tile:
    return Tile(0, 0, source.width, source.height, source.width, source.height)


def seen(source: Any, tile: Tile = TILE) -> UInt8Image:
    pixels = source.read(tile)
    assert pixels is not None
    return np.asarray(pixels)


def cut(values: NDArray[Any]) -> NDArray[Any]:
    """The tile's part, ``(H, W, C)``."""
    return values[:, 40:130, 70:190].transpose(1, 2, 0)


@pytest.mark.parametrize(
    "profile",
    [
        {"tiled": True, "blockxsize": 64, "blockysize": 64},
        {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"},
        {"compress": "lzw", "interleave": "band"},
        {"compress": "zstd", "predictor": 2},
        {"driver": "COG", "compress": "deflate"},
        {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES"},
    ],
    ids=["tiled", "deflate", "bands", "zstd", "cloud-optimised", "jpeg-2000"],
)
def test_every_kind_gives_the_same_pixels(tmp_path: Path, profile: dict[str, Any]) -> None:
    values = noise()
    source = open_source(write_raster(tmp_path / "a.tif", values, **profile))
    assert isinstance(source, RasterSource)
    assert (source.width, source.height, source.name) == (400, 300, "a.tif")
    assert (seen(source) == cut(values)).all()
    assert (seen(source, whole(source)) == values.transpose(1, 2, 0)).all()
    assert source.geo is not None
    assert source.geo.transform == (PIXEL, 0, EAST, 0, -PIXEL, NORTH)
    assert source.notes == []
    assert source.unread == []


def test_a_virtual_raster_of_a_file_beside_it(tmp_path: Path) -> None:
    values = noise(1)
    (tmp_path / "parts").mkdir()
    write_raster(tmp_path / "parts" / "a.tif", values)
    (tmp_path / "m.vrt").write_text(vrt(simple_source("parts/a.tif")))
    assert (seen(open_source(tmp_path / "m.vrt")) == cut(values)).all()


def test_a_plain_tiff_is_decoded_whole_and_reads_the_same(tmp_path: Path) -> None:
    values = noise()
    path = write_raster(tmp_path / "a.tif", values, crs=None, transform=None)
    source = open_source(path)
    assert isinstance(source, ArraySource)
    assert (seen(source) == seen(RasterSource(path))).all()
    (tmp_path / "a.tfw").write_text(f"{PIXEL}\n0\n0\n{-PIXEL}\n{EAST}\n{NORTH}\n")
    assert isinstance(open_source(path), RasterSource)


def test_colours_are_found_by_what_bands_say(tmp_path: Path) -> None:
    values = noise(4)
    path = write_raster(tmp_path / "a.tif", values, photometric="minisblack")
    with pytest.raises(FoveateError, match=r"4 bands and does not say .* --bands 3,2,1"):
        open_source(path)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [
            ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined,
        ]  # fmt: skip
    assert (seen(open_source(path)) == cut(values[[2, 1, 0]])).all()
    assert (seen(open_source(path, Reading((4,)))) == cut(values[[3, 3, 3]])).all()
    assert seen(open_source(path, Reading((4, 1)))).shape[2] == 2
    with pytest.raises(UsageError, match="has 4 bands; there is no band 5"):
        open_source(path, Reading((1, 5)))


def test_names_of_bands_help_to_choose(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", noise(2).astype(np.uint16))
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("B08", "B04")
    with pytest.raises(FoveateError, match=r"2 bands \(B08, B04\)"):
        open_source(path)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    values = noise(1) % 4
    path = write_raster(tmp_path / "a.tif", values, photometric="palette")
    colours = {0: (1, 2, 3), 1: (255, 0, 9), 2: (7, 7, 7), 3: (0, 90, 200)}
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {value: (*rgb, 255) for value, rgb in colours.items()})
    expected = np.array([colours[value] for value in cut(values).ravel().tolist()])
    assert (seen(open_source(path)).reshape(-1, 3) == expected).all()


def test_sixteen_bits_keep_their_range_and_say_so(tmp_path: Path) -> None:
    values = noise().astype(np.uint16) * 12  # up to 3060
    path = write_raster(tmp_path / "a.tif", values)
    source = open_source(path)
    expected = np.rint(cut(values) * (255 / 4095))
    assert np.abs(seen(source) - expected).max() <= 1
    assert isinstance(source, RasterSource)
    assert source.notes == [
        "values from 0 to 4095 are shown as black to white; choose with --value-range"
    ]
    chosen = seen(open_source(path, Reading(values=ValueRange(1000, 2000))))
    assert (chosen[cut(values) <= 1000] == 0).all()
    assert (chosen[cut(values) >= 2000] == 255).all()


def test_the_bits_that_a_file_declares_are_its_range(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", noise(1).astype(np.uint16), NBITS=12)
    assert seen(open_source(path)).max() == round(255 * 255 / 4095)


def test_files_of_single_bits_are_black_and_white(tmp_path: Path) -> None:
    values = noise(1) % 2
    path = write_raster(tmp_path / "a.tif", values, NBITS=1)
    assert (seen(open_source(path))[..., 0] == cut(values)[..., 0] * 255).all()


def test_grey_that_counts_from_white(tmp_path: Path) -> None:
    values = noise(1)
    path = write_raster(tmp_path / "a.tif", values, photometric="miniswhite")
    assert (seen(open_source(path))[..., 0] == 255 - cut(values)[..., 0]).all()


def test_values_beyond_what_the_sample_shows_are_counted(tmp_path: Path) -> None:
    values = np.full((1, 4000, 300), 200, np.uint16)
    values[0, 300, 100:110] = 60_000  # between the windows that are sampled
    source = RasterSource(write_raster(tmp_path / "a.tif", values))
    seen(source, whole(source))
    assert source.notes == [
        "values from 0 to 255 are shown as black to white; choose with --value-range",
        "0.00083 % of its values lie beyond that and were clipped",
    ]


@pytest.mark.parametrize("nodata", [0, 9, None])
def test_tiles_without_data_are_nothing_to_look_at(tmp_path: Path, nodata: int | None) -> None:
    values = noise() | 16
    values[:, :, :200] = nodata or 0
    source = open_source(write_raster(tmp_path / "a.tif", values, nodata=nodata))
    assert source.read(Tile(0, 0, 200, 300, 200, 300)) is None
    assert source.read(Tile(0, 0, 200, 300, 50, 75)) is None
    half = seen(source, Tile(100, 0, 200, 300, 200, 300))
    assert not half[:, :100].any()
    assert (half[:, 100:] == values[:, :, 200:300].transpose(1, 2, 0)).all()


def test_nodata_that_is_no_number_and_values_that_are_none(tmp_path: Path) -> None:
    values = noise(1).astype(np.float32) / 255
    values[0, :, :200] = np.nan
    values[0, 0, 250] = np.inf
    for nodata in (np.nan, None):
        source = open_source(write_raster(tmp_path / "a.tif", values, nodata=nodata))
        assert source.read(Tile(0, 0, 200, 300, 200, 300)) is None
        shown = seen(source, Tile(200, 0, 200, 300, 200, 300))[..., 0]
        assert shown[0, 50] == 0
        rest = np.isfinite(values[0, :, 200:])
        assert np.abs(shown - values[0, :, 200:] * 255.0)[rest].max() <= 0.5


@pytest.mark.parametrize("how", ["alpha", "mask"])
def test_what_a_mask_hides_is_nothing_to_look_at(tmp_path: Path, how: str) -> None:
    values = noise(4 if how == "alpha" else 3)
    mask = np.full((300, 400), 255, np.uint8)
    mask[:, :200] = 0
    if how == "alpha":
        values[3] = mask
        path = write_raster(tmp_path / "a.tif", values, photometric="rgb", alpha="yes")
    else:
        path = write_raster(tmp_path / "a.tif", values)
        with rasterio.open(path, "r+") as file:
            file.write_mask(mask)
    source = open_source(path)
    assert source.read(Tile(0, 0, 200, 300, 200, 300)) is None
    half = seen(source, Tile(150, 0, 100, 300, 100, 300))
    assert not half[:, :50].any()
    assert (half[:, 50:] == values[:3, :, 200:250].transpose(1, 2, 0)).all()


def test_what_is_shown_smaller_comes_from_the_overviews(tmp_path: Path) -> None:
    values = np.repeat(np.repeat(noise(3, 75, 100), 4, axis=1), 4, axis=2)
    path = write_raster(tmp_path / "a.tif", values, tiled=True, blockxsize=64, blockysize=64)
    reduced = Tile(0, 0, 400, 300, 100, 75)
    averaged = seen(open_source(path), reduced)
    assert (averaged == noise(3, 75, 100).transpose(1, 2, 0)).all()
    with rasterio.open(path, "r+") as file:
        file.build_overviews([4], Resampling.nearest)
    with rasterio.open(path, "r+", OVERVIEW_LEVEL=0) as overview:
        overview.write(np.full((3, 75, 100), 77, np.uint8))
    assert (seen(open_source(path), reduced) == 77).all()
    assert (seen(open_source(path)) == cut(values)).all()


def broken(path: Path, count: int = 300) -> Path:
    """Overwrite part of a file's middle."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + count] = b"\xff" * count
    path.write_bytes(data)
    return path


def test_a_block_that_cannot_be_read_is_black_and_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = noise()
    profile = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    path = broken(write_raster(tmp_path / "a.tif", values, **profile))
    source = RasterSource(path)
    shown = seen(source, whole(source))
    assert 1 <= len(source.unread) <= 2
    good = np.ones((300, 400), bool)
    for x1, y1, x2, y2 in source.unread:
        assert x1 % 64 == y1 % 64 == 0
        assert not shown[y1:y2, x1:x2].any()
        good[y1:y2, x1:x2] = False
    assert (shown[good] == values.transpose(1, 2, 0)[good]).all()
    named = list(source.unread)
    x1, y1, x2, y2 = named[0]
    seen(source, Tile(max(0, x1 - 30), max(0, y1 - 30), 100, 100, 50, 50))
    assert source.unread == named
    assert capfd.readouterr() == ("", "")


def test_a_broken_raster_is_shown_reduced_without_being_held_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.repeat(np.repeat(noise(3, 75, 100), 4, axis=1), 4, axis=2)
    profile = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    source = RasterSource(broken(write_raster(tmp_path / "a.tif", values, **profile), 40))
    monkeypatch.setattr("foveate.data.rasters._MOST_PIXELS", 5000)
    shown = seen(source, Tile(0, 0, 400, 300, 100, 75))
    assert shown.shape == (75, 100, 3)
    assert 1 <= len(source.unread) <= 2
    good = np.ones((75, 100), bool)
    for x1, y1, x2, y2 in source.unread:
        good[y1 // 4 : -(-y2 // 4), x1 // 4 : -(-x2 // 4)] = False
    assert (shown == noise(3, 75, 100).transpose(1, 2, 0))[good].all()


def test_a_raster_that_was_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    profile = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    values = noise()
    path = write_raster(tmp_path / "a.tif", values, **profile)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = RasterSource(path)
    assert (
        seen(source, Tile(0, 0, 64, 64, 64, 64)) == values[:, :64, :64].transpose(1, 2, 0)
    ).all()
    seen(source, whole(source))
    assert len(source.unread) > 5


def test_control_points_and_no_reference_are_said(tmp_path: Path) -> None:
    plain = RasterSource(write_raster(tmp_path / "a.tif", noise(), crs=None))
    assert plain.geo is None
    assert "no coordinate reference system" in plain.notes[0]
    points = [
        rasterio.control.GroundControlPoint(row, column, EAST + column, NORTH - row)
        for row, column in ((0, 0), (0, 400), (300, 0))
    ]
    path = write_raster(tmp_path / "b.tif", noise(), crs=None, transform=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "r+") as file:
            file.gcps = points, "EPSG:32632"
    source = RasterSource(path)
    assert source.geo is None
    assert "control points only; gdalwarp" in source.notes[0]


def test_bad_rasters_are_one_line(tmp_path: Path) -> None:
    empty = '<VRTDataset rasterXSize="40" rasterYSize="30"></VRTDataset>'
    huge = vrt("", 2_000_000, 1_000_000)
    cases = {
        "bands.vrt": (empty, "cannot be read as a raster: Missing one of .* or bands"),
        "huge.vrt": (huge, "says it has 2000000 x 1000000 pixels, more than"),
        "hidden.tif": (vrt(simple_source("a.tif")), "is a VRT, which its name hides"),
        "broken.vrt": (vrt("<SimpleSource>"), "is damaged: a VRT that is not XML"),
    }
    for name, (text, message) in cases.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(FoveateError, match=message) as caught:
            open_source(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    complex_values = write_raster(tmp_path / "c.tif", noise(1).astype(np.complex64))
    with pytest.raises(FoveateError, match="values of type complex64"):
        open_source(complex_values)
    bandless = write_raster(tmp_path / "e.tif", noise(1))
    data = bandless.read_bytes()
    samples = struct.pack("<HHI", 277, 3, 1)  # the tag for the number of bands, one short
    assert data.count(samples) == 1
    start = data.index(samples) + len(samples)
    bandless.write_bytes(data[:start] + b"\0\0" + data[start + 2 :])
    with pytest.raises(FoveateError, match=r"e\.tif"):
        open_source(bandless)
    short = tmp_path / "d.jp2"
    short.write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40)
    with pytest.raises(FoveateError, match=r"d\.jp2 cannot be read as a raster"):
        open_source(short)


@pytest.mark.parametrize(
    "name",
    ["/etc/hostname", "../a.tif", "/vsicurl/http://a.b/c.tif", "http://a.b/c.tif", "link.tif"],
)
def test_a_virtual_raster_that_points_elsewhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_raster(tmp_path / "a.tif", noise(1))
    (folder / "link.tif").symlink_to(tmp_path / "a.tif")
    (folder / "m.vrt").write_text(vrt(simple_source(name)))
    with pytest.raises(FoveateError, match=r"m\.vrt points elsewhere"):
        open_source(folder / "m.vrt")
    # Through another VRT beside it, whatever that one is called.
    (folder / "inner.tif").write_text(vrt(simple_source(name)))
    (folder / "outer.vrt").write_text(vrt(simple_source("inner.tif")))
    with pytest.raises(FoveateError, match=r"outer\.vrt points elsewhere"):
        open_source(folder / "outer.vrt")


def test_a_virtual_raster_that_names_nothing_or_itself(tmp_path: Path) -> None:
    (tmp_path / "m.vrt").write_text(vrt(simple_source("gone.tif")))
    with pytest.raises(FoveateError, match=r"names gone\.tif, which does not exist"):
        open_source(tmp_path / "m.vrt")
    (tmp_path / "entity.vrt").write_text('<VRTDataset><!DOCTYPE a [<!ENTITY b "c">]></VRTDataset>')
    with pytest.raises(FoveateError, match="defines entities"):
        open_source(tmp_path / "entity.vrt")


def test_without_rasterio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = noise()
    simple = write_raster(tmp_path / "a.tif", values)
    many = write_raster(tmp_path / "b.tif", noise(5))
    monkeypatch.setattr("foveate.data.sources.has_rasterio", lambda: False)
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    assert isinstance(open_source(simple), ArraySource)
    with pytest.raises(FoveateError, match=r"b\.tif.*pip install 'foveate\[raster\]'"):
        open_source(many)
