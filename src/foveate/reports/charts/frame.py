"""The frame every chart is drawn in: axes, a few grid lines, labelled marks, title and key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from typing import Literal

from foveate.reports.charts.axes import (
    Axis,
    Scale,
    Values,
    fitted,
    shortened,
    text_width,
    tick_texts,
)

Tone = Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6"]
"""A colour of the page: quiet grey, blue, orange, green, purple, a second blue, vermilion."""

TONES: tuple[Tone, ...] = ("b1", "b2", "b3", "b4", "b5", "b6")
"""In the order in which series take them."""

WIDTH = 640.0
"""Of a chart, CSS pixels; it shrinks with the page."""

_HEIGHT = 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 12.0, 18.0, 30.0, 42.0
_ROW = 17.0  # of the marks' labels
_MOST_ROWS = 6


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled line across the chart at a value of the x axis: `one cell of stride 8`.

    Attributes:
        value: On the x axis; the axis is widened to show it unless its ends are given.
        label: In few words.
    """

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class _PlacedMark:
    """A mark and where its label lies.

    Attributes:
        mark: To draw.
        x: Of the line, CSS pixels.
        row: Of the label, 0 nearest to the chart.
        flipped: Whether the label is left of the line.
    """

    mark: Mark
    x: float
    row: int
    flipped: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """The two axes in place.

    Attributes:
        x: Grows to the right.
        y: Grows upwards: its `start` is the floor, its `end` the top.
        marks: With the places of their labels.
        height: Of the chart, CSS pixels.
        empty: Whether there is nothing to show.
    """

    x: Scale
    y: Scale
    marks: Sequence[_PlacedMark]
    height: float
    empty: bool

    def drawn(self, parts: Sequence[str]) -> str:
        """SVG content: grid, then the parts, then axis, marks and labels above them."""
        if self.empty:
            middle = (self.x.start + self.x.end) / 2
            parts = [
                element(
                    "text", text="nothing to show", x=middle, y=self.height / 2, class_="middle"
                )
            ]
        return "".join([*_y_axis(self), *parts, *x_axis(self.x, self.y.start), *_marks(self)])


def framed(
    x: Axis, y: Axis, x_values: Values, y_values: Values, marks: Sequence[Mark] = ()
) -> Frame:
    """Axes fitted to values, with room for their ticks and for the marks' labels.

    Args:
        x: Horizontal axis.
        y: Vertical axis.
        x_values: All that are shown.
        y_values: All that are shown.
        marks: To be drawn across.
    """
    shown_y = fitted(y, y_values)
    texts = tick_texts(y, shown_y.ticks(6))
    left = _LEFT + max((text_width(text) for text in texts), default=0.0)
    values = [*x_values, *(mark.value for mark in marks)]
    shown_x = fitted(x, values, left, WIDTH - _RIGHT)
    placed = _placed(marks, shown_x)
    above = _ROW * (1 + max((one.row for one in placed), default=-1))
    height = _HEIGHT + above
    place_y = replace(shown_y, start=height - _BOTTOM, end=_TOP + above)
    some = any(map(math.isfinite, shown_x.place(x_values)))
    some = some and any(map(math.isfinite, place_y.place(y_values)))
    return Frame(shown_x, place_y, placed, height, empty=not some)


def x_axis(scale: Scale, floor: float, grid_top: float | None = None) -> list[str]:
    """The horizontal axis as SVG elements: line, ticks, label.

    Args:
        scale: In place.
        floor: Its height in the chart, CSS pixels from the top.
        grid_top: Draw grid lines up to here.
    """
    most = 9
    while True:
        ticks = scale.ticks(most)
        texts = tick_texts(scale.axis, ticks)
        places = scale.place(ticks).tolist()
        widest = max((text_width(text) for text in texts), default=0.0)
        nearest = min((b - a for a, b in pairwise(places)), default=math.inf)
        if nearest > widest + 10 or most == 2:
            break
        most -= 1
    parts = []
    for place, text in zip(places, texts, strict=True):
        if grid_top is not None:
            parts.append(element("line", class_="grid", x1=place, x2=place, y1=grid_top, y2=floor))
        parts.append(element("line", class_="axis", x1=place, x2=place, y1=floor, y2=floor + 4))
        parts.append(element("text", text=text, x=place, y=floor + 17, class_="middle"))
    parts.append(element("line", class_="axis", x1=scale.start, x2=scale.end, y1=floor, y2=floor))
    label = shortened(scale.axis.label, scale.end - scale.start)
    middle = (scale.start + scale.end) / 2
    parts.append(element("text", text=label, x=middle, y=floor + 36, class_="middle"))
    return parts


