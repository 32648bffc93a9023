from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
from reports_data import Found, one_box

from foveate.errors import FoveateError, UsageError
from foveate.reports.geo import GEO_EXPORTS, GeoExport, ground_size
from foveate.structures import Detections, GeoReference

NAMES = ("car", "bus & tram")
UTM = GeoReference("EPSG:32632", (0.5, 0, 600_000, 0, -0.5, 5_300_000))
BOX = one_box(10, 20, 30, 24, label=1)


def found(detections: Detections = BOX, geo: GeoReference | None = UTM) -> Found:
    return Found("a.tif", 400, 300, detections, geo=geo)


def write(export: GeoExport, result: Found, folder: Path) -> list[Path]:
    paths = []
    for name, content in [*export.picture(result, "a"), *export.finish()]:
        paths.append(folder / name.name)
        paths[-1].write_bytes(content)
        assert str(name.parent) == "geo"
    return paths


@pytest.mark.parametrize("name", sorted(GEO_EXPORTS))
def test_a_box_lies_where_its_pixels_lie(name: str, tmp_path: Path) -> None:
    (path,) = write(GEO_EXPORTS[name](NAMES), found(), tmp_path)
    meta, _, shapes, columns = pyogrio.raw.read(path)
    assert meta["crs"] == "EPSG:32632"
    values = {field: column[0] for field, column in zip(meta["fields"], columns, strict=True)}
    assert values.pop("class") == "bus & tram"
    assert values.pop("width_m") == pytest.approx(10, rel=1e-3)  # a grid's metres are not exact
    assert values.pop("height_m") == pytest.approx(2, rel=1e-3)
    assert values == pytest.approx({"score": 0.8, "x1": 10, "y1": 20, "x2": 30, "y2": 24})
    ring = np.frombuffer(shapes[0], "<f8", 10, 13).reshape(5, 2)
    expected = {
        (600_005, 5_299_990),
        (600_015, 5_299_990),
        (600_015, 5_299_988),
        (600_005, 5_299_988),
    }
    assert {*map(tuple, ring.tolist())} == expected
    assert (ring[0] == ring[4]).all()


@pytest.mark.parametrize("name", sorted(GEO_EXPORTS))
def test_other_coordinates(name: str, tmp_path: Path) -> None:
    (path,) = write(GEO_EXPORTS[name](NAMES, "EPSG:4326"), found(), tmp_path)
    meta, _, shapes, _ = pyogrio.raw.read(path)
    assert meta["crs"] == "EPSG:4326"
    ring = np.frombuffer(shapes[0], "<f8", 10, 13).reshape(5, 2)
    # 600,000 E 5,300,000 N of zone 32 is 10.3367 E 47.8455 N.
    assert ring == pytest.approx(np.array([[10.3367, 47.8455]] * 5), abs=2e-4)
    if name == "geojson":
        text = json.loads(path.read_bytes())
        assert "crs" not in text  # as RFC 7946 wants it
        signed = ring[:-1, 0] * np.roll(ring[:-1, 1], -1) - np.roll(ring[:-1, 0], -1) * ring[:-1, 1]
        assert signed.sum() > 0  # counter-clockwise, likewise


def test_geojson_in_other_coordinates_names_them(tmp_path: Path) -> None:
    (path,) = write(GEO_EXPORTS["geojson"](NAMES), found(), tmp_path)
    assert json.loads(path.read_bytes())["crs"]["properties"]["name"].endswith("EPSG::32632")


@pytest.mark.parametrize("name", sorted(GEO_EXPORTS))
def test_no_boxes_and_no_place(name: str, tmp_path: Path) -> None:
    (path,) = write(GEO_EXPORTS[name](NAMES), found(Detections.empty()), tmp_path)
    meta, _, shapes, _ = pyogrio.raw.read(path)
    assert len(shapes) == 0
    assert name == "geojson" or meta["fields"][0] == "class"  # GeoJSON has fields with features
    assert write(GEO_EXPORTS[name](NAMES), found(geo=None), tmp_path) == []


def test_sizes_are_true_metres_in_any_reference_system() -> None:
    box = np.array([[0, 0, 10, 20]], np.float32)

    def size(crs: str, *transform: float) -> list[float]:
        a, b, c, d, e, f = transform
        return [*ground_size(GeoReference(crs, (a, b, c, d, e, f)), box)[0]]

    # One degree of latitude at 45 is 111,132 m, and one of longitude at 60 is 55,800 m.
    assert size("EPSG:4326", 1e-4, 0, 9, 0, -1e-4, 45)[1] == pytest.approx(222.264, rel=1e-4)
    assert size("EPSG:4326", 1e-4, 0, 9, 0, -1e-4, 60)[0] == pytest.approx(55.802, rel=1e-4)
    assert size("EPSG:4326", 1e-4, 0, 179.9995, 0, -1e-4, 60)[0] == pytest.approx(55.802, rel=1e-4)
    # Web Mercator stretches by 1 / cos(latitude), 2 at 60 degrees north.
    mercator = size("EPSG:3857", 1, 0, 1e6, 0, -1, 8_399_738)
    assert mercator == pytest.approx([5, 10], rel=0.01)
    # Feet: California zone 5.
    assert size("EPSG:2229", 1, 0, 6.5e6, 0, -1, 1.8e6) == pytest.approx([3.048, 6.096], rel=1e-3)
    turned = size("EPSG:32632", 0.3, 0.4, 600_000, 0.4, -0.3, 5_300_000)
    assert turned == pytest.approx([5, 10], rel=1e-3)


def test_a_grid_of_no_place_on_earth_has_no_metres(tmp_path: Path) -> None:
    local = 'LOCAL_CS["works",UNIT["metre",1]]'
    geo = GeoReference(local, (1, 0, 0, 0, -1, 0))
    assert np.isnan(ground_size(geo, BOX.boxes)).all()
    (path,) = write(GEO_EXPORTS["geopackage"](NAMES), found(geo=geo), tmp_path)
    meta, _, _, columns = pyogrio.raw.read(path)
    values = dict(zip(meta["fields"], columns, strict=True))
    assert np.isnan(values["width_m"]).all()


def test_what_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no coordinate reference system 'EPSG:99999999'"):
        GEO_EXPORTS["geojson"](NAMES, "EPSG:99999999")
    monkeypatch.setitem(sys.modules, "pyogrio.raw", None)
    with pytest.raises(FoveateError, match=r"pip install 'foveate\[raster\]'"):
        GEO_EXPORTS["geojson"](NAMES)
