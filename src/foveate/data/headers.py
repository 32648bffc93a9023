"""What a picture file says of itself before its pixels are decoded.

Reading the header first keeps three promises that a decoder alone does not: a decompression bomb
is refused before memory is spent on it, a file that was cut short is refused instead of being
shown half grey, and the size of a picture is known without decoding it. The layouts follow the
published formats: JPEG (ITU T.81), PNG (third edition), WebP container (RFC 9649), BMP, TIFF 6.0
and BigTIFF, Exif 2.32.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO


class BrokenPictureError(ValueError):
    """The bytes are no readable picture; the message says why, without the file's name."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a picture say.

    Attributes:
        format: "JPEG", "PNG", "WebP", "BMP" or "TIFF".
        width: Pixels, as stored.
        height: Pixels, as stored.
        orientation: Exif orientation, 1 to 8; 1 is upright.
        bands: Values a pixel, 0 where the format needs no check.
        bits: Bits a value, 0 where the format needs no check.
        inverted: Whether 0 is white (TIFF), which the decoder minds only up to 8 bits.
        end: Byte at which the pixels end, 0 where it is not in the header.
        georeferenced: Whether it says where on the ground it lies (GeoTIFF).
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    bands: int = 0
    bits: int = 0
    inverted: bool = False
    end: int = 0
    georeferenced: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels after the Exif rotation."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


def read_header(file: BinaryIO) -> Header:
    """Recognise a picture by its first bytes and read its size.

    Args:
        file: Opened for reading, seekable.

    Raises:
        BrokenPictureError: If it is empty, no picture, of a kind not read here, or broken.
    """
    start = _bytes_at(file, 0, 16, whole=False)
    if not start:
        raise BrokenPictureError("is empty (0 bytes)")
    for magic, reader in _READERS.items():
        if magic.match(start):
            header = reader(file)
            if header.width < 1 or header.height < 1:
                raise BrokenPictureError(f"has no pixels ({header.width} x {header.height})")
            return header
    for magic, what in _OTHERS.items():
        if magic.match(start):
            raise BrokenPictureError(f"is {what}")
    raise BrokenPictureError(NO_PICTURE)


def is_vrt(file: BinaryIO) -> bool:
    """Whether a file is a virtual raster, whatever its name."""
    return _VRT.match(_bytes_at(file, 0, 4096, whole=False)) is not None


def require_jpeg_end(data: bytes) -> None:
    """Check that the compressed data runs up to the end-of-image marker.

    Decoders fill what is missing with grey and give no error.

    Raises:
        BrokenPictureError: If the file was cut short.
    """
    position = 2
    while True:
        marker = _JPEG_MARKER.search(data, position)
        if marker is None:
            raise BrokenPictureError("was cut short: the JPEG ends before its picture does")
        if data[marker.start() + 1] == 0xD9:
            return
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        position = marker.end() + length


def essential_png(data: bytes) -> bytes:
    """The chunks that hold the picture, checked; text, profiles and animation left out.

    The decoder prints its complaints about the others straight to stderr, and their checksums
    and sizes are nothing that a detector depends on.

    Raises:
        BrokenPictureError: If the file was cut short or a checksum is wrong.
    """
    view, position, kept = memoryview(data), 8, [data[:8]]
    while True:
        length, kind = struct.unpack(">I4s", _bytes_of(data, position, 8))
        chunk = view[position : position + length + 12]
        if len(chunk) < length + 12:
            raise BrokenPictureError("was cut short: the PNG ends before its picture does")
        if kind in _PNG_KEPT:
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                raise BrokenPictureError("is damaged: a PNG checksum is wrong")
            kept.append(bytes(chunk))
        if kind == b"IEND":
            return b"".join(kept)
        position += length + 12


