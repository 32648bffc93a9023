"""Pictures in: files and arrays become ``(H, W, 3)`` uint8 RGB, by the rules stated here.

Read are JPEG, PNG, WebP, BMP and TIFF, told by their content and not by their name; of several
pages or frames the first.

- *Grey* pictures get three equal channels; palettes are looked up.
- *Alpha*, and any fourth band, is dropped: what lies under it is what most detectors were
  trained on. (An 8-bit TIFF with unassociated alpha comes darkened by it: libtiff does so.)
- *Exif orientation* is applied, so that boxes refer to the picture as it is viewed.
- *Other value types* are scaled to 0-255 by the rule of `foveate.data.values`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.data.files import missing, open_file, reason_of
from foveate.data.headers import (
    BrokenPictureError,
    Header,
    essential_png,
    read_header,
    require_jpeg_end,
)
from foveate.data.memory import picture_memory
from foveate.data.remote import Location, location_of
from foveate.data.values import Reading, to_uint8
from foveate.errors import FoveateError, UsageError
from foveate.structures import Tile, UInt8Image

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""File endings that a folder is searched for, in any case."""

PLAIN = Reading()
"""Red, green and blue, values by the rule."""

MAX_PIXELS = 1_000_000_000
"""Pictures with more pixels than this are refused before decoding."""

# OpenCV describes on stderr what this module says in one line. Version 5 moved the function.
if "OPENCV_LOG_LEVEL" not in os.environ:
    (getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(0)


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """A picture in memory as an `ImageSource`; regions are views, never copies.

    Attributes:
        name: File name or a label for messages.
        array: The picture; anything that `as_image` takes.
    """

    name: str
    array: UInt8Image

    def __post_init__(self) -> None:
        """Bring the array to ``(H, W, 3)`` uint8, without a copy where it is that already."""
        object.__setattr__(self, "array", as_image(self.array, self.name))

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.array.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.array.shape[0])

    def read(self, tile: Tile) -> UInt8Image:
        """The tile's region, a view of the picture.

        Raises:
            ValueError: If the tile does not lie within the picture.
        """
        x1, y1, x2, y2 = tile.box
        if x1 < 0 or y1 < 0 or x2 > self.width or y2 > self.height:
            raise ValueError(f"{tile} is not within {self.name}, {self.width} x {self.height}")
        return self.array[y1:y2, x1:x2]


def open_image(path: str | Location, reading: Reading = PLAIN) -> ArraySource:
    """Load a picture as a source of tiles; arguments and errors as `load_image`."""
    return ArraySource(location_of(path).name, load_image(path, reading=reading))


def load_image(
    path: str | Location, max_pixels: int = MAX_PIXELS, reading: Reading = PLAIN
) -> UInt8Image:
    """Load a picture by the rules in the module's docstring.

    Args:
        path: JPEG, PNG, WebP, BMP or TIFF; also an address.
        max_pixels: Larger pictures are refused from their header, before decoding. OpenCV's own
            limits, 2**30 pixels and 2**20 a side, stay whatever is asked.
        reading: Which bands and values.

    Returns:
        ``(H, W, 3)`` uint8 RGB, contiguous.

    Raises:
        FoveateError: If the file is missing, unreadable, empty, no picture, cut short, damaged,
            or too large.
    """
    path = location_of(path)
    with open_file(path) as file:
        try:
            header = read_header(file)
            _require_readable(header, max_pixels, file.seek(0, os.SEEK_END))
            file.seek(0)
            return _decode(file.read(), header, str(path), reading)
        except BrokenPictureError as error:
            raise FoveateError(f"{path} {error}") from None
        except (OSError, MemoryError) as error:
            raise FoveateError(f"{path} cannot be read: {reason_of(error)}") from None


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height in pixels, after Exif rotation, from the header alone.

    Raises:
        FoveateError: If the file is missing, unreadable, empty, or no picture.
    """
    path = Path(path)
    with open_file(path) as file:
        try:
            return read_header(file).size
        except BrokenPictureError as error:
            raise FoveateError(f"{path} {error}") from None


def as_image(array: Any, name: str = "array", reading: Reading = PLAIN) -> UInt8Image:
    """Bring an array in memory to ``(H, W, 3)`` uint8 by the rules in the module's docstring.

    Args:
        array: ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA; booleans,
            whole numbers or floats. Anything that numpy can view as such. With bands asked for,
            ``(H, W, C)`` of any C.
        name: What messages call it.
        reading: Which bands and values.

    Returns:
        ``(H, W, 3)`` uint8 RGB: `array` itself, not a copy, if it is that already.

    Raises:
        FoveateError: If the shape or the type is no picture's, or a value is not finite.
    """
    try:
        values = np.asarray(array)
    except ValueError:
        raise FoveateError(f"{name}: a picture's rows are all of one length") from None
    if values.dtype.kind not in "buif":
        raise FoveateError(f"{name}: a picture holds numbers, got dtype {values.dtype}")
    if reading.bands is not None:
        values = _only_bands(values, name, reading.bands)
    bands = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or (bands not in (1, 3, 4) and reading.bands is None):
        hint = "; put the channels last" if values.ndim == 3 and values.shape[0] in (1, 3) else ""
        raise FoveateError(
            f"{name}: expected a picture of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
            f"got {values.shape}{hint}"
        )
    if values.size == 0:
        raise FoveateError(f"{name}: a picture has at least one pixel, got shape {values.shape}")
    opaque = values[..., :3] if bands == 4 and reading.bands is None else values
    pixels = to_uint8(opaque, name, reading.values)
    return pixels if bands > 1 else np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)


def _only_bands(values: NDArray[Any], name: str, bands: tuple[int, ...]) -> NDArray[Any]:
    """``(H, W, len(bands))``: the bands asked for, in that order."""
    stacked = values[..., None] if values.ndim == 2 else values
    if stacked.ndim == 3 and max(bands) > stacked.shape[2]:
        raise UsageError(f"{name} has {stacked.shape[2]} bands; there is no band {max(bands)}")
    return stacked[..., [band - 1 for band in bands]]


def find_images(
    source: str | Path, nested: bool = False, endings: Sequence[str] = PICTURE_ENDINGS
) -> list[Path]:
    """List the pictures that a file, a folder or a glob pattern means, in natural order.

    Natural order puts ``frame2`` before ``frame10``. A file is taken whatever its ending; from a
    folder or a pattern come files with one of `endings`, hidden ones left out.

    Args:
        source: A path, or a pattern such as ``photos/*.tif`` or ``photos/**/*.tif``.
        nested: Look into a folder's folders too.
        endings: In lower case.

    Raises:
        FoveateError: If nothing is there, saying what was looked for.
    """
    path = Path(source)
    if path.is_dir():
        return _sorted_pictures(
            _entries(path, nested),
            endings,
            f"folder {path}",
            "" if nested else f"; for the folders in it: '{path}/**/*'",
        )
    if path.exists():
        return [path]
    if not glob.has_magic(str(source)):
        raise missing(path)
    # Path.glob takes no absolute patterns before Python 3.13.
    matches = [Path(match) for match in glob.glob(str(source), recursive=True)]  # noqa: PTH207
    if not matches:
        raise FoveateError(f"no file matches {source}")
    return _sorted_pictures(matches, endings, f"what matches {source}")


def _entries(folder: Path, nested: bool) -> list[Path]:
    try:
        return [*(folder.rglob("*") if nested else folder.iterdir())]
    except OSError as error:
        raise FoveateError(f"folder {folder} cannot be read: {reason_of(error)}") from None


def _sorted_pictures(
    paths: list[Path], endings: Sequence[str], where: str, hint: str = ""
) -> list[Path]:
    found = sorted(_pictures(paths, endings), key=natural_order)
    if not found:
        raise FoveateError(f"no pictures in {where} (files ending in {' '.join(endings)}){hint}")
    return found


def _pictures(paths: list[Path], endings: Sequence[str]) -> list[Path]:
    return [
        path
        for path in paths
        if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()
    ]


def natural_order(path: Location) -> tuple[list[str | int], str]:
    """What to sort by, so that ``frame2`` comes before ``frame10``."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], str(path)


