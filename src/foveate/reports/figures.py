"""Pictures for the HTML page: one inlined JPEG or PNG under outlines drawn as SVG.

Outlines stay sharp and equally thin at any zoom, can be hidden, and cost some 30 bytes each.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.reports.palette import Colour, css
from foveate.structures import FloatArray, UInt8Image

Shape = Literal["box", "ring", "brackets"]
Region = tuple[int, int, int, int]
"""Part of a picture, xyxy whole pixels."""

MOST_OUTLINES = 2000
"""More would make a picture slow to show; the best are kept and the page says so."""

_CLEAR = 3.0  # shown pixels between a small object and its outline
_LEAST = 9.0  # least side of an outline, shown pixels
_LOSSLESS_SIDE = 160  # pixels; smaller crops are PNG, since JPEG would smear what they are to show
_LEAST_SIDE = 64  # pixels of an embedded picture, however few bytes it may have
LONGEST = 1600  # pixels of an embedded picture
_SHOWN_WIDTH, _SHOWN_HEIGHT = 960.0, 900.0  # most of a picture on the page, CSS pixels
_CROP_WIDTH = 230.0
_CROP_BYTES = 14_000


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Outlines of one colour and one shape.

    Attributes:
        boxes: ``(N, 4)`` xyxy pixels of the whole picture.
        colour: Of the line.
        shape: What it means is told by the shape as well as by the colour.
        scores: ``(N,)``; with them the page can hide outlines below a score.
    """

    boxes: FloatArray
    colour: Colour
    shape: Shape = "box"
    scores: FloatArray | None = None


def rgb(image: UInt8Image) -> UInt8Image:
    """Three channels: grey is repeated, further bands are left out."""
    return np.repeat(image[..., :1], 3, axis=2) if image.shape[2] < 3 else image[..., :3]


def encode_picture(image: UInt8Image, most_bytes: int) -> str:
    """A data URI of at most about `most_bytes` before base64, no side longer than 1600 pixels.

    Args:
        image: ``(H, W, C)``.
        most_bytes: Quality, then size, fall until the file is no larger.
    """
    if max(image.shape[:2]) <= _LOSSLESS_SIDE:
        data = _encode(image, ".png")
        if len(data) <= most_bytes:
            return _uri("png", data)
    scale = min(1.0, LONGEST / max(image.shape[:2]))
    while True:
        shown = resized(image, scale)
        for quality in (88, 76, 64):
            data = _encode(shown, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(data) <= most_bytes:
                return _uri("jpeg", data)
        if max(shown.shape[:2]) <= _LEAST_SIDE:
            return _uri("jpeg", data)
        scale *= 0.8


def resized(image: UInt8Image, scale: float) -> UInt8Image:
    """Shrunk or enlarged; the same array at scale 1."""
    if scale == 1:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    shape = (size[1], size[0], image.shape[2])
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8).reshape(shape)


def picture_svg(
    data_uri: str,
    size: tuple[int, int],
    groups: Sequence[str],
    label: str,
    kind: str = "",
) -> str:
    """A picture and what lies on it.

    Args:
        data_uri: From `encode_picture`.
        size: Width and height that the groups' coordinates refer to.
        groups: SVG from `outlines` or `marks`.
        label: What the picture shows, for people who cannot see it.
        kind: Further CSS classes.
    """
    width, height = size
    return (
        f'<svg class="zoom {kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}"><image href="{data_uri}" width="{width}" '
        f'height="{height}" preserveAspectRatio="none"/>{"".join(groups)}</svg>'
    )


def outlines(layers: Sequence[Layer], region: Region, shown_width: float, attributes: str) -> str:
    """SVG group with the outlines of all layers that touch a region, in its coordinates.

    Args:
        layers: What to draw.
        region: Part of the picture that is shown.
        shown_width: Width at which the page shows it, pixels; keeps small outlines legible.
        attributes: Of the group.
    """
    unit = (region[2] - region[0]) / shown_width  # picture pixels a shown pixel
    parts = []
    for layer in layers:
        boxes, scores = _within(layer, region)
        # Steps of .05, so that a slider has one group to hide, not thousands.
        steps = np.zeros(len(boxes)) if scores is None else np.floor(scores * 20 + 1e-6) / 20
        for step in np.unique(steps).tolist():
            path = _path(boxes[steps == step], layer.shape, unit)
            score = "" if scores is None else f' data-score="{step:.2f}"'
            name = content_id(path)
            parts.append(
                f'<g{score} data-count="{int((steps == step).sum())}"><defs><path id="{name}" '
                f'd="{path}"/></defs><use href="#{name}" class="halo"/><use href="#{name}" '
                f'stroke="{css(layer.colour)}"/></g>'
            )
    return f"<g {attributes}>{''.join(parts)}</g>"


def crop_svg(
    image: UInt8Image,
    layers: Sequence[Layer],
    region: Region,
    label: str,
    scale: float = 1.0,
) -> str:
    """A part of a picture, large, its pixels as they are.

    Args:
        image: The part, ``(H, W, C)``, all of its pixels.
        layers: Outlines on the whole picture.
        region: Where the part lies in it.
        label: What it shows.
        scale: Below 1, the part as a network sees it that is shown the picture at this scale.
    """
    x1, y1, x2, y2 = region
    uri = encode_picture(resized(image, min(scale, 1.0)), _CROP_BYTES)
    group = outlines(layers, region, _CROP_WIDTH, 'class="boxes"')
    return picture_svg(uri, (x2 - x1, y2 - y1), [group], label, "pixels")


