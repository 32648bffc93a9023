"""A bar chart of object sizes as SVG, themed by the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from foveate.reports.charts.frame import Tone, key_html
from foveate.structures import FloatArray

_EDGES = (0, 4, 8, 16, 32, 64, 128, np.inf)
_WIDTH, _HEIGHT, _TOP, _BOTTOM = 290.0, 124.0, 14.0, 18.0


@dataclass(frozen=True, slots=True, eq=False)
class SizeBars:
    """One series of the chart.

    Attributes:
        name: For the key.
        boxes: ``(N, 4)`` xyxy pixels; counted by side, √area.
        tone: Colour of the bars: the thing itself, another, or a quiet reference.
    """

    name: str
    boxes: FloatArray
    tone: Tone = "b1"


def size_counts(boxes: FloatArray) -> list[int]:
    """Boxes with a side below 4, 8, 16, 32, 64, 128 pixels, and the rest."""
    side = np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1))
    counts: list[int] = np.histogram(side, _EDGES)[0].tolist()
    return counts


def size_chart(series: Sequence[SizeBars]) -> str:
    """Bars side by side for each size, with a key where there is more than one series."""
    counts = [size_counts(one.boxes) for one in series]
    most = max(1, *(max(row) for row in counts))
    slot = _WIDTH / (len(_EDGES) - 1)
    bar = slot * 0.8 / len(series)
    parts = []
    for place in range(len(_EDGES) - 1):
        name = _name(place)
        left = place * slot
        parts.append(f'<text x="{left + slot / 2:.1f}" y="{_HEIGHT - 4}">{name}</text>')
        for row, (one, values) in enumerate(zip(series, counts, strict=True)):
            x = left + slot * 0.1 + row * bar
            parts.append(_bar(x, bar, values[place], most, one, name, len(series) == 1))
    label = "; ".join(f"{one.name}: {values}" for one, values in zip(series, counts, strict=True))
    key = key_html([(one.tone, one.name) for one in series]) if len(series) > 1 else ""
    return (
        f'<svg class="bars" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>{key}'
    )


def _bar(
    x: float, width: float, value: int, most: int, series: SizeBars, size: str, numbered: bool
) -> str:
    floor = _HEIGHT - _BOTTOM
    # A single object among thousands still shows.
    height = max(1.5, (floor - _TOP) * value / most) if value else 0.0
    text = ""
    if numbered and value:
        text = f'<text x="{x + width / 2:.1f}" y="{floor - height - 3:.1f}">{value}</text>'
    return (
        f'<rect class="{series.tone}" x="{x:.1f}" y="{floor - height:.1f}" '
        f'width="{width * 0.92:.1f}" height="{height:.1f}">'
        f"<title>{escape(series.name)}, {size} px: {value}</title></rect>{text}"
    )


def _name(place: int) -> str:
    low, high = _EDGES[place], _EDGES[place + 1]
    if low == 0:
        return f"&lt;{high:g}"
    return f"{low:g}\N{EN DASH}{high:g}" if np.isfinite(high) else f"{low:g}+"
