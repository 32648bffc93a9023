"""Whether two pictures are overlapping or adjoining pieces of one, told from their pixels.

A strip at the border of one is looked for in all of the other at full size. Where it is found,
the detail of all that the two then share must agree too. Pieces without overlap are told by the
seam: what runs along one side of it runs along the other, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foveate.structures import UInt8Image

LEFT, TOP, RIGHT, BOTTOM = range(4)

SAME_STRIP = 0.85
"""Correlation from which a strip may have been found; plain ones are found by chance."""
SAME_DETAIL = 0.8
"""Correlation of the detail of what two tiles share, which decides.

Measured on tiles cut from aerial pictures and saved as JPEG of quality 60 and 90 it is .96 and
more; where strips of unrelated pictures were found by chance, .67 at most (dark microscopy).
"""
SAME_SEAM = 0.5
"""Correlation of the steps along a seam. Measured in the same way, nine in ten seams have more
than .47, and of 4,000 pairs of unrelated pictures the likest .55."""

_THICK = 24  # pixels
_LONG = 256
_LEAST_SHARED = 32  # pixels: less is hardly more than the strip itself
_LEAST_SHIFT = 0.04  # of a side; below, the pictures show the same view
_PLAIN = 2.0  # grey levels
_SHORTEST_SEAM = 64


def find_overlap(
    a: UInt8Image, b: UInt8Image, sides: Sequence[int] = (LEFT, TOP, RIGHT, BOTTOM)
) -> tuple[int, int] | None:
    """Where b lies in the coordinates of a, if the two overlap.

    Args:
        a: ``(H, W)`` grey, at full size.
        b: ``(H, W)`` grey, of the same scale.
        sides: Borders of a whose strips are looked for in b.

    Returns:
        Left and top of b, pixels; None if nothing says that they overlap, or if they show the
        same view altogether.
    """
    for side in sides:
        x, y, strip = _strip(a, side)
        if any(s > limit for s, limit in zip(strip.shape, b.shape, strict=True)):
            continue
        if strip.std() < _PLAIN:
            continue
        scores = cv2.matchTemplate(b, strip, cv2.TM_CCOEFF_NORMED)
        _, best, _, (found_x, found_y) = cv2.minMaxLoc(scores)
        left, top = x - found_x, y - found_y
        moved = max(abs(left) / a.shape[1], abs(top) / a.shape[0])
        if best >= SAME_STRIP and moved >= _LEAST_SHIFT and _shared_agrees(a, b, left, top):
            return left, top
    return None


def joins_at_seam(a: UInt8Image, b: UInt8Image, side: int) -> bool:
    """Whether b continues a beyond one of a's sides, without overlap.

    Args:
        a: ``(H, W)`` grey.
        b: ``(H, W)`` grey; the side that meets a must be as long as a's.
        side: Of a.
    """
    lines = {
        LEFT: (a[:, 0], b[:, -1]),
        TOP: (a[0], b[-1]),
        RIGHT: (a[:, -1], b[:, 0]),
        BOTTOM: (a[-1], b[0]),
    }[side]
    if len(lines[0]) != len(lines[1]) or len(lines[0]) < _SHORTEST_SEAM:
        return False
    ours, theirs = _steps(lines[0]), _steps(lines[1])
    if min(ours.std(), theirs.std()) < _PLAIN:
        return False
    return _correlation(ours, theirs) >= SAME_SEAM


def _steps(line: UInt8Image) -> NDArray[np.float64]:
    """From pixel to pixel, smoothed: any two skies brighten in the same direction."""
    return cut_spots(np.convolve(np.diff(line.astype(np.float64)), np.full(3, 1 / 3), "valid"))


def _strip(picture: UInt8Image, side: int) -> tuple[int, int, UInt8Image]:
    """Left, top and pixels of the middle of a border."""
    height, width = picture.shape
    along = height if side in (LEFT, RIGHT) else width
    long = min(along, max(_THICK, min(along // 2, _LONG)))
    start = (along - long) // 2
    thick = min(_THICK, height, width)
    x = {LEFT: 0, RIGHT: width - thick}.get(side, start)
    y = {TOP: 0, BOTTOM: height - thick}.get(side, start)
    across, down = (thick, long) if side in (LEFT, RIGHT) else (long, thick)
    return x, y, picture[y : y + down, x : x + across]


def _shared_agrees(a: UInt8Image, b: UInt8Image, left: int, top: int) -> bool:
    """Whether all that both show agrees, if b lies at ``(left, top)`` in a."""
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(a.shape[1], left + b.shape[1]), min(a.shape[0], top + b.shape[0])
    ours, theirs = a[y1:y2, x1:x2], b[y1 - top : y2 - top, x1 - left : x2 - left]
    if min(ours.shape) < _LEAST_SHARED:
        return False
    return _correlation(_detail(ours), _detail(theirs)) >= SAME_DETAIL


def _detail(picture: UInt8Image) -> NDArray[Any]:
    """Coarser than noise, finer than light and shade."""
    fine = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    return cut_spots(fine - cv2.GaussianBlur(fine, (0, 0), 4.0))


def cut_spots(values: NDArray[Any]) -> NDArray[Any]:
    """Cut what stands out: one bright spot on an even ground must not decide a comparison.

    Args:
        values: Of any shape, around 0.

    Returns:
        The same, cut at twice `usual_size`.
    """
    most = 2 * usual_size(values)
    cut: NDArray[Any] = np.clip(values, -most, most)
    return cut


def usual_size(values: NDArray[Any]) -> float:
    """The standard deviation, were all like the four fifths nearest to 0 (normal)."""
    return float(np.quantile(np.abs(values), 0.8)) / 1.2816


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0
