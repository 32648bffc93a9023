"""Detections on the ground: GeoJSON and GeoPackage, in a raster's own coordinates or in others.

Needs rasterio for coordinates and pyogrio for files. GeoJSON in longitude and latitude (EPSG:4326)
is as RFC 7946 wants it; in any other reference system it names that in the older ``crs`` member,
which QGIS and GDAL read.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError, UsageError
from foveate.libraries import import_library
from foveate.reports.exports import Files
from foveate.reports.results import PictureResult, class_name
from foveate.structures import Coordinates, FloatArray, GeoReference

LAYER = "detections"
FOLDER = "geo"

_LONGITUDE_LATITUDE = "EPSG:4326"
_EQUATOR = 6_378_137.0
"""Metres, WGS 84."""
_FLATTENING = 1 / 298.257223563

_FEATURES = b'"features": ['

_WKB = np.dtype(
    [
        ("little_endian", "u1"),
        ("kind", "<u4"),
        ("rings", "<u4"),
        ("points", "<u4"),
        ("ring", "<f8", (5, 2)),
    ]
)
"""A polygon of one ring of five points, as well-known binary."""


def geo_formats_installed() -> bool:
    """Whether the libraries for coordinates are there."""
    return all(find_spec(name) is not None for name in ("rasterio", "pyogrio"))


def require_crs(text: str) -> str:
    """A coordinate reference system as people name it, checked.

    Args:
        text: Such as ``EPSG:4326``, or well-known text.

    Raises:
        UsageError: If it is none.
        FoveateError: If rasterio is not installed.
    """
    crs = _library("rasterio.crs").CRS
    try:
        return str(crs.from_user_input(text).to_wkt())
    except Exception:  # rasterio raises errors of several kinds
        raise UsageError(
            f"no coordinate reference system {text!r}; give one such as EPSG:4326"
        ) from None


class GeoExport:
    """``geo/STEM.geojson`` or ``geo/STEM.gpkg``: a polygon a box; nothing without a georeference.

    Every polygon has `class`, `score`, `width_m` and `height_m` (of the box on the ground, along
    the raster's columns and rows, in metres) and `x1`, `y1`, `x2`, `y2` (pixels).

    Args:
        class_names: In the order of the labels.
        crs: Coordinates to write; the raster's own if left out.

    Raises:
        FoveateError: If a library is missing.
        UsageError: If `crs` is none.
    """

    driver = ""
    ending = ""

    def __init__(self, class_names: Sequence[str], crs: str | None = None) -> None:
        self._library = _library("pyogrio.raw")
        self._names = class_names
        self._crs = require_crs(crs) if crs is not None else None

    def picture(self, result: PictureResult, stem: str) -> Files:
        """One file."""
        if result.geo is None:
            return
        out = io.BytesIO()
        self._write(out, result, result.geo)
        yield self.path(stem), out.getvalue()

    def path(self, stem: str) -> PurePosixPath:
        """Where the file of a picture belongs."""
        return PurePosixPath(FOLDER, stem + self.ending)

    def finish(self) -> Files:
        """Nothing more."""
        return iter(())

    def write_parts(self, path: Path, parts: Iterable[PictureResult]) -> None:
        """Write the file of a picture whose boxes come in parts, of which one is in memory.

        Args:
            path: The file, which must not exist.
            parts: At least one, all of one place.
        """
        for number, part in enumerate(parts):
            assert part.geo is not None
            self._write(path, part, part.geo, append=number > 0)

    def _write(
        self, out: io.BytesIO | Path, result: PictureResult, geo: GeoReference, append: bool = False
    ) -> None:
        boxes = result.detections.boxes
        corners, crs = geo.corners(boxes), geo.crs
        if self._crs is not None:
            corners, crs = reprojected(corners, crs, self._crs), self._crs
            if not np.isfinite(corners).all():
                raise FoveateError(
                    f"{result.name}: some boxes have no coordinates in what --crs names; choose "
                    "one that holds there"
                )
        fields = _fields(result, geo, self._names)
        options = {"RFC7946": "YES"} if self.ending == ".geojson" and _is_degrees(crs) else {}
        try:
            self._library.write(
                out,
                polygons(corners),
                list(fields.values()),
                list(fields),
                layer=LAYER,
                driver=self.driver,
                geometry_type="Polygon",
                crs=crs,
                layer_options=options,
                append=append,
            )
        except Exception as error:  # pyogrio's errors have no common base
            raise FoveateError(f"{result.name}: no {self.ending} can be made: {error}") from error


class GeoJson(GeoExport):
    """``geo/STEM.geojson``."""

    driver, ending = "GeoJSON", ".geojson"

    def write_parts(self, path: Path, parts: Iterable[PictureResult]) -> None:
        """As `GeoExport.write_parts`; each part is made by itself, and their features are joined.

        The library would read the whole file again to append to it.
        """
        tail = b""
        with path.open("wb") as file:
            for part in parts:
                assert part.geo is not None
                whole = io.BytesIO()
                self._write(whole, part, part.geo)
                head, features, end = _split_features(whole.getvalue(), part.name)
                if features:
                    file.write((b",\n" if tail else head) + features)
                    tail = end
            file.write(tail or head + end)


class GeoPackage(GeoExport):
    """``geo/STEM.gpkg``, layer ``detections``."""

    driver, ending = "GPKG", ".gpkg"


GEO_EXPORTS: dict[str, type[GeoExport]] = {"geojson": GeoJson, "geopackage": GeoPackage}


def reprojected(points: Coordinates, crs: str, target: str) -> Coordinates:
    """Points in another reference system, ``(..., 2)``; infinite where they have no place in it."""
    flat = points.reshape(-1, 2)
    if not len(flat):
        return points
    x, y = _library("rasterio.warp").transform(crs, target, flat[:, 0], flat[:, 1])
    return np.stack([np.asarray(x), np.asarray(y)], axis=-1).reshape(points.shape)


def ground_size(geo: GeoReference, boxes: FloatArray) -> NDArray[np.float64]:
    """Width and height of boxes on the ground, ``(N, 2)`` metres.

    Measured between the middles of opposite sides on the WGS 84 ellipsoid, so that it is right in
    any reference system: in degrees, in feet, and in Web Mercator, whose metres are not metres.
    The formula, arc lengths along the meridian and the parallel, is for lengths of up to some
    kilometres.

    Returns:
        NaN where the reference system has no place on Earth.
    """
    exact = boxes.astype(np.float64)
    x1, y1, x2, y2 = exact.T
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    middles = np.stack([x1, y, x2, y, x, y1, x, y2], axis=-1).reshape(-1, 2, 2, 2)
    try:
        degrees = reprojected(geo.to_ground(middles), geo.crs, _LONGITUDE_LATITUDE)
    except Exception:  # GDAL's errors have no public base
        return np.full((len(boxes), 2), np.nan)
    degrees[~np.isfinite(degrees)] = np.nan
    start, end = degrees[:, :, 0], degrees[:, :, 1]  # (N, width and height, lon and lat)
    latitude = np.radians((start[..., 1] + end[..., 1]) / 2)
    squared = _FLATTENING * (2 - _FLATTENING)
    bend = 1 - squared * np.sin(latitude) ** 2
    meridian = _EQUATOR * (1 - squared) / bend**1.5
    parallel = _EQUATOR / np.sqrt(bend) * np.cos(latitude)
    east = (end[..., 0] - start[..., 0] + 180) % 360 - 180  # the short way around
    north = end[..., 1] - start[..., 1]
    size: NDArray[np.float64] = np.hypot(parallel * np.radians(east), meridian * np.radians(north))
    return size


def polygons(corners: Coordinates) -> NDArray[np.object_]:
    """Closed rings as well-known binary, ``(N,)`` bytes.

    Args:
        corners: ``(N, 4, 2)``.
    """
    shapes = np.zeros(len(corners), _WKB)
    shapes["little_endian"], shapes["kind"], shapes["rings"], shapes["points"] = 1, 3, 1, 5
    shapes["ring"][:, :4] = corners
    shapes["ring"][:, 4] = corners[:, 0]
    return np.array([shape.tobytes() for shape in shapes], object)


def _split_features(content: bytes, name: str) -> tuple[bytes, bytes, bytes]:
    """What comes before a GeoJSON's features, they themselves, and what comes after them."""
    start, end = content.find(_FEATURES), content.rfind(b"]")
    if start < 0 or end < start:
        raise FoveateError(f"{name}: GDAL lays out GeoJSON in another way than is known")
    start += len(_FEATURES)
    features = content[start:end].strip()
    return content[:start] + b"\n", features, b"\n" + content[end:]


def _fields(
    result: PictureResult, geo: GeoReference, class_names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    found = result.detections
    size = ground_size(geo, found.boxes).round(3)
    names = [class_name(class_names, label) for label in found.labels.tolist()]
    corners = found.boxes.astype(np.float64).round(2).T
    return {
        "class": np.array(names, object),
        "score": found.scores.astype(np.float64).round(4),
        "width_m": size[:, 0],
        "height_m": size[:, 1],
        **dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)),
    }


def _is_degrees(crs: str) -> bool:
    known = _library("rasterio.crs").CRS
    return bool(known.from_user_input(crs) == known.from_epsg(4326))


def _library(name: str) -> Any:
    return import_library(name, "what has coordinates", "'foveate[raster]'")
