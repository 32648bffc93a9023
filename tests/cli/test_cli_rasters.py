"""``foveate detect`` on rasters, whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
from raster_files import EAST, NORTH, PIXEL, simple_source, vrt, write_raster

from foveate.config import write_atomically
from foveate.structures import UInt8Image

Call = Callable[..., Any]
CENTRES = [(30, 30), (60, 31), (300, 200)]


@pytest.fixture
def field(tmp_path: Path, paint_blobs: Callable[..., UInt8Image]) -> Path:
    """Three blobs on the ground; right of column 320 is nothing."""
    values = np.maximum(paint_blobs(520, 270, CENTRES).transpose(2, 0, 1), 1)
    values[:, :, 320:] = 0
    blocks = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    return write_raster(tmp_path / "field.tif", values, nodata=0, photometric="rgb", **blocks)


def shapes_in(path: Path) -> Any:
    meta, _, shapes, _ = pyogrio.raw.read(path)
    rings = [np.frombuffer(shape, "<f8", 10, 13).reshape(5, 2) for shape in shapes]
    return meta["crs"], np.array(rings)


def test_coordinates_go_in_and_come_out(foveate: Call, field: Path, blob_model: Path) -> None:
    done = foveate("detect", field, "--model", blob_model)
    assert done.code == 0, done.err
    detections = json.loads(Path("out/detections.json").read_text())
    pixels = np.array([(e["bbox"][0], e["bbox"][1]) for e in detections])
    assert len(pixels) == 3
    for ending in ("geojson", "gpkg"):
        crs, rings = shapes_in(Path(f"out/geo/field.{ending}"))
        assert crs == "EPSG:32632"
        corners = np.stack([rings[..., 0].min(axis=1), rings[..., 1].max(axis=1)], axis=1)
        expected = [EAST, NORTH] + pixels * [PIXEL, -PIXEL]
        assert np.sort(corners, axis=0) == pytest.approx(np.sort(expected, axis=0), abs=0.01)
    # Tiles of the empty part were not looked at.
    assert "without anything in it)" in Path("out/index.html").read_text()
    assert Path("out/annotated/field.jpg").stat().st_size > 1000


def test_the_same_boxes_as_of_the_picture_in_memory(
    foveate: Call, field: Path, blob_model: Path, tmp_path: Path,
    paint_blobs: Callable[..., UInt8Image],
) -> None:  # fmt: skip
    import cv2

    image = np.maximum(paint_blobs(520, 270, CENTRES), 1)
    image[:, 320:] = 0
    cv2.imwrite(str(tmp_path / "field.png"), image[..., ::-1])
    said = []
    for path in (field, tmp_path / "field.png"):
        summary = json.loads(foveate("detect", path, "--model", blob_model, "--json").out)
        said.append(summary["images"][0])
    assert said[0]["boxes"] == said[1]["boxes"]
    assert said[0]["tiles"] == said[1]["tiles"]
    assert said[0]["skipped_tiles"] == said[1]["skipped_tiles"] == said[1]["uniform_tiles"]
    assert said[0]["uniform_tiles"] == 0  # the raster says itself where nothing is
    assert said[0]["skipped_tiles"] > 0


def test_other_coordinates_and_one_format(foveate: Call, field: Path, blob_model: Path) -> None:
    flags = ("--formats", "geojson", "--crs", "EPSG:4326")
    assert foveate("detect", field, "--model", blob_model, *flags).code == 0
    crs, rings = shapes_in(Path("out/geo/field.geojson"))
    assert crs == "EPSG:4326"
    assert rings.reshape(-1, 2).mean(axis=0) == pytest.approx([10.3367, 47.8455], abs=2e-3)
    assert not Path("out/geo/field.gpkg").exists()


def test_bands_and_values_are_chosen(foveate: Call, field: Path, blob_model: Path) -> None:
    many = np.zeros((5, 120, 130), np.uint16)
    many[[4, 2, 0], 50:55, 60:65] = np.array([[[2550]], [[2000]], [[1000]]])
    path = write_raster(field.with_name("many.tif"), many)
    done = foveate("detect", path, "--model", blob_model)
    assert done.code == 1
    assert "5 bands and does not say which are red, green and blue" in done.line
    assert "--bands 3,2,1" in done.line
    flags = ("--bands", "5,3,1", "--value-range", "0:2550", "--json")
    done = foveate("detect", path, "--model", blob_model, *flags)
    summary = json.loads(done.out)
    assert summary["totals"]["detections"] == 1
    assert summary["settings"]["bands"] == [5, 3, 1]
    assert summary["settings"]["value_range"] == "0:2550"
    assert "values from 0 to 2550 are shown as black to white" in done.err
    for wrong in (("--bands", "5,x"), ("--bands", "9"), ("--value-range", "5")):
        done = foveate("detect", path, "--model", blob_model, *wrong)
        assert done.code in (1, 2)
        assert done.line


def test_an_unreadable_block_is_named_and_the_rest_is_done(
    foveate: Call, field: Path, blob_model: Path
) -> None:
    data = bytearray(field.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 300] = b"\xff" * 300
    field.write_bytes(data)
    done = foveate("detect", field, "--model", blob_model)
    assert done.code == 1
    assert "field.tif: 2 blocks could not be read, at pixels 64,64 to 128,128; " in done.err
    assert done.err.endswith("; all else is done\n")
    assert len(json.loads(Path("out/detections.json").read_text())) >= 2
    assert Path("out/geo/field.gpkg").exists()


def test_without_a_reference_the_rest_is_done(foveate: Call, field: Path, blob_model: Path) -> None:
    path = write_raster(field.with_name("bare.tif"), np.full((5, 90, 90), 9, np.uint8), crs=None)
    flags = ("--model", blob_model, "--bands", "1,2,3")
    done = foveate("detect", path, *flags)
    assert done.code == 0
    assert "no coordinate reference system; gdal_edit.py -a_srs" in done.err
    done = foveate("detect", path, *flags, "--formats", "geopackage", "--out", "second")
    assert done.code == 1
    assert "says nowhere where it lies" in done.err
    assert Path("second/annotated/bare.jpg").exists()
    assert not Path("second/geo").exists()


def test_bad_wishes_are_told_before_anything_is_done(
    foveate: Call, field: Path, blob_model: Path
) -> None:
    done = foveate("detect", field, "--model", blob_model, "--crs", "EPSG:nonsense")
    assert done.code == 2
    assert done.line == (
        "no coordinate reference system 'EPSG:nonsense'; give one such as EPSG:4326"
    )
    done = foveate("detect", field, "--model", blob_model, "--crs", "EPSG:4326", "--json")
    assert "--out DIR" in done.line
    assert not Path("out").exists()


def test_a_virtual_raster_that_points_elsewhere(
    foveate: Call, field: Path, blob_model: Path
) -> None:
    path = field.with_name("m.vrt")
    path.write_text(vrt(simple_source("/etc/hostname")))
    done = foveate("detect", path, "--model", blob_model)
    assert done.code == 1
    assert "points elsewhere, to /etc/hostname" in done.line


def test_a_folder_that_cannot_be_written(
    foveate: Call, field: Path, blob_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that turns read-only after the start: the package is the first to notice."""

    def fails(path: Path, content: bytes) -> None:
        if path.suffix == ".gpkg":
            raise OSError(30, "Read-only file system")
        write_atomically(path, content)

    monkeypatch.setattr("foveate.api.output.write_atomically", fails)
    done = foveate("detect", field, "--model", blob_model, "--out", "there")
    assert done.code == 1
    assert "field.gpkg: cannot be written (read-only file system)" in done.line


def test_where_the_time_went(foveate: Call, field: Path, blob_model: Path) -> None:
    done = foveate("detect", field, "--model", blob_model, "--profile")
    for stage in ("decode", "tiles", "network", "boxes", "merge", "write"):
        assert f"  {stage} " in done.err
    assert "the network had nothing to do" in done.err


def test_of_several_one_that_is_read_in_part_is_told_from_one_that_is_not(
    foveate: Call, field: Path, blob_model: Path
) -> None:
    data = bytearray(field.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 300] = b"\xff" * 300
    field.write_bytes(data)
    write_raster(field.with_name("whole.tif"), np.full((3, 90, 90), 9, np.uint8))
    done = foveate("detect", field.parent / "*.tif", "--model", blob_model)
    assert done.code == 1
    assert "1 of 2 pictures could not be done in full; the other 1 is done" in done.err
    assert "field.tif: 2 blocks could not be read" in done.err
