"""Picture files made in memory: what encoders write, and what they would never write."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

FORMATS = (".jpg", ".png", ".webp", ".bmp", ".tif")
_BEST: dict[str, tuple[int, ...]] = {
    ".jpg": (
        *(cv2.IMWRITE_JPEG_QUALITY, 100),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ),
    ".webp": (cv2.IMWRITE_WEBP_QUALITY, 101),
}


def encode(ending: str, rgb: NDArray[Any], *settings: int) -> bytes:
    """Encode RGB (or grey, or RGBA) without loss where the format can."""
    settings = settings or _BEST.get(ending, ())
    swapped = rgb[..., [2, 1, 0, *range(3, rgb.shape[2])]] if rgb.ndim == 3 else rgb
    done, data = cv2.imencode(ending, np.ascontiguousarray(swapped), list(settings))
    assert done
    return bytes(data.tobytes())


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF block with nothing but an orientation."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def jpeg_with_exif(data: bytes, orientation: int, order: str = "<") -> bytes:
    body = b"Exif\0\0" + exif(orientation, order)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """Put a chunk right after the header."""
    return data[:33] + png_chunk(kind, body) + data[33:]


def png_bomb(width: int, height: int) -> bytes:
    """A header that promises any number of pixels, and almost no data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 10)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def webp_with_exif(data: bytes, width: int, height: int, orientation: int) -> bytes:
    """Wrap a simple WebP in the extended container."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    block = exif(orientation)
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0x08) + size + data[12:]
    body += b"EXIF" + struct.pack("<I", len(block)) + block
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(
    pixels: NDArray[Any],
    orientation: int = 1,
    order: Literal["<", ">"] = "<",
    big: bool = False,
    white_is_zero: bool = False,
) -> bytes:
    """An uncompressed TIFF or BigTIFF, one strip, its table *before* the pixels."""
    bands = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(order))).tobytes()
    height, width = pixels.shape[:2]
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    form, counter, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    tags = [
        (256, [width]),
        (257, [height]),
        (258, [pixels.dtype.itemsize * 8] * bands),
        (259, [1]),
        (262, [2 if bands >= 3 else 1 - white_is_zero]),
        (273, [0]),
        (274, [orientation]),
        (277, [bands]),
        (278, [height]),
        (279, [len(data)]),
        *([(338, [0] * (bands - (3 if bands >= 3 else 1)))] if bands in (2, 4, 5) else []),
        (339, [kind] * bands),
    ]
    mark = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head = mark + (struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8))
    width_of = struct.calcsize(form)
    after = len(head) + struct.calcsize(counter) + entry * len(tags) + width_of
    table, extra = struct.pack(order + counter, len(tags)), b""
    strip_at = after + sum(4 * len(v) for _, v in tags if 4 * len(v) > width_of)
    for tag, values in tags:
        values = [strip_at] if tag == 273 else values
        raw = struct.pack(f"{order}{len(values)}I", *values)
        if len(raw) > width_of:
            raw, extra = struct.pack(order + form, after + len(extra)), extra + raw
        table += struct.pack(order + "HH" + form, tag, 4, len(values)) + raw.ljust(width_of, b"\0")
    return head + table + struct.pack(order + form, 0) + extra + data