def content_id(text: str) -> str:
    """An element id that depends on the content alone, so that equal input gives equal pages."""
    return "i" + hashlib.sha256(text.encode()).hexdigest()[:12]


def shown_width(size: tuple[int, int]) -> float:
    """Width, CSS pixels, at which the page shows a picture: small ones enlarged up to 3 times."""
    return max(1.0, min(_SHOWN_WIDTH, 3.0 * size[0], _SHOWN_HEIGHT * size[0] / size[1]))


def key_box(colour: str, shape: Shape = "box") -> str:
    """A small sample of an outline for a key."""
    path = {"box": _box, "ring": _ring, "brackets": _brackets}[shape](3, 3, 10, 10)
    return f'<svg viewBox="0 0 16 16" aria-hidden="true"><path d="{path}" stroke="{colour}"/></svg>'


def marks(regions: Sequence[Region], shown_unit: float) -> str:
    """SVG group with a numbered frame around each region, in picture coordinates.

    Args:
        regions: To mark, numbered from 1.
        shown_unit: Picture pixels a shown pixel.
    """
    size = 13 * shown_unit
    parts = []
    for number, (x1, y1, x2, y2) in enumerate(regions, start=1):
        parts.append(
            f'<rect x="{x1}" y="{y1}" width="{x2 - x1}" height="{y2 - y1}"/>'
            f'<text x="{x1 + size * 0.3:.1f}" y="{y1 + size:.1f}" '
            f'font-size="{size:.1f}">{number}</text>'
        )
    return f'<g class="marks">{"".join(parts)}</g>'


def choose_regions(boxes: FloatArray, size: tuple[int, int], most: int) -> list[Region]:
    """Squares that show many of the given boxes large, fullest first, hardly overlapping.

    Found by counting in a grid: near-linear, and good enough to look at.

    Args:
        boxes: ``(N, 4)`` objects worth a close look.
        size: Width and height of the picture.
        most: How many at most; none where the picture is itself hardly larger than one.
    """
    width, height = size
    if len(boxes) == 0:
        return []
    sides = np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1))
    side = int(np.clip(np.median(sides) * 9, 56, 400))
    if side * 2 > max(width, height):
        return []
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    cells = np.floor(centres / side).astype(np.int64)
    _, cell_of, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    regions: list[Region] = []
    for cell in np.argsort(-counts, kind="stable").tolist():
        middle = centres[cell_of.reshape(-1) == cell].mean(axis=0)
        x, y = np.round(middle - side / 2).astype(int).tolist()
        x, y = max(0, min(x, width - side)), max(0, min(y, height - side))
        if all(max(abs(x - a), abs(y - b)) > side * 0.7 for a, b, _, _ in regions):
            regions.append((x, y, min(x + side, width), min(y + side, height)))
        if len(regions) == most:
            break
    return regions


def _within(layer: Layer, region: Region) -> tuple[NDArray[np.float64], FloatArray | None]:
    """The layer's boxes that touch the region, in its coordinates."""
    corner = np.array(region, np.float32)
    touch = (layer.boxes[:, :2] < corner[2:]).all(axis=1)
    touch &= (layer.boxes[:, 2:] > corner[:2]).all(axis=1)
    boxes = layer.boxes[touch].astype(np.float64) - np.tile(corner[:2], 2)
    return boxes, None if layer.scores is None else layer.scores[touch]


def _path(boxes: NDArray[np.float64], shape: Shape, unit: float) -> str:
    """SVG path data; outlines keep clear of small objects."""
    side = boxes[:, 2:] - boxes[:, :2]
    small = side.min(axis=1, keepdims=True) < 24 * unit
    grow = np.maximum(np.where(small, _CLEAR, 1.0) * unit, (_LEAST * unit - side) / 2)
    if shape == "ring":
        grow = grow + side * 0.08
    # A fifth of a shown pixel is near enough, and shorter numbers make a smaller page.
    digits = 0 if unit > 1.5 else 1
    numbers = np.concatenate([boxes[:, :2] - grow, side + 2 * grow], axis=1).round(digits)
    draw = {"box": _box, "ring": _ring, "brackets": _brackets}[shape]
    return "".join(draw(*row) for row in numbers.tolist())


def _box(x: float, y: float, w: float, h: float) -> str:
    return f"M{x:g} {y:g}h{w:g}v{h:g}h{-w:g}z"


def _ring(x: float, y: float, w: float, h: float) -> str:
    arc = f"a{w / 2:g} {h / 2:g} 0 1 0"
    return f"M{x:g} {y + h / 2:g}{arc} {w:g} 0{arc} {-w:g} 0"


def _brackets(x: float, y: float, w: float, h: float) -> str:
    a, b = round(w * 0.3, 1), round(h * 0.3, 1)
    return (
        f"M{x:g} {y + b:g}v{-b:g}h{a:g}M{x + w - a:g} {y:g}h{a:g}v{b:g}"
        f"M{x + w:g} {y + h - b:g}v{b:g}h{-a:g}M{x + a:g} {y + h:g}h{-a:g}v{-b:g}"
    )


def _encode(image: UInt8Image, ending: str, options: Sequence[int] = ()) -> bytes:
    _, data = cv2.imencode(ending, np.ascontiguousarray(rgb(image)[..., ::-1]), options)
    return data.tobytes()


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
