"""A bar or an interval in each row: shares of a whole, differences with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from foveate.reports.charts.axes import (
    MINUS,
    Axis,
    Scale,
    Values,
    fitted,
    shortened,
    steady_texts,
    text_width,
)
from foveate.reports.charts.frame import (
    WIDTH,
    Tone,
    chart_html,
    element,
    key_html,
    next_tones,
    x_axis,
)
from foveate.reports.tables import NONE

_ROW = 24.0
_TOP, _BOTTOM = 8.0, 46.0
_MOST_NAME = 0.36 * WIDTH


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of every bar.

    Attributes:
        name: For the key.
        values: ``(C,)``, one a bar; gaps and numbers below zero count as nothing.
        tone: Colour; by default the next one.
    """

    name: str
    values: Values
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One difference.

    Attributes:
        name: Of what is compared.
        value: NaN where it is not defined.
        low: Lower end of its interval; NaN for none.
        high: Its upper end.
        lower_is_better: Whether below zero is the good side: seconds, missed objects.
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    lower_is_better: bool = False

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval excludes zero, else `no difference shown`."""
        if self.low > 0 or self.high < 0:
            return "better" if (self.low > 0) != self.lower_is_better else "worse"
        return "no difference shown"


_VERDICTS: dict[str, Tone] = {"better": "b1", "worse": "b6", "no difference shown": "b0"}


def stacked_bars(
    categories: Sequence[str], parts: Sequence[Part], value: Axis, *, title: str = ""
) -> str:
    """A bar for each category, cut into parts; numbers where they fit, the sum at the end.

    Args:
        categories: ``C`` names, from top to bottom.
        parts: From left to right.
        value: What a bar's length is.
        title: Above the chart; may be empty.

    Returns:
        HTML: a figure with its key and an SVG.

    Raises:
        ValueError: If a part has not one value a category.
    """
    for part in parts:
        if len(part.values) != len(categories):
            raise ValueError(
                f"part {part.name!r} has {len(part.values)} values for {len(categories)} bars"
            )
    table = _table(parts, len(categories))  # (P, C)
    sums = table.sum(axis=0)
    # Where every bar is the whole, its sum says nothing.
    whole = len(sums) > 1 and np.ptp(sums) <= 1e-6 * sums.max() and value.percent
    ends = [""] * len(sums) if whole else steady_texts(value, sums.tolist())
    inner = steady_texts(value, table.ravel().tolist())
    left = _names_width(categories)
    right = WIDTH - 16 - max((text_width(text) for text in ends), default=0.0)
    scale = fitted(value, [0.0, *sums], left, right)
    floor = _TOP + _ROW * max(1, len(categories))
    colours = next_tones([part.tone for part in parts])
    drawn = x_axis(scale, floor, grid_top=_TOP)
    for row, name in enumerate(categories):
        y = _TOP + _ROW * row
        drawn.append(_name(name, left, y))
        told = inner[row :: len(categories)]
        drawn += _bar(scale, y, name, zip(parts, colours, told, strict=True), table[:, row])
        end = scale.at(float(sums[row]))
        drawn.append(element("text", text=ends[row], x=end + 7, y=y + 16, class_="strong"))
    key = key_html([(tone, part.name) for part, tone in zip(parts, colours, strict=True)])
    label = f"{value.label}: {', '.join(part.name for part in parts)} of {len(categories)} bars"
    return chart_html(title, key if len(parts) > 1 else "", "".join(drawn), label, floor + _BOTTOM)


def interval_chart(
    rows: Sequence[IntervalRow], axis: Axis, *, digits: int = 1, title: str = ""
) -> str:
    """A forest plot: a dot and its interval in each row, coloured where it excludes zero.

    Args:
        rows: From top to bottom.
        axis: Of the differences; it always shows zero.
        digits: Decimals of the numbers at the right.
        title: Above the chart; may be empty.

    Returns:
        HTML: a figure with its key and an SVG.
    """
    texts = [_interval_text(row, digits) for row in rows]
    left = _names_width([row.name for row in rows])
    right = WIDTH - 22 - max((text_width(text) for text in texts), default=0.0)
    ends = [end for row in rows for end in (row.value, row.low, row.high)]
    scale = fitted(axis, [0.0, *ends], left, right)
    floor = _TOP + _ROW * max(1, len(rows))
    zero = scale.at(0.0)
    drawn = x_axis(scale, floor, grid_top=_TOP)
    drawn.append(element("line", class_="zero", x1=zero, x2=zero, y1=_TOP, y2=floor))
    for number, (row, text) in enumerate(zip(rows, texts, strict=True)):
        y = _TOP + _ROW * number
        drawn.append(_name(row.name, left, y))
        drawn += _interval(scale, y + _ROW / 2, row, text)
        strong = "strong end" if row.verdict != "no difference shown" else "end"
        drawn.append(element("text", text=text, x=WIDTH - 4, y=y + 16, class_=strong))
    seen = {row.verdict for row in rows if math.isfinite(row.value)}
    key = key_html([(tone, name) for name, tone in _VERDICTS.items() if name in seen])
    label = f"{axis.label}: {'; '.join(f'{r.name} {t}' for r, t in zip(rows, texts, strict=True))}"
    return chart_html(title, key if seen else "", "".join(drawn), label, floor + _BOTTOM)


def _table(parts: Sequence[Part], bars: int) -> NDArray[np.float64]:
    values = np.array([part.values for part in parts], np.float64).reshape(len(parts), bars)
    return np.where(np.isfinite(values), np.maximum(values, 0.0), 0.0)


def _names_width(names: Sequence[str]) -> float:
    """Where the bars begin, CSS pixels."""
    return 16 + min(_MOST_NAME, max((text_width(name) for name in names), default=0.0))


def _name(name: str, left: float, y: float) -> str:
    shown = shortened(name, left - 16)
    told = name if shown != name else ""
    return element("text", told, shown, x=left - 10, y=y + 16, class_="strong end")


def _bar(
    scale: Scale,
    y: float,
    name: str,
    parts: Iterable[tuple[Part, Tone, str]],
    values: NDArray[np.float64],
) -> list[str]:
    edges = scale.place(np.concatenate([[0.0], values.cumsum()])).tolist()
    drawn = []
    for (part, tone, text), (left, right) in zip(parts, pairwise(edges), strict=True):
        if left == right:
            continue
        told = f"{name}, {part.name}: {text}"
        # The gap between parts keeps them apart in print and for the colour-blind.
        width = max(0.5, right - left - 1)
        drawn.append(
            element("rect", told, class_=tone, x=left, y=y + 3, width=width, height=_ROW - 6)
        )
        if len(values) > 1 and text_width(text) + 6 < width:
            middle = (left + right - 1) / 2
            kind = f"middle on-{tone}"
            drawn.append(element("text", text=text, x=middle, y=y + 16, class_=kind))
    return drawn


def _interval(scale: Scale, y: float, row: IntervalRow, text: str) -> list[str]:
    at, low, high = (scale.at(value) for value in (row.value, row.low, row.high))
    if not math.isfinite(at):
        return []
    tone = _VERDICTS[row.verdict]
    drawn = []
    if math.isfinite(low) and math.isfinite(high):
        drawn.append(element("line", class_=f"whisker {tone}", x1=low, x2=high, y1=y, y2=y))
    told = f"{row.name}: {text}, {row.verdict}"
    kind = f"{tone} hollow" if tone == "b0" else tone
    drawn.append(element("circle", told, class_=kind, cx=at, cy=y, r=4.5))
    return drawn


def _interval_text(row: IntervalRow, digits: int) -> str:
    """`+3.1 [+1.2, +5.0]`."""
    if not math.isfinite(row.value):
        return NONE
    text = _signed(row.value, digits)
    if math.isfinite(row.low) and math.isfinite(row.high):
        text += f" [{_signed(row.low, digits)}, {_signed(row.high, digits)}]"
    return text


def _signed(value: float, digits: int) -> str:
    if abs(value) >= 1e6:
        return f"{value:+.2g}".replace("-", MINUS)
    rounded = round(value, digits) + 0.0
    sign = "+" if rounded > 0 else ""
    return f"{sign}{rounded:,.{digits}f}".replace("-", MINUS)
