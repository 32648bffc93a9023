"""Open what a user names: pictures whole, rasters by windows."""

from __future__ import annotations

from pathlib import Path

from foveate.data.files import open_file
from foveate.data.headers import RASTER_KINDS, BrokenPictureError, is_vrt, read_header
from foveate.data.images import (
    PICTURE_ENDINGS,
    PLAIN,
    find_images,
    natural_order,
    open_image,
)
from foveate.data.rasters import RasterSource, has_rasterio
from foveate.data.remote import Location, RemoteFile, find_remote, location_of
from foveate.data.values import Reading
from foveate.errors import FoveateError
from foveate.structures import ImageSource

WHOLE_PIXELS = 64_000_000
"""TIFFs with more are read by windows, and people are shown them reduced."""

SOURCE_ENDINGS = (*PICTURE_ENDINGS, ".jp2", ".j2k")
"""File endings that a folder is searched for; not VRTs, whose parts may be in the same folder."""

_WORLD_FILES = (".tfw", ".jgw", ".pgw", ".wld", ".tifw", ".jpgw", ".pngw")
"""Endings of texts beside a picture that say where it lies."""


def open_source(path: str | Location, reading: Reading = PLAIN) -> ImageSource:
    """A picture or a raster as a source of tiles.

    Rasters, which are read by windows through rasterio, are VRTs, JPEG 2000, TIFFs that are
    georeferenced, larger than 64 megapixels or of bands that need choosing, and pictures with a
    world file beside them. Everything else is decoded whole. Without rasterio, a TIFF that can be
    decoded whole is.

    Args:
        path: JPEG, PNG, WebP, BMP, TIFF, JPEG 2000 or VRT, told by their content; also an address
            (`foveate.data.remote`), where no file beside it is looked for.
        reading: Which bands and values.

    Raises:
        FoveateError: If it cannot be read, or needs rasterio and that is not installed.
        UsageError: If a band is asked for that is not there.
    """
    path = location_of(path)
    if isinstance(path, RemoteFile):
        path = path.fetched()
    return RasterSource(path, reading) if is_raster(path, reading) else open_image(path, reading)


def is_raster(path: Location, reading: Reading = PLAIN) -> bool:
    """Whether `open_source` reads it by windows; raises as that does."""
    must, should = _raster(path, reading)
    return must or (should and has_rasterio())


def find_sources(source: str | Location) -> list[Location]:
    """List the pictures and rasters that a file, a folder or a glob pattern means.

    As `find_images`; VRTs are found by a pattern that ends in ``.vrt``. An address means what
    `foveate.data.remote.find_remote` says.

    Raises:
        FoveateError: If nothing is there, or an address cannot be listed.
    """
    vrt = (".vrt",) if str(source).lower().endswith(".vrt") else ()
    endings = (*SOURCE_ENDINGS, *vrt)
    place = location_of(source)
    if isinstance(place, Path):
        return [*find_images(place, endings=endings)]
    found = sorted(find_remote(place.address, SOURCE_ENDINGS), key=natural_order)
    if not found:
        raise FoveateError(f"no pictures in {place} (files ending in {' '.join(SOURCE_ENDINGS)})")
    return [*found]


def _raster(path: Location, reading: Reading) -> tuple[bool, bool]:
    """Whether a file can only be read as a raster, and whether it should be."""
    with open_file(path) as file:
        start = file.read(16)
        kind = next((driver for magic, driver in RASTER_KINDS.items() if magic.match(start)), None)
        if is_vrt(file) or kind == "JP2OpenJPEG":
            return True, True
        if kind is None:
            return False, False
        placed = isinstance(path, Path) and any(
            path.with_suffix(ending).is_file() for ending in _WORLD_FILES
        )
        if kind != "GTiff":
            return False, placed
        try:
            header = read_header(file)
        except BrokenPictureError as error:
            raise FoveateError(f"{path} {error}") from None
        bands_need_choosing = header.bands > 4 or (header.bands == 2 and header.bits > 8)
        large = header.width * header.height > WHOLE_PIXELS
        asked = reading.bands is not None
        return bands_need_choosing, placed or header.georeferenced or large or asked
