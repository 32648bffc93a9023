"""Histograms over an axis, one filled or several as outlines: how large the objects are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

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

_MOST_OCTAVES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """One series of a histogram.

    Attributes:
        name: For the key.
        counts: ``(B,)``, one a bin; numbers or shares.
        tone: Colour; by default the next one.
    """

    name: str
    counts: Values
    tone: Tone | None = None

    @classmethod
    def of(
        cls, name: str, values: Values, edges: Sequence[float], tone: Tone | None = None
    ) -> Bins:
        """Count values ``(N,)`` between edges ``(B + 1,)``; gaps and values outside are left out.

        Args:
            name: For the key.
            values: To count.
            edges: Rising; the last bin takes its upper edge too.
            tone: Colour; by default the next one.
        """
        plain = np.asarray(values, np.float64)
        return cls(name, np.histogram(plain[np.isfinite(plain)], np.asarray(edges))[0], tone)


def octave_edges(values: Values, per_octave: int = 2) -> list[float]:
    """Edges of bins for a log2 axis, from below the least value to above the largest.

    Args:
        values: ``(N,)``; those of 0 or less have no place on such an axis and do not count, nor
            do those a million times smaller than the largest.
        per_octave: Bins to a doubling.

    Returns:
        Powers of two and what lies between, at least two octaves of them.
    """
    octaves = transformed(Axis("", "log2"), values)
    octaves = octaves[np.isfinite(octaves)]
    low, high = (octaves.min(), octaves.max()) if octaves.size else (0.0, 1.0)
    first = int(np.floor(low))
    last = max(first + 2, int(np.floor(high)) + 1)
    first = max(first, last - _MOST_OCTAVES)
    steps = np.arange((last - first) * per_octave + 1)
    edges: list[float] = np.exp2(first + steps / per_octave).tolist()
    return edges


def histogram_chart(
    series: Sequence[Bins],
    edges: Sequence[float],
    x: Axis,
    y: Axis,
    *,
    marks: Sequence[Mark] = (),
    title: str = "",
) -> str:
    """One histogram as bars, or several over each other as outlines.

    Args:
        series: Drawn in order, the last on top.
        edges: ``(B + 1,)``, rising; an infinite last one, or a first one of 0 on a logarithmic
            axis, is drawn as one more doubling.
        x: Horizontal axis; by default it ends where the bins do.
        y: Vertical axis; from zero by default.
        marks: Values of x to point out.
        title: Above the chart; may be empty.

    Returns:
        HTML: a figure with its key and an SVG.

    Raises:
        ValueError: If the edges do not rise or have no place on the axis, or there is not one
            count a bin.
    """
    _check(series, edges)
    drawn = _finite(edges, x)
    counts = [np.nan_to_num(np.asarray(one.counts, np.float64)) for one in series]
    frame = framed(
        replace(
            x,
            low=drawn[0] if x.low is None else x.low,
            high=drawn[-1] if x.high is None else x.high,
        ),
        replace(y, low=0.0 if y.low is None else y.low),
        drawn,
        np.concatenate([np.zeros(0), *counts]),
        marks,
    )
    colours = next_tones([one.tone for one in series])
    draw = _bars if len(series) == 1 else _outline
    at = frame.x.place(drawn)
    parts = [draw(frame, at, c, tone) for c, tone in zip(counts, colours, strict=True)]
    parts.append(_hints(frame, at, edges, series, counts))
    key = key_html([(tone, one.name) for one, tone in zip(series, colours, strict=True)])
    label = f"{y.label} by {x.label}: {', '.join(one.name for one in series)}"
    return chart_html(
        title, key if len(series) > 1 else "", frame.drawn(parts), label, frame.height
    )


def _check(series: Sequence[Bins], edges: Sequence[float]) -> None:
    if len(edges) < 2 or not (np.diff(np.asarray(edges, np.float64)) > 0).all():
        raise ValueError(f"edges of a histogram rise, and are two at least, not {list(edges)}")
    for one in series:
        if len(one.counts) != len(edges) - 1:
            raise ValueError(f"{one.name!r} has {len(one.counts)} counts for {len(edges) - 1} bins")


def _finite(edges: Sequence[float], axis: Axis) -> list[float]:
    """The edges, with the open ends a doubling away."""
    drawn = list(map(float, edges))
    if axis.scale != "linear" and drawn[0] <= 0:
        drawn[0] = drawn[1] / 2
    if np.isinf(drawn[-1]):
        drawn[-1] = drawn[-2] * 2 if drawn[-2] > 0 else drawn[-2] + 1
    if not np.isfinite(transformed(axis, drawn)).all():
        raise ValueError(f"edges {list(edges)} do not all fit on a {axis.scale} axis")
    return drawn


def _bars(frame: Frame, at: NDArray[np.float64], counts: NDArray[np.float64], tone: Tone) -> str:
    floor, tops = frame.y.start, frame.y.place(counts)
    gap = 1.0 if (at[-1] - at[0]) / len(counts) > 4 else 0.0
    parts = []
    for left, right, top, count in zip(at, at[1:], tops, counts, strict=False):
        # A single object among thousands still shows.
        height = max(1.5, floor - top) if count > 0 else 0.0
        parts.append(
            element(
                "rect",
                class_=tone,
                x=left,
                y=floor - height,
                width=max(0.5, right - left - gap),
                height=height,
            )
        )
    return "".join(parts)


def _outline(frame: Frame, at: NDArray[np.float64], counts: NDArray[np.float64], tone: Tone) -> str:
    tops = frame.y.place(counts).tolist()
    floor = frame.y.start
    path = f"M{at[0]:.1f},{floor:.1f}"
    for right, top in zip(at[1:].tolist(), tops, strict=True):
        path += f"V{top:.1f}H{right:.1f}"
    path += f"V{floor:.1f}"
    return element("path", class_=f"area {tone}", d=path) + element(
        "path", class_=f"edge {tone}", d=path
    )


def _hints(
    frame: Frame,
    at: NDArray[np.float64],
    edges: Sequence[float],
    series: Sequence[Bins],
    counts: Sequence[NDArray[np.float64]],
) -> str:
    """Unseen bars over whole bins that tell their numbers, so that an empty one can be read too."""
    parts = []
    for place, (left, right) in enumerate(pairwise(at.tolist())):
        span = " to ".join(value_text(frame.x.axis, edge) for edge in edges[place : place + 2])
        told = ", ".join(
            f"{one.name} {value_text(frame.y.axis, float(values[place]))}"
            for one, values in zip(series, counts, strict=True)
        )
        parts.append(
            element(
                "rect",
                f"{span}: {told}",
                class_="hint",
                x=left,
                y=frame.y.end,
                width=right - left,
                height=frame.y.start - frame.y.end,
            )
        )
    return "".join(parts)
