"""Rasters in: pictures of any size, bands and value type, read window by window with rasterio.

GeoTIFF (tiled, in strips, compressed, cloud-optimised), JPEG 2000 and VRT. Memory does not grow
with the raster: GDAL's cache of blocks is bounded, and where a tile is shown smaller than it is,
it is read from the overviews.

- *Bands*: those asked for; else those that say they are red, green and blue; else the first three
  of three. One band is given three times, a palette is looked up.
- *Values* of more than 8 bits are scaled from the range asked for, or by the rule of
  `foveate.data.values` to what a sample of the raster shows. What lies beyond is clipped, counted
  and said.
- *Nothing to look at* is a tile without a valid pixel, by the nodata value, the mask or the alpha
  band; without any of these, a tile of zeros, as beside a satellite's swath. Single invalid pixels
  become black.
- *Blocks that cannot be read* become black, and are listed.
"""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.data.headers import RASTER_KINDS, is_vrt
from foveate.data.remote import Location, RemoteFile
from foveate.data.values import Reading, full_range, scaled
from foveate.data.vrt import require_local
from foveate.errors import FoveateError, UsageError
from foveate.libraries import import_library
from foveate.structures import BoolArray, GeoReference, Tile, UInt8Image

MAX_PIXELS = 100_000_000_000
"""Larger rasters are refused: a header can claim anything."""

_CACHE = 128 << 20
"""Bytes of decoded blocks: a row of tiles of a raster in strips, 70,000 pixels wide."""
_CACHE_TILED = 32 << 20
"""The same of a tiled GeoTIFF, of which only the blocks of neighbouring tiles are worth keeping."""
_SAMPLES = 8
"""Windows along each side that values are sampled in."""
_SAMPLE_SIDE = 256
_MOST_PIXELS = 1 << 24
"""Of a region that is held at its own scale."""
_COLOURS = ("red", "green", "blue")

_BESIDE = (".ovr", ".xml", ".msk")
"""Endings of files that come to a raster without changing its pixels."""

_SILENT = logging.NullHandler()

