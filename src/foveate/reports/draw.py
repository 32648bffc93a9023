"""Draw boxes on a copy of a picture so that an object of a few pixels stays visible.

The outline runs *outside* the object, thin and crisp, with a dark halo that keeps it apart from
any background. No text comes near small objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.evaluation import Match
from foveate.reports.palette import FALSE, FOUND, MISSED, Colour, class_colour
from foveate.reports.results import class_name
from foveate.structures import Annotations, Detections, FloatArray, UInt8Image

Corners = NDArray[np.float64]
Stroke = Callable[[UInt8Image, Corners, Colour, int], None]
"""Draws one outline ``(4,)`` xyxy in place, in a colour, so many pixels thick."""

_SHIFT = 4  # cv2 takes coordinates as integers of 1/16 pixel
_SMALL = 24.0  # drawn pixels; below it the outline keeps clear of the object
_LEAST = 9.0  # least side of an outline, drawn pixels
_LABEL_SIDE = 64.0  # drawn pixels; smaller objects get no text
_LEGEND_HEIGHT = 26
_HALO_STRENGTH = 0.7


def draw_detections(
    image: UInt8Image,
    detections: Detections,
    class_names: Sequence[str],
    *,
    colours: Sequence[Colour] | None = None,
    line: int = 1,
    scale: float = 1.0,
    labels: bool = True,
) -> UInt8Image:
    """A copy of the picture with an outline around every detection, coloured by class.

    Args:
        image: ``(H, W, 3)`` RGB or ``(H, W, 1)`` grey; never written to.
        detections: In the picture's pixels.
        class_names: In the order of the labels.
        colours: One a class; a colour-blind-safe palette by default.
        line: Thickness, drawn pixels.
        scale: Enlarges (or shrinks) the picture before drawing; 3 makes 5-pixel objects plain.
        labels: Write class and score above large objects, where that covers no other object.

    Returns:
        ``(round(H * scale), round(W * scale), 3)`` RGB.
    """
    canvas = _canvas(image, scale)
    outlines = _outlines(detections.boxes, scale, line, canvas.shape)
    labelled = detections.labels.tolist()
    chosen = [colours[i % len(colours)] if colours else class_colour(i) for i in labelled]
    _stroke_all(canvas, outlines, chosen, [_rectangle] * len(outlines), line)
    if labels:
        _write_labels(canvas, detections, class_names, outlines, chosen, scale)
    return canvas


def draw_trails(
    image: UInt8Image, trails: Sequence[tuple[int, FloatArray]], *, scale: float = 1.0
) -> UInt8Image:
    """A copy of the picture with a thin line along where each object was.

    Args:
        image: ``(H, W, 3)`` RGB; never written to.
        trails: For each object its label and its centres ``(P, 2)`` so far, picture pixels.
        scale: Of `image` to the picture whose pixels the centres are in.
    """
    canvas = image.copy()
    for label, centres in trails:
        points = np.round(centres.astype(np.float64) * scale * 2**_SHIFT).astype(np.int32)
        colour = class_colour(label)
        cv2.polylines(canvas, [points[:, None]], False, colour, 1, cv2.LINE_AA, _SHIFT)
    return canvas


def draw_match(
    image: UInt8Image,
    detections: Detections,
    annotations: Annotations,
    match: Match,
    *,
    line: int = 1,
    scale: float = 1.0,
    legend: bool = True,
) -> UInt8Image:
    """A copy of the picture that shows what was found, missed and false.

    Found detections are boxes, missed objects are rings, false detections are corner brackets;
    detections on ignore regions are not drawn.

    Args:
        image: ``(H, W, 3)`` RGB or ``(H, W, 1)`` grey; never written to.
        detections: In the picture's pixels.
        annotations: The labels.
        match: Of the two.
        line: Thickness, drawn pixels.
        scale: Enlarges (or shrinks) the picture before drawing.
        legend: Add a strip below the picture with the three counts.

    Returns:
        RGB at `scale`, taller than the picture by the legend.
    """
    canvas = _canvas(image, scale)
    groups: list[tuple[str, FloatArray, Colour, Stroke]] = [
        ("found", detections.boxes[match.found], FOUND, _rectangle),
        ("missed", annotations.boxes[match.missed], MISSED, _ring),
        ("false", detections.boxes[match.false], FALSE, _brackets),
    ]
    boxes = np.concatenate([group[1] for group in groups])
    colours = [colour for _, part, colour, _ in groups for _ in part]
    strokes = [stroke for _, part, _, stroke in groups for _ in part]
    _stroke_all(canvas, _outlines(boxes, scale, line, canvas.shape), colours, strokes, line)
    if not legend:
        return canvas
    items = [(f"{name} {len(part)}", colour, stroke) for name, part, colour, stroke in groups]
    strip = _legend(items, canvas.shape[1])
    return np.concatenate([canvas, strip])


def _canvas(image: UInt8Image, scale: float) -> UInt8Image:
    """A resized RGB copy."""
    rgb = np.repeat(image[..., :1], 3, axis=2) if image.shape[2] < 3 else image[..., :3].copy()
    if scale == 1:
        return rgb
    height, width = rgb.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _outlines(boxes: FloatArray, scale: float, line: int, shape: tuple[int, ...]) -> Corners:
    """Where the outlines run, ``(N, 4)``: the middle pixel of each line, so that it is crisp."""
    corners = boxes.astype(np.float64) * scale
    side = corners[:, 2:] - corners[:, :2]
    small = np.sqrt(np.maximum(side, 0).prod(axis=1)) < _SMALL
    gap = line / 2 + np.where(small, 2.0, 0.0)[:, None]
    grow = np.maximum(gap, (_LEAST - side) / 2)
    height, width = shape[:2]
    limit = np.array([width, height], np.float64) - 1 - line // 2
    low = np.maximum(np.floor(corners[:, :2] - grow), line // 2)
    high = np.minimum(np.floor(corners[:, 2:] + grow), limit)
    return np.concatenate([np.minimum(low, limit), np.maximum(high, 0)], axis=1)


def _stroke_all(
    canvas: UInt8Image,
    outlines: Corners,
    colours: Sequence[Colour],
    strokes: Sequence[Stroke],
    line: int,
) -> None:
    """All halos first, so that none covers a neighbour's line; a halo darkens what it covers."""
    halo = np.zeros(canvas.shape[:2], np.uint8)
    for outline, stroke in zip(outlines, strokes, strict=True):
        stroke(halo, outline, (255, 255, 255), line + 2)
    covered = halo > 0
    shade = 1 - _HALO_STRENGTH * halo[covered, None].astype(np.float32) / 255
    canvas[covered] = (canvas[covered] * shade).astype(np.uint8)
    for outline, colour, stroke in zip(outlines, colours, strokes, strict=True):
        stroke(canvas, outline, colour, line)


