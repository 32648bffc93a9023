"""Pictures in: files and arrays become ``(H, W, 3)`` uint8 RGB, by the rules stated here.

Read are JPEG, PNG, WebP, BMP and TIFF, told by their content and not by their name; of several
pages or frames the first.

- *Grey* pictures get three equal channels; palettes are looked up.
- *Alpha*, and any fourth band, is dropped: what lies under it is what most detectors were
  trained on. (An 8-bit TIFF with unassociated alpha comes darkened by it: libtiff does so.)
- *Exif orientation* is applied, so that boxes refer to the picture as it is viewed.
- *Other value types* are scaled linearly to 0-255 from a range that holds every value, so that
  nothing is clipped and a 12-bit picture in a 16-bit file is not black. The range is: 0-1 for
  booleans and for floats up to 1 (0 to the maximum for floats that overshoot 1 but not 2);
  otherwise 0 to the largest number of the fewest among 8, 10, 12, 14 and 16 bits that reach
  the picture's maximum; and, with negative or still larger values, the picture's own minimum
  to maximum.
"""

from __future__ import annotations

import glob
import os
import re
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
from foveate.errors import FoveateError
from foveate.structures import Tile, UInt8Image

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""File endings that a folder is searched for, in any case."""

MAX_PIXELS = 1_000_000_000
"""Pictures with more pixels than this are refused before decoding."""

_BLOCK = 1 << 20  # values scaled at once

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


def open_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> ArraySource:
    """Load a picture as a source of tiles; arguments and errors as `load_image`."""
    return ArraySource(Path(path).name, load_image(path, max_pixels))


def load_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> UInt8Image:
    """Load a picture by the rules in the module's docstring.

    Args:
        path: JPEG, PNG, WebP, BMP or TIFF.
        max_pixels: Larger pictures are refused from their header, before decoding. OpenCV's own
            limits, 2**30 pixels and 2**20 a side, stay whatever is asked.

    Returns:
        ``(H, W, 3)`` uint8 RGB, contiguous.

    Raises:
        FoveateError: If the file is missing, unreadable, empty, no picture, cut short, damaged,
            or too large.
    """
    path = Path(path)
    with open_file(path) as file:
        try:
            header = read_header(file)
            _require_readable(header, max_pixels, file.seek(0, os.SEEK_END))
            file.seek(0)
            return _decode(file.read(), header, str(path))
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


def as_image(array: Any, name: str = "array") -> UInt8Image:
    """Bring an array in memory to ``(H, W, 3)`` uint8 by the rules in the module's docstring.

    Args:
        array: ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA; booleans,
            whole numbers or floats. Anything that numpy can view as such.
        name: What messages call it.

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
    bands = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or bands not in (1, 3, 4):
        hint = "; put the channels last" if values.ndim == 3 and values.shape[0] in (1, 3) else ""
        raise FoveateError(
            f"{name}: expected a picture of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
            f"got {values.shape}{hint}"
        )
    if values.size == 0:
        raise FoveateError(f"{name}: a picture has at least one pixel, got shape {values.shape}")
    pixels = _to_uint8(values[..., :3] if bands == 4 else values, name)
    return pixels if bands >= 3 else np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)


def find_images(source: str | Path, nested: bool = False) -> list[Path]:
    """List the pictures that a file, a folder or a glob pattern means, in natural order.

    Natural order puts ``frame2`` before ``frame10``. A file is taken whatever its ending; from a
    folder or a pattern come files with one of `PICTURE_ENDINGS`, hidden ones left out.

    Args:
        source: A path, or a pattern such as ``photos/*.tif`` or ``photos/**/*.tif``.
        nested: Look into a folder's folders too.

    Raises:
        FoveateError: If nothing is there, saying what was looked for.
    """
    path = Path(source)
    if path.is_dir():
        return _sorted_pictures(
            _entries(path, nested),
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
    return _sorted_pictures(matches, f"what matches {source}")


def _entries(folder: Path, nested: bool) -> list[Path]:
    try:
        return [*(folder.rglob("*") if nested else folder.iterdir())]
    except OSError as error:
        raise FoveateError(f"folder {folder} cannot be read: {reason_of(error)}") from None


def _sorted_pictures(paths: list[Path], where: str, hint: str = "") -> list[Path]:
    found = sorted(_pictures(paths), key=_natural)
    if not found:
        endings = " ".join(PICTURE_ENDINGS)
        raise FoveateError(f"no pictures in {where} (files ending in {endings}){hint}")
    return found


def _pictures(paths: list[Path]) -> list[Path]:
    return [
        path
        for path in paths
        if path.suffix.lower() in PICTURE_ENDINGS
        and not path.name.startswith(".")
        and path.is_file()
    ]


def _natural(path: Path) -> tuple[list[str | int], str]:
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


def _decode(data: bytes, header: Header, name: str) -> UInt8Image:
    if header.format == "JPEG":
        require_jpeg_end(data)
    elif header.format == "PNG":
        data = essential_png(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise BrokenPictureError(
            f"cannot be decoded: a damaged {header.format}, or of a rare kind or size"
        )
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., :3]
    order = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    rgb = np.asarray(cv2.cvtColor(_to_uint8(pixels, name), order), np.uint8)
    if header.inverted and header.bits > 8:
        rgb = 255 - rgb
    # OpenCV turns TIFFs itself.
    return rgb if header.format == "TIFF" else _upright(rgb, header.orientation)


def _upright(image: UInt8Image, orientation: int) -> UInt8Image:
    """Undo an Exif orientation: 5 to 8 swap the sides, the others mirror or turn."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def _to_uint8(values: NDArray[Any], name: str) -> UInt8Image:
    """Scale any real values to 0-255; the same array if it is uint8."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    low, high = _value_range(values, name)
    scale = 255 / (high - low) if high > low else 0.0
    image = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK // values[0].size)
    for start in range(0, len(values), rows):  # by blocks: no float copy of a large picture
        block = values[start : start + rows].astype(np.float64)
        image[start : start + rows] = np.rint((block - low) * scale)
    return image


def _value_range(values: NDArray[Any], name: str) -> tuple[float, float]:
    """The range that becomes 0-255; the module's docstring states the rule."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise FoveateError(f"{name}: has values that are not finite; fill them in first")
    if low >= 0:
        if values.dtype.kind == "f" and high <= 2:
            return 0.0, max(1.0, high)
        for bits in (8, 10, 12, 14, 16):
            if high <= 2**bits - 1:
                return 0.0, 2.0**bits - 1
    return low, high