def chart_html(title: str, key: str, content: str, label: str, height: float) -> str:
    """A figure around a chart.

    Args:
        title: Above it; may be empty.
        key: From `key_html`; may be empty.
        content: SVG elements in a chart `WIDTH` wide.
        label: What the chart shows, for people who cannot see it.
        height: CSS pixels.
    """
    caption = f"<figcaption>{escape(title)}</figcaption>" if title else ""
    spoken = f"{title}: {label}" if title else label
    return (
        f'<figure class="chart">{caption}{key}<svg class="plot" viewBox="0 0 {WIDTH:g} '
        f'{height:g}" role="img" aria-label="{escape(spoken)}">{content}</svg></figure>'
    )


def key_html(items: Sequence[tuple[Tone, str]], shape: str = "") -> str:
    """Which colour is which series.

    Args:
        items: Colour and name.
        shape: CSS class of the samples: `rule` for lines.
    """
    samples = "".join(
        f'<span><i class="{f"{tone} {shape}".strip()}"></i>{escape(name)}</span>'
        for tone, name in items
    )
    return f'<div class="key">{samples}</div>'


def next_tones(given: Sequence[Tone | None]) -> list[Tone]:
    """A colour for each series: the given one, else the next of those nobody has asked for."""
    free = [tone for tone in TONES if tone not in given] or list(TONES)
    chosen = []
    for tone in given:
        chosen.append(tone or free[0])
        if tone is None:
            free = [*free[1:], free[0]]
    return chosen


def rows_of_texts(places: Sequence[tuple[float, float]], most: int = _MOST_ROWS) -> list[int]:
    """A row for each text, so that none runs into another.

    Args:
        places: Left and right end of each, CSS pixels.
        most: Rows; what fits in none goes into the last.

    Returns:
        A row from 0 for each.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(most)]
    rows = []
    for left, right in places:
        free = (
            number
            for number, row in enumerate(taken)
            if all(right + 6 < a or b + 6 < left for a, b in row)
        )
        number = next(free, most - 1)
        taken[number].append((left, right))
        rows.append(number)
    return rows


def element(name: str, title: str = "", text: str = "", **attributes: str | float) -> str:
    """One SVG element; numbers are rounded to .1, texts escaped.

    Args:
        name: Of the element.
        title: What a pointer held over it tells.
        text: Content.
        attributes: `class_` stands for class, `_` in a name for a dash.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
    )
    inner = (f"<title>{escape(title)}</title>" if title else "") + escape(text)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def _placed(marks: Sequence[Mark], scale: Scale) -> list[_PlacedMark]:
    """The marks within the axis, each label beside its line, in a row where it is free."""
    most = (scale.end - scale.start) * 0.45
    # From the right, so that no line on its way up to a higher row crosses a label.
    seen = [
        Mark(mark.value, shortened(mark.label, most))
        for mark in sorted(marks, key=lambda mark: -mark.value)
        if scale.holds(mark.value)
    ]
    lines = [scale.at(mark.value) for mark in seen]
    widths = [text_width(mark.label) + 5 for mark in seen]
    flipped = [x + width > WIDTH for x, width in zip(lines, widths, strict=True)]
    ends = [
        (x - width, x) if left else (x, x + width)
        for x, width, left in zip(lines, widths, flipped, strict=True)
    ]
    rows = rows_of_texts(ends)
    return [_PlacedMark(*one) for one in zip(seen, lines, rows, flipped, strict=True)]


def _marks(frame: Frame) -> list[str]:
    parts = []
    for one in frame.marks:
        base = frame.y.end - 6 - one.row * _ROW
        parts.append(
            element("line", class_="mark", x1=one.x, x2=one.x, y1=base - 10, y2=frame.y.start)
        )
        side = {"x": one.x - 5, "class_": "end"} if one.flipped else {"x": one.x + 5}
        parts.append(element("text", text=one.mark.label, y=base, **side))
    return parts


def _y_axis(frame: Frame) -> list[str]:
    ticks = frame.y.ticks(6)
    parts = []
    for text, place in zip(tick_texts(frame.y.axis, ticks), frame.y.place(ticks), strict=True):
        y = float(place)
        parts.append(element("line", class_="grid", x1=frame.x.start, x2=frame.x.end, y1=y, y2=y))
        parts.append(element("text", text=text, x=frame.x.start - 8, y=y + 4, class_="end"))
    label = shortened(frame.y.axis.label, WIDTH - 20)
    parts.append(element("text", text=label, x=0.0, y=13.0))
    return parts


def _attribute(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{round(value, 1) + 0.0:g}"