def _fixed(values: Corners) -> list[int]:
    return [round(value * 2**_SHIFT) for value in values.tolist()]


def _rectangle(canvas: UInt8Image, outline: Corners, colour: Colour, thickness: int) -> None:
    x1, y1, x2, y2 = _fixed(outline)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thickness, cv2.LINE_8, _SHIFT)


def _ring(canvas: UInt8Image, outline: Corners, colour: Colour, thickness: int) -> None:
    x, y, half_w, half_h = _fixed(
        np.concatenate([outline[:2] + outline[2:], np.abs(outline[2:] - outline[:2]) * 1.15]) / 2
    )
    cv2.ellipse(canvas, (x, y), (half_w, half_h), 0, 0, 360, colour, thickness, cv2.LINE_AA, _SHIFT)


def _brackets(canvas: UInt8Image, outline: Corners, colour: Colour, thickness: int) -> None:
    """The four corners only."""
    x1, y1, x2, y2 = outline.tolist()
    arm_x, arm_y = (x2 - x1) * 0.3, (y2 - y1) * 0.3
    for x, dx in ((x1, arm_x), (x2, -arm_x)):
        for y, dy in ((y1, arm_y), (y2, -arm_y)):
            points = [_fixed(np.array(p)) for p in ((x + dx, y), (x, y), (x, y + dy))]
            for start, end in pairwise(points):
                a, b = (start[0], start[1]), (end[0], end[1])
                cv2.line(canvas, a, b, colour, thickness, cv2.LINE_8, _SHIFT)


def _write_labels(
    canvas: UInt8Image,
    detections: Detections,
    class_names: Sequence[str],
    outlines: Corners,
    colours: Sequence[Colour],
    scale: float,
) -> None:
    side = (detections.boxes[:, 2:] - detections.boxes[:, :2]).min(axis=1) * scale
    for row in np.flatnonzero(side >= _LABEL_SIDE).tolist():
        name = class_name(class_names, int(detections.labels[row]))
        text = f"{name} {detections.scores[row]:.2f}"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
        x, bottom = int(outlines[row, 0]), int(outlines[row, 1]) - 2
        plate = np.array([x, bottom - height - 6, x + width + 6, bottom])
        if plate[1] < 0 or plate[2] > canvas.shape[1] or _covers(plate, outlines):
            continue
        cv2.rectangle(canvas, plate[:2].tolist(), plate[2:].tolist(), (10, 10, 10), cv2.FILLED)
        _text(canvas, text, (x + 3, bottom - 4), colours[row])


def _covers(plate: NDArray[np.int64], outlines: Corners) -> bool:
    apart = (outlines[:, :2] > plate[2:]).any(axis=1) | (outlines[:, 2:] < plate[:2]).any(axis=1)
    return not bool(apart.all())


def _text(canvas: UInt8Image, text: str, at: tuple[int, int], colour: Colour) -> None:
    # Hershey fonts are ASCII; another letter would print as a row of question marks.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)


def _legend(items: Sequence[tuple[str, Colour, Stroke]], width: int) -> UInt8Image:
    """A strip as wide as the picture; items that do not fit go to further rows."""
    places: list[tuple[int, int]] = []
    x, row = 8, 0
    for text, _, _ in items:
        (text_width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
        if x > 8 and x + 22 + text_width > width:
            x, row = 8, row + 1
        places.append((x, row * _LEGEND_HEIGHT))
        x += 22 + text_width + 20
    strip = np.full(((row + 1) * _LEGEND_HEIGHT, width, 3), 24, np.uint8)
    for (text, colour, stroke), (left, top) in zip(items, places, strict=True):
        stroke(strip, np.array([left, top + 7, left + 12, top + 19], np.float64), colour, 1)
        _text(strip, text, (left + 22, top + 17), (235, 235, 235))
    return strip