NO_PICTURE = "is not a picture (JPEG, PNG, WebP, BMP or TIFF)"
_MOST_SEGMENTS = 10_000
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
# Any marker but a stuffed zero, a restart, a fill byte and the two that stand alone (TEM, SOI).
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
_JPEG_SIZE = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = {0xFF, 0x01, *range(0xD0, 0xD9)}
_BMP_HEADERS = {40, 52, 56, 64, 108, 124}
_GEO_KEYS = 34735
_TIFF_WANTED = {256, 257, 258, 262, 273, 274, 277, 279, 324, 325, _GEO_KEYS}
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def _bytes_at(file: BinaryIO, position: int, count: int, whole: bool = True) -> bytes:
    file.seek(position)
    data = file.read(count)
    if whole and len(data) < count:
        raise BrokenPictureError("was cut short inside its header")
    return data


def _bytes_of(data: bytes, position: int, count: int) -> bytes:
    part = data[position : position + count]
    if len(part) < count:
        raise BrokenPictureError("was cut short")
    return part


def _read_jpeg(file: BinaryIO) -> Header:
    position, orientation = 2, 1
    for _ in range(_MOST_SEGMENTS):
        lead, marker = _bytes_at(file, position, 2)
        if lead != 0xFF or marker in (0x00, 0xD9, 0xDA):
            break
        if marker in _JPEG_ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        length = max(2, int.from_bytes(_bytes_at(file, position + 2, 2), "big"))
        if marker in _JPEG_SIZE:
            height, width = struct.unpack(">HH", _bytes_at(file, position + 5, 4))
            return Header("JPEG", width, height, orientation)
        if marker == 0xE1:
            orientation = _exif_orientation(_bytes_at(file, position + 4, length - 2), orientation)
        position += 2 + length
    raise BrokenPictureError("is damaged: a JPEG without a size")


