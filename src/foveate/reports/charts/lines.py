"""Lines over an axis, with confidence bands: AP against size, precision against recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveate.reports.charts.axes import Axis, Values, transformed, value_text
from foveate.reports.charts.frame import (
    Frame,
    Mark,
    Tone,
    chart_html,
    element,
    framed,
    key_html,
    next_tones,
)

_LONG = 1000  # points
_MOST_DOTS = 24  # points of a line; more dots than this would hide it


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of a chart.

    Attributes:
        name: For the key.
        x: ``(N,)``, in the order in which they are joined.
        y: ``(N,)``; the line breaks at gaps.
        low: ``(N,)``, lower edge of a confidence band, if there is one.
        high: ``(N,)``, its upper edge.
        tone: Colour; by default the next one. The quiet one, `b0`, is a dashed reference.
    """

    name: str
    x: Values
    y: Values
    low: Values | None = None
    high: Values | None = None
    tone: Tone | None = None


def line_chart(
    lines: Sequence[Line], x: Axis, y: Axis, *, marks: Sequence[Mark] = (), title: str = ""
) -> str:
    """Lines, each with its confidence band if it has one.

    Args:
        lines: Drawn in order, the last on top.
        x: Horizontal axis.
        y: Vertical axis.
        marks: Values of x to point out.
        title: Above the chart; may be empty.

    Returns:
        HTML: a figure with its key and an SVG.

    Raises:
        ValueError: If a line's arrays differ in length.
    """
    for line in lines:
        _check(line)
    frame = framed(x, y, _joined([line.x for line in lines]), _joined(_heights(lines)), marks)
    colours = next_tones([line.tone for line in lines])
    bands = [_band(frame, line, tone) for line, tone in zip(lines, colours, strict=True)]
    drawn = [_line(frame, line, tone) for line, tone in zip(lines, colours, strict=True)]
    key = key_html([(t, line.name) for line, t in zip(lines, colours, strict=True)], "rule")
    names = ", ".join(line.name for line in lines)
    label = f"{y.label} against {x.label}: {names or 'nothing to show'}"
    return chart_html(
        title, key if len(lines) > 1 else "", frame.drawn(bands + drawn), label, frame.height
    )


def _check(line: Line) -> None:
    lengths = {
        name: np.size(values)
        for name in ("x", "y", "low", "high")
        if (values := getattr(line, name)) is not None
    }
    if len(set(lengths.values())) > 1 or (line.low is None) != (line.high is None):
        raise ValueError(f"line {line.name!r}: x, y, low and high of one length, not {lengths}")


def _heights(lines: Sequence[Line]) -> list[Values]:
    return [values for one in lines for values in (one.y, one.low, one.high) if values is not None]


def _joined(parts: Sequence[Values]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *(np.asarray(part, np.float64) for part in parts)])


def _band(frame: Frame, line: Line, tone: Tone) -> str:
    """The area between low and high, a piece for each run without a gap."""
    if line.low is None or line.high is None:
        return ""
    x, low, high = frame.x.place(line.x), frame.y.place(line.low), frame.y.place(line.high)
    pieces = []
    for run in _runs(np.isfinite(x) & np.isfinite(low) & np.isfinite(high)):
        over, under = _points(x[run], high[run]), _points(x[run], low[run])
        pieces.append(f"M{' '.join(over)}L{' '.join(reversed(under))}Z")
    return element("path", class_=f"band {tone}", d="".join(pieces)) if pieces else ""


def _line(frame: Frame, line: Line, tone: Tone) -> str:
    x, y = frame.x.place(line.x), frame.y.place(line.y)
    runs = _runs(np.isfinite(x) & np.isfinite(y))
    path = "".join(f"M{' '.join(_points(x[run], y[run]))}" for run in runs if _length(run) > 1)
    parts = [element("path", line.name, class_=f"line {tone}", d=path)] if path else []
    # A point between two gaps would not be seen without a dot.
    dotted = sum(map(_length, runs)) <= _MOST_DOTS and tone != "b0"
    for run in runs:
        if dotted or _length(run) == 1:
            parts += [
                element("circle", _told(frame, line, i), class_=tone, cx=x[i], cy=y[i], r=2.6)
                for i in range(run.start, run.stop)
            ]
    return "".join(parts)


def _told(frame: Frame, line: Line, index: int) -> str:
    """What a pointer over a point tells."""
    x_axis, y_axis = frame.x.axis, frame.y.axis
    text = f"{line.name}: {value_text(y_axis, float(np.asarray(line.y, float)[index]))}"
    if line.low is not None and line.high is not None:
        ends = np.array([line.low, line.high], float)[:, index]
        if np.isfinite(transformed(y_axis, ends)).all():
            text += f" ({' to '.join(value_text(y_axis, end) for end in ends.tolist())})"
    return f"{text} at {x_axis.label} {value_text(x_axis, float(np.asarray(line.x, float)[index]))}"


def _runs(valid: NDArray[np.bool_]) -> list[slice]:
    """Stretches without a gap."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _length(run: slice) -> int:
    return int(run.stop - run.start)


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[str]:
    """`x,y` of each; those that fall on the one before are left out, to keep a page small."""
    where = np.stack([x, y], axis=1)
    # Of a long line half a pixel is near enough.
    where = where.round(1) + 0.0 if len(where) < _LONG else (where * 2).round() / 2 + 0.0
    moved = np.ones(len(where), bool)
    moved[1:] = (np.diff(where, axis=0) != 0).any(axis=1)
    moved[-1] = True
    return [f"{a:g},{b:g}" for a, b in where[moved].tolist()]
