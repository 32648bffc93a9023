"""Points with names beside them and the front of the best: accuracy against time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from foveate.inspection.trade_off import pareto_front
from foveate.reports.charts.axes import Axis, shortened, text_width, value_text
from foveate.reports.charts.frame import Frame, Tone, chart_html, element, framed

_LABEL_HEIGHT = 14.0
_RADIUS = 4.0
_LONGEST_LABEL = 170.0
_Place = tuple[float, float]
_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """One thing measured twice.

    Attributes:
        name: Beside the point.
        x: What it costs: seconds a picture.
        y: What it gives: AP of small objects.
        low: Lower end of y's interval; NaN for none.
        high: Its upper end.
        tone: Colour.
    """

    name: str
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    tone: Tone = "b1"


def scatter_chart(
    points: Sequence[Point], x: Axis, y: Axis, *, knee: int | None = None, title: str = ""
) -> str:
    """Points, their names where there is room for them, and their Pareto front as steps.

    Args:
        points: Less x and more y is better.
        x: Horizontal axis.
        y: Vertical axis.
        knee: Place of the point to choose; it gets a ring and a bold name.
        title: Above the chart; may be empty.

    Returns:
        HTML: a figure with an SVG.
    """
    heights = [value for p in points for value in (p.y, p.low, p.high)]
    frame = framed(x, y, [p.x for p in points], heights)
    front = pareto_front([p.x for p in points], [p.y for p in points])
    at = {
        place: (frame.x.at(p.x), frame.y.at(p.y))
        for place, p in enumerate(points)
        if math.isfinite(frame.x.at(p.x)) and math.isfinite(frame.y.at(p.y))
    }
    front = [place for place in front if place in at]
    first = [place for place in (knee,) if place in at]
    # The front's names are placed first: they are the ones to be read.
    order = list(dict.fromkeys([*first, *front, *at]))
    corners = _corners(frame, [at[place] for place in front])
    path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    parts = [element("path", "Pareto front", class_="front", d=path)] if front else []
    parts += [_dot(frame, points[place], at[place], place in front) for place in at]
    parts += [element("circle", class_="knee", cx=at[i][0], cy=at[i][1], r=9.0) for i in first]
    names = {place: shortened(points[place].name, _LONGEST_LABEL) for place in order}
    parts += _labels(frame, names, at, corners, knee)
    label = f"{y.label} against {x.label}: {', '.join(p.name for p in points)}"
    return chart_html(title, "", frame.drawn(parts), label, frame.height)


def _corners(frame: Frame, front: Sequence[_Place]) -> list[_Place]:
    """Of the steps: the most that can be had at each cost."""
    if not front:
        return []
    corners = [(front[0][0], frame.y.start), front[0]]
    for (_, before), (x, y) in pairwise(front):
        corners += [(x, before), (x, y)]
    return [*corners, (frame.x.end, front[-1][1])]


def _dot(frame: Frame, point: Point, at: tuple[float, float], best: bool) -> str:
    x, y = at
    told = f"{point.name}: {value_text(frame.y.axis, point.y)} at "
    told += f"{frame.x.axis.label} {value_text(frame.x.axis, point.x)}"
    bar = ""
    low, high = frame.y.at(point.low), frame.y.at(point.high)
    if math.isfinite(low) and math.isfinite(high):
        bar = element("line", class_=f"whisker {point.tone}", x1=x, x2=x, y1=low, y2=high)
    tone = f"{point.tone} {'' if best else 'hollow'}".strip()
    return bar + element("circle", told, class_=tone, cx=x, cy=y, r=_RADIUS)


def _labels(
    frame: Frame,
    names: Mapping[int, str],
    at: Mapping[int, _Place],
    corners: Sequence[_Place],
    knee: int | None,
) -> list[str]:
    """Each name where it covers neither a point nor another name; else only in its tooltip."""
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in at.values()]
    steps = [(*map(min, a, b), *map(max, a, b)) for a, b in pairwise(corners)]
    parts = []
    for place, text in names.items():
        chosen = place == knee
        # Bold letters are wider.
        width = text_width(text) * (1.08 if chosen else 1.0)
        boxes = _candidates(at[place], width, 10.0 if chosen else 7.0)
        free = [
            (box, anchor)
            for box, anchor in boxes
            if _inside(frame, box) and not any(_overlap(box, other) for other in taken)
        ]
        # A name on the front's line can be read; one beside it reads better.
        free.sort(key=lambda one: any(_overlap(one[0], step) for step in steps))
        if free:
            box, anchor = free[0]
            taken.append(box)
            x = {"": box[0], "middle": (box[0] + box[2]) / 2, "end": box[2]}[anchor]
            kind = f"{anchor} {'strong knee' if chosen else ''}".strip()
            style = {"class_": kind} if kind else {}
            parts.append(_leader(at[place], box))
            parts.append(element("text", text=text, x=x, y=box[3] - 3, **style))
    return parts


def _candidates(at: _Place, width: float, gap: float) -> list[tuple[_Box, str]]:
    """Boxes around a point and the text's anchor: right, left, above, below, then the corners."""
    x, y = at
    half = _LABEL_HEIGHT / 2
    above, below = y - gap - half, y + gap + half
    higher, lower = above - _LABEL_HEIGHT, below + _LABEL_HEIGHT
    places = [("", x + gap, y), ("end", x - gap, y), ("middle", x, above), ("middle", x, below)]
    for height in (above, below, higher, lower):
        places += [("", x + 3, height), ("end", x - 3, height)]
    part_left = {"": 0.0, "middle": 0.5, "end": 1.0}
    boxes = [(anchor, a - part_left[anchor] * width, b) for anchor, a, b in places]
    return [((a, b - half, a + width, b + half), anchor) for anchor, a, b in boxes]


def _leader(at: _Place, box: _Box) -> str:
    """A line to a name that does not stand right beside its point."""
    x, y = at
    end = min(max(y, box[1]), box[3])
    if abs(end - y) < _LABEL_HEIGHT:
        return ""
    near = min(max(x, box[0]), box[2])
    return element("line", class_="leader", x1=x, y1=y, x2=near, y2=end)


def _inside(frame: Frame, box: _Box) -> bool:
    return (
        box[0] >= frame.x.start + 2
        and box[2] <= frame.x.end + 14
        and box[1] >= frame.y.end - 8
        and box[3] <= frame.y.start - 1
    )


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]