def _read_png(file: BinaryIO) -> Header:
    width, height = struct.unpack(">II", _bytes_at(file, 16, 8))
    position, orientation = 8, 1
    while len(head := _bytes_at(file, position, 8, whole=False)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            exif = _bytes_at(file, position + 8, length)
            orientation = _exif_orientation(b"Exif\0\0" + exif, orientation)
        position += length + 12
    return Header("PNG", width, height, orientation)


def _read_webp(file: BinaryIO) -> Header:
    kind = _bytes_at(file, 12, 4)
    body = _bytes_at(file, 20, 10)
    if kind == b"VP8X":
        width = int.from_bytes(body[4:7], "little") + 1
        height = int.from_bytes(body[7:10], "little") + 1
        return Header("WebP", width, height, _webp_orientation(file))
    if kind == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        return Header("WebP", (packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:10])
        return Header("WebP", width & 0x3FFF, height & 0x3FFF)
    raise BrokenPictureError("is damaged: a WebP without a picture")


def _webp_orientation(file: BinaryIO) -> int:
    position = 12
    while len(head := _bytes_at(file, position, 8, whole=False)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF":
            exif = _bytes_at(file, position + 8, length, whole=False)
            return _exif_orientation(b"Exif\0\0" + exif.removeprefix(b"Exif\0\0"), 1)
        position += 8 + length + length % 2
    return 1


def _read_bmp(file: BinaryIO) -> Header:
    header_size = int.from_bytes(_bytes_at(file, 14, 4), "little")
    if header_size == 12:
        width, height = struct.unpack("<HH", _bytes_at(file, 18, 4))
    elif header_size in _BMP_HEADERS:
        width, height = struct.unpack("<ii", _bytes_at(file, 18, 8))
    else:  # text that begins with "BM"
        raise BrokenPictureError(NO_PICTURE)
    return Header("BMP", width, abs(height))


def _exif_orientation(segment: bytes, otherwise: int) -> int:
    """Orientation 1 to 8 of an Exif segment; `otherwise` if it says nothing sensible."""
    if not segment.startswith(b"Exif\0\0"):
        return otherwise
    try:
        tags = _tiff_tags(io.BytesIO(segment[6:]))
    except BrokenPictureError:
        return otherwise
    return _orientation(tags, otherwise)


def _orientation(tags: dict[int, tuple[int, ...]], otherwise: int) -> int:
    orientation = tags.get(274, (otherwise,))[0]
    return orientation if 1 <= orientation <= 8 else otherwise


def _read_tiff(file: BinaryIO) -> Header:
    tags = _tiff_tags(file)
    if 256 not in tags or 257 not in tags:
        raise BrokenPictureError("is damaged: a TIFF without a size")
    starts = tags.get(273) or tags.get(324) or ()
    lengths = tags.get(279) or tags.get(325) or ()
    return Header(
        "TIFF",
        tags[256][0],
        tags[257][0],
        _orientation(tags, 1),
        bands=tags.get(277, (1,))[0],
        bits=tags.get(258, (1,))[0],
        inverted=tags.get(262) == (0,),
        end=max(
            (start + length for start, length in zip(starts, lengths, strict=False)), default=0
        ),
        georeferenced=_GEO_KEYS in tags,
    )


def _tiff_tags(file: BinaryIO) -> dict[int, tuple[int, ...]]:
    """The wanted whole-number tags of the first picture of a TIFF or BigTIFF."""
    order = "<" if _bytes_at(file, 0, 2) == b"II" else ">"
    big = _number(order + "H", _bytes_at(file, 2, 2)) == 43
    pointer, counter, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    width = struct.calcsize(pointer)
    start = _number(order + pointer, _bytes_at(file, 8 if big else 4, width))
    first = start + struct.calcsize(counter)
    count = _number(order + counter, _bytes_at(file, start, first - start))
    file_size = file.seek(0, io.SEEK_END)
    table = _bytes_at(file, first, min(count * entry, file_size))
    tags: dict[int, tuple[int, ...]] = {}
    for position in range(0, len(table), entry):
        tag, kind = struct.unpack_from(order + "HH", table, position)
        number = _number(order + pointer, table, position + 4)
        length = number * struct.calcsize(_TIFF_TYPES.get(kind, ""))
        if tag not in _TIFF_WANTED or not 0 < length <= file_size:
            continue
        value = table[position + 4 + width : position + 4 + width + length]
        if length > width:
            value = _bytes_at(file, _number(order + pointer, value), length)
        tags[tag] = struct.unpack(f"{order}{number}{_TIFF_TYPES[kind]}", value)
    return tags


def _number(form: str, data: bytes, position: int = 0) -> int:
    return int(struct.unpack_from(form, data, position)[0])


_READERS: dict[re.Pattern[bytes], Callable[[BinaryIO], Header]] = {
    re.compile(rb"\xff\xd8\xff"): _read_jpeg,
    re.compile(rb"\x89PNG\r\n\x1a\n"): _read_png,
    re.compile(rb"RIFF....WEBP", re.DOTALL): _read_webp,
    re.compile(rb"BM"): _read_bmp,
    re.compile(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"): _read_tiff,
}
RASTER_KINDS: dict[re.Pattern[bytes], str] = {
    re.compile(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"): "GTiff",
    re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"): "JP2OpenJPEG",
    re.compile(rb"\xff\xd8\xff"): "JPEG",
    re.compile(rb"\x89PNG\r\n\x1a\n"): "PNG",
}
"""The first bytes of what GDAL may open, and the driver that does."""
_VRT = re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*\?>)?\s*(<!--.*?-->\s*)*<VRTDataset", re.DOTALL)
_OTHERS = {
    re.compile(rb"....ftyp(hei|mif|avif)", re.DOTALL): "HEIC or AVIF; convert it to PNG or JPEG",
    re.compile(rb"....ftyp|RIFF....AVI |\x1aE\xdf\xa3", re.DOTALL): "a video, not a picture",
    re.compile(rb"GIF8"): "a GIF; convert it to PNG or JPEG",
    re.compile(
        rb"\0\0\0\x0cjP"
    ): "JPEG 2000; foveate detect reads it with: pip install 'foveate[raster]'",
    re.compile(rb"%PDF"): "a PDF, not a picture",
}