Window = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels."""


class RasterSource:
    """A raster as an `ImageSource`.

    Args:
        path: GeoTIFF, JPEG 2000 or VRT; or an address of one of the first two,
            which is copied to a temporary file for as long as this lives.
        reading: Which bands and values.

    Attributes:
        path: As given.
        name: File name.
        width: Pixels.
        height: Pixels.
        geo: Where it lies; None without a coordinate reference system.
        unread: Blocks that could not be read so far.
        failed_reads: How often a block could not be, the same one again included.

    Raises:
        FoveateError: If rasterio is missing, or the file is damaged or has no bands, or if it does
            not say which bands are red, green and blue.
        UsageError: If a band is asked for that is not there.
    """

    def __init__(self, path: Location, reading: Reading | None = None) -> None:
        self._lock = Lock()
        self.path, self._reading = path, reading or Reading()
        if isinstance(path, RemoteFile):
            local, remove = path.copied()
            weakref.finalize(self, remove)
        else:
            local = path
        self._file = _open(path, local)
        tiled = self._file.driver == "GTiff" and self._file.profile.get("tiled", False)
        self._cache = _CACHE_TILED if tiled else _CACHE
        self.name = path.name
        self.width, self.height = int(self._file.width), int(self._file.height)
        if self.width * self.height > MAX_PIXELS:
            raise FoveateError(f"{path} says it has {self.width} x {self.height} pixels, more "
                               f"than the {MAX_PIXELS:,} allowed")  # fmt: skip
        self._bands = _choose_bands(self._file, path, self._reading.bands)
        self._palette = _palette(self._file, self._bands)
        self._nodata, self._masked = _invalid(self._file, self._bands)
        self.geo = _geo_reference(self._file)
        self.unread: list[Window] = []
        self.failed_reads = 0
        self._clipped = self._looked_at = 0
        self._limits = self._choose_limits()
        self._as_it_is = self._file.dtypes[0] == "uint8" and self._limits_are(0, 255)
        # Grey TIFFs may count from white to black.
        self._inverted = self._file.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"

    def read(self, tile: Tile) -> UInt8Image | None:
        """The tile's region, as `ImageSource` says; reduced where it is shown smaller."""
        shape = min(tile.height, tile.out_height), min(tile.width, tile.out_width)
        with self._lock, _gdal(self._cache):
            values = self._values(tile.box, shape)
            valid = self._valid(values, tile.box, shape)
        if valid is None:
            if not values.any():
                return None
        elif not valid.any():
            return None
        if valid is None or valid.all():
            return self._shown(values)
        pixels = self._shown(self._blackened(values, valid))
        pixels[~valid] = 0
        return pixels

    @property
    def parts(self) -> list[Path]:
        """Of a VRT, the files that its pixels are in."""
        return [Path(name) for name in self._file.files[1:] if Path(name).suffix not in _BESIDE]

    @property
    def seen(self) -> tuple[int, int]:
        """Values that were clipped, and looked at, so far; the notes tell their share."""
        return self._clipped, self._looked_at

    def count_seen(self, clipped: int, looked_at: int) -> None:
        """Add what other readers of this raster saw."""
        self._clipped += clipped
        self._looked_at += looked_at

    @property
    def notes(self) -> list[str]:
        """What should be known of the result, each in one line without the file's name."""
        notes = []
        if self._file.dtypes[0] != "uint8":
            low, high = (", ".join(f"{v:g}" for v in np.unique(ends)) for ends in self._limits)
            chosen = "" if self._reading.values else "; choose with --value-range"
            notes.append(f"values from {low} to {high} are shown as black to white{chosen}")
        if self._clipped and self._reading.values is None:
            share = 100 * self._clipped / max(1, self._looked_at)
            notes.append(f"{share:.2g} % of its values lie beyond that and were clipped")
        if self.geo is None:
            why = "control points only; gdalwarp gives it a grid" if self._file.gcps[0] else (
                "no coordinate reference system; gdal_edit.py -a_srs EPSG:... gives it one"
            )  # fmt: skip
            notes.append(f"has {why}: boxes are in pixels only")
        return notes

    def _values(self, box: Window, shape: tuple[int, int]) -> NDArray[Any]:
        """``(B, *shape)`` of a region; blocks that cannot be read are 0 and noted."""
        try:
            return self._read_window(box, shape)
        except _rasterio().errors.RasterioIOError:
            x1, y1, x2, y2 = box
            if (x2 - x1) * (y2 - y1) > _MOST_PIXELS and max(shape) > 1:
                return self._read_in_halves(box, shape)
            return self._read_by_blocks(box, shape)

    def _valid(self, values: NDArray[Any], box: Window, shape: tuple[int, int]) -> BoolArray | None:
        """``(H, W)`` which pixels are valid; None where the raster marks none as invalid."""
        valid: BoolArray | None = None
        if self._nodata is not None:
            nodata = np.array(self._nodata)[:, None, None]
            valid = ~((values == nodata) | (np.isnan(nodata) & (values != values))).all(axis=0)
        elif self._masked:
            window = (box[1], box[3]), (box[0], box[2])
            try:
                mask = self._file.read_masks(self._bands[0], window=window, out_shape=shape)
                valid = mask > 0
            except _rasterio().errors.RasterioIOError:
                valid = np.ones(shape, bool)  # its block is black, and listed
        if values.dtype.kind == "f":
            finite = np.isfinite(values).all(axis=0)
            valid = finite if valid is None else valid & finite
        return valid

    def _read_window(self, box: Window, shape: tuple[int, int]) -> NDArray[Any]:
        x1, y1, x2, y2 = box
        reduced = shape != (y2 - y1, x2 - x1)
        resampling = _rasterio().enums.Resampling
        how = resampling.average if reduced and self._palette is None else resampling.nearest
        values: NDArray[Any] = self._file.read(
            list(self._bands),
            window=((y1, y2), (x1, x2)),
            out_shape=(len(self._bands), *shape),
            resampling=how,
        )
        return values

    def _read_in_halves(self, box: Window, shape: tuple[int, int]) -> NDArray[Any]:
        """A region too large to be held at its own scale, in two parts along its longer side."""
        x1, y1, x2, y2 = box
        height, width = shape
        if height >= width:
            y = y1 + round((y2 - y1) * (height // 2) / height)
            upper = self._values((x1, y1, x2, y), (height // 2, width))
            lower = self._values((x1, y, x2, y2), (height - height // 2, width))
            return np.concatenate([upper, lower], axis=1)
        x = x1 + round((x2 - x1) * (width // 2) / width)
        left = self._values((x1, y1, x, y2), (height, width // 2))
        right = self._values((x, y1, x2, y2), (height, width - width // 2))
        return np.concatenate([left, right], axis=2)

    def _read_by_blocks(self, box: Window, shape: tuple[int, int]) -> NDArray[Any]:
        """The region at its own scale, block by block, then reduced if it must be."""
        x1, y1, x2, y2 = box
        values = np.zeros((len(self._bands), y2 - y1, x2 - x1), self._file.dtypes[0])
        height, width = self._file.block_shapes[self._bands[0] - 1]
        for top in range(y1 // height * height, y2, height):
            for left in range(x1 // width * width, x2, width):
                block = (left, top, min(left + width, self.width), min(top + height, self.height))
                part = max(x1, left), max(y1, top), min(x2, block[2]), min(y2, block[3])
                size = part[3] - part[1], part[2] - part[0]
                place = np.s_[:, part[1] - y1 : part[3] - y1, part[0] - x1 : part[2] - x1]
                try:
                    values[place] = self._read_window(part, size)
                except _rasterio().errors.RasterioIOError:
                    self.failed_reads += 1
                    if block not in self.unread:
                        self.unread.append(block)
        if values.shape[1:] == shape:
            return values
        rows = np.linspace(0, values.shape[1] - 1, shape[0]).round().astype(int)
        columns = np.linspace(0, values.shape[2] - 1, shape[1]).round().astype(int)
        return values[:, rows][:, :, columns]

    def _blackened(self, values: NDArray[Any], valid: BoolArray) -> NDArray[Any]:
        """Invalid pixels as what becomes 0, so that they count as neither clipped nor undefined."""
        low = self._limits[0].astype(values.dtype)[:, None, None]
        return np.where(valid, values, low)

    def _shown(self, values: NDArray[Any]) -> UInt8Image:
        """``(B, H, W)`` of any type as ``(H, W, C)`` uint8."""
        if self._palette is not None:
            return np.asarray(self._palette[values[0]], np.uint8)
        planes = list(values)
        if not self._as_it_is:
            low, high = self._limits
            beyond = (values < low[:, None, None]) | (values > high[:, None, None])
            self._clipped += int(np.count_nonzero(beyond))
            self._looked_at += values.size
            if self._tables is None:
                planes = [scaled(v, *ends) for v, *ends in zip(values, low, high, strict=True)]
            else:
                planes = [table[v] for v, table in zip(values, self._tables, strict=True)]
        merged = np.asarray(cv2.merge(planes * 3 if len(planes) == 1 else planes), np.uint8)
        return 255 - merged if self._inverted else merged

    def _limits_are(self, low: float, high: float) -> bool:
        return bool((self._limits[0] == low).all() and (self._limits[1] == high).all())

    @cached_property
    def _tables(self) -> list[UInt8Image] | None:
        """What each value of each band becomes, where values are few enough to list."""
        kind = np.dtype(self._file.dtypes[0])
        if kind not in (np.uint8, np.uint16):
            return None
        every = np.arange(np.iinfo(kind).max + 1)[:, None]
        return [scaled(every, *ends)[:, 0] for ends in zip(*self._limits, strict=True)]

    def _choose_limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Low and high of each band, ``(B,)``."""
        bands, asked = len(self._bands), self._reading.values
        bits = _bits(self._file, self._bands[0])
        if asked is not None and not asked.percent:
            return np.full(bands, asked.low), np.full(bands, asked.high)
        if asked is None and bits:
            return np.zeros(bands), np.full(bands, 2.0**bits - 1)
        sample = self._sample()
        if asked is not None:
            return asked.limits(sample)
        low, high = full_range(sample, self.name) if sample.size else (0.0, 1.0)
        return np.full(bands, low), np.full(bands, high)

    def _sample(self) -> NDArray[Any]:
        """Valid pixels of windows spread over the raster, ``(N, B)``."""
        parts = []
        for y in _spread(self.height):
            for x in _spread(self.width):
                box = x, y, min(x + _SAMPLE_SIDE, self.width), min(y + _SAMPLE_SIDE, self.height)
                shape = box[3] - y, box[2] - x
                with self._lock, _gdal(self._cache):
                    values = self._values(box, shape)
                    valid = self._valid(values, box, shape)
                pixels = values.reshape(len(values), -1).T
                parts.append(pixels if valid is None else pixels[valid.ravel()])
        return np.concatenate(parts)


def _spread(length: int) -> Iterator[int]:
    """Where the windows of a sample begin along one side."""
    last = max(0, length - _SAMPLE_SIDE)
    yield from sorted({round(i * last / (_SAMPLES - 1)) for i in range(_SAMPLES)})


def has_rasterio() -> bool:
    """Whether rasters can be read."""
    return find_spec("rasterio") is not None


def _rasterio(asked: str = "a raster") -> Any:
    """The library, imported late.

    Raises:
        FoveateError: If it is not installed.
    """
    return import_library("rasterio", asked, "'foveate[raster]'")


@contextmanager
def _gdal(cache: int = _CACHE) -> Iterator[None]:
    """GDAL with a bounded cache, its complaints left to this module."""
    # Without a handler, Python would print what rasterio logs; errors reach the user as such.
    logging.getLogger("rasterio").addHandler(_SILENT)
    with _rasterio().Env(GDAL_CACHEMAX=cache):
        yield


def _open(path: Location, local: Path) -> Any:
    """Open with no driver but the one that the content names; `local` is `path`, or its copy."""
    rasterio = _rasterio(str(path))
    with local.open("rb") as file:
        start = file.read(16)
        vrt = is_vrt(file)
    if vrt and local is not path:
        raise FoveateError(f"{path} is a VRT; only a local one is read, beside the files it names")
    if vrt:
        if path.suffix.lower() != ".vrt":
            raise FoveateError(f"{path} is a VRT, which its name hides; rename it to .vrt")
        require_local(local)
    kind = next((driver for magic, driver in RASTER_KINDS.items() if magic.match(start)), None)
    driver = "VRT" if vrt else kind
    if driver is None:
        raise FoveateError(f"{path} is no raster (GeoTIFF, JPEG 2000 or VRT)")
    try:
        with warnings.catch_warnings(), _gdal():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            file = rasterio.open(local, driver=driver)
    except rasterio.errors.RasterioIOError as error:
        reason = str(error).partition("\n")[0]
        reason = reason.removeprefix(f"{local}: ").removeprefix(f"'{local}' ")
        raise FoveateError(f"{path} cannot be read as a raster: {reason}") from None
    if not file.count:
        raise FoveateError(f"{path} has no bands: there are no pixels to look at")
    if len(set(file.dtypes)) > 1 or np.dtype(file.dtypes[0]).kind not in "uif":
        raise FoveateError(f"{path} has values of type {', '.join(sorted(set(file.dtypes)))}; "
                           "real numbers of one type can be read")  # fmt: skip
    return file


def _choose_bands(file: Any, path: Location, asked: tuple[int, ...] | None) -> tuple[int, ...]:
    """Numbers of the bands to read, from 1."""
    if asked is not None:
        if max(asked) > file.count:
            raise UsageError(f"{path} has {file.count} bands; there is no band {max(asked)}")
        return asked
    colours = [colour.name for colour in file.colorinterp]
    if all(name in colours for name in _COLOURS):
        return tuple(colours.index(name) + 1 for name in _COLOURS)
    plain = [band for band, name in enumerate(colours, start=1) if name != "alpha"]
    if len(plain) in (1, 3):
        return tuple(plain)
    names = [name for name in file.descriptions if name]
    listed = f" ({', '.join(names)})" if names else ""
    raise FoveateError(
        f"{path} has {file.count} bands{listed} and does not say which are red, green and blue; "
        "choose with --bands, such as --bands 3,2,1"
    )


def _palette(file: Any, bands: tuple[int, ...]) -> UInt8Image | None:
    """``(256, 3)``: the colours of a single band's values."""
    if len(bands) != 1 or file.colorinterp[bands[0] - 1].name != "palette":
        return None
    palette = np.zeros((256, 3), np.uint8)
    for value, colour in file.colormap(bands[0]).items():
        palette[value] = colour[:3]
    return palette


def _bits(file: Any, band: int) -> int:
    """Bits of a value where that is known to hold them all; 0 where values have to be looked at."""
    bits = file.tags(ns="IMAGE_STRUCTURE", bidx=band).get("NBITS")
    if bits is not None and np.dtype(file.dtypes[0]).kind == "u":
        return int(bits)
    return 8 if file.dtypes[0] == "uint8" else 0


def _invalid(file: Any, bands: tuple[int, ...]) -> tuple[tuple[float, ...] | None, bool]:
    """The bands' nodata values, if they have them, and else whether there is a mask."""
    nodata = tuple(file.nodatavals[band - 1] for band in bands)
    if all(value is not None for value in nodata):
        return nodata, False
    return None, any(flag.name == "per_dataset" for flag in file.mask_flag_enums[bands[0] - 1])


def _geo_reference(file: Any) -> GeoReference | None:
    if file.crs is None or file.transform.is_identity or file.gcps[0]:
        return None
    return GeoReference(file.crs.to_wkt(), tuple(file.transform)[:6])