def _require_readable(header: Header, max_pixels: int, file_size: int) -> None:
    """Refuse what would be decoded wrongly, in part, or at the cost of all memory."""
    if header.width * header.height > max_pixels:
        raise BrokenPictureError(
            f"says it has {header.width} x {header.height} pixels, more than the "
            f"{max_pixels:,} allowed; cut it into smaller files"
        )
    # OpenCV reads two bands of 16 bits as black, without an error.
    if header.bands > 4 or (header.bands == 2 and header.bits > 8):
        raise BrokenPictureError(
            f"has {header.bands} bands of {header.bits} bits; keep 1, 3 or 4 of them"
        )
    if header.end > file_size:
        raise BrokenPictureError("was cut short: its pixels should go on after the end of the file")


def _decode(data: bytes, header: Header, name: str, reading: Reading) -> UInt8Image:
    if header.format == "JPEG":
        require_jpeg_end(data)
    elif header.format == "PNG":
        data = essential_png(data)
    try:
        if header.format == "JPEG":
            pixels = _decode_jpeg(data, header, name)
        else:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise BrokenPictureError(
            f"cannot be decoded: a damaged {header.format}, or of a rare kind or size"
        )
    if header.format != "JPEG":
        pixels = _rgb_first(pixels, reading)
    rgb = as_image(pixels, name, reading)
    if header.inverted and header.bits > 8:
        rgb = 255 - rgb
    # OpenCV turns TIFFs itself.
    return rgb if header.format == "TIFF" else _upright(rgb, header.orientation)


def _decode_jpeg(data: bytes, header: Header, name: str) -> NDArray[Any] | None:
    """Red, green and blue of a JPEG, of any kind: they are all of 8 bits.

    Into memory that was used before: OpenCV's own takes up to three times as long. Only its
    function for files takes any.
    """
    how = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    memory = picture_memory(header.height, header.width)
    pixels = cv2.imread(name, memory, how)
    if pixels is None:  # a name that it cannot open, such as one that is not ASCII on Windows
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    return pixels


def _rgb_first(pixels: NDArray[Any], reading: Reading) -> NDArray[Any]:
    """OpenCV's order to red, green, blue; alpha is kept only where bands are asked for."""
    if pixels.ndim == 2:
        return pixels
    order = [2, 1, 0, 3][: pixels.shape[2] if reading.bands else 3]
    if pixels.dtype != np.uint8 or len(order) == 4:
        return pixels[..., order]
    how = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB
    return np.asarray(cv2.cvtColor(pixels, how))


def _upright(image: UInt8Image, orientation: int) -> UInt8Image:
    """Undo an Exif orientation: 5 to 8 swap the sides, the others mirror or turn."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
