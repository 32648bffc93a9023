"""Axes of the charts: where a value lies, which values get a tick, how a number is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Values = Sequence[float | None] | NDArray[Any]
"""Numbers of a series; None, NaN and infinities are gaps."""

MINUS = "\N{MINUS SIGN}"
"""As wide as a plus sign, which a hyphen is not."""

TEXT = 12.0
"""Height of the charts' text, CSS pixels, as the style sheet sets it."""

_MOST = 1e100  # what is larger, or smaller than its inverse, would overflow in arithmetic


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows.

    Attributes:
        label: With the unit: `object side, pixels`.
        scale: Values of 0 or less are gaps on the logarithmic ones.
        low: Least value; by default as the data need. What lies beyond is drawn at the edge.
        high: Largest value, likewise.
        percent: Write .25 as 25 %.
    """

    label: str
    scale: Literal["linear", "log2", "log10"] = "linear"
    low: float | None = None
    high: float | None = None
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis fitted to data and to a place in the chart.

    Attributes:
        axis: What it shows.
        low: Value at `start`; its logarithm on a logarithmic axis.
        high: Value at `end`, likewise.
        start: Coordinate, CSS pixels.
        end: Coordinate; less than `start` where values grow upwards.
    """

    axis: Axis
    low: float
    high: float
    start: float
    end: float

    def place(self, values: Values) -> NDArray[np.float64]:
        """Coordinates ``(N,)`` between start and end; NaN at gaps."""
        shifted = (transformed(self.axis, values) - self.low) / (self.high - self.low)
        return self.start + np.clip(shifted, 0, 1) * (self.end - self.start)

    def at(self, value: float) -> float:
        """Coordinate of one value; NaN if it is a gap."""
        return float(self.place([value])[0])

    def holds(self, value: float) -> bool:
        """Whether the axis reaches as far as a value."""
        inner = float(transformed(self.axis, [value])[0])
        return self.low <= inner <= self.high

    def ticks(self, most: int) -> list[float]:
        """At most so many round values within the axis, at least one wherever one fits."""
        if self.axis.scale == "linear":
            return _linear_ticks(self.low, self.high, most)
        base = 2.0 if self.axis.scale == "log2" else 10.0
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        stride = 1
        while (last - first) // stride + 1 > most:
            stride += stride if base == 2 else 1
        # Powers that are multiples of the stride, so that the ticks stay put as data grow.
        powers = range(math.ceil(first / stride) * stride, last + 1, stride)
        whole = [base**power for power in powers]
        if len(whole) > 2:
            return whole
        return _between_powers(base, self.low, self.high, most) or whole


def fitted(axis: Axis, values: Values, start: float = 0.0, end: float = 1.0) -> Scale:
    """The axis fitted to values: round ends where it is linear, a little air where it is not.

    Args:
        axis: Its own ends, where given, are kept.
        values: All that are shown; gaps do not count.
        start: Coordinate of the least.
        end: Coordinate of the largest.
    """
    shown = transformed(axis, values)
    shown = shown[np.isfinite(shown)]
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 4.0)
    if axis.low is not None:
        low = _end(axis, axis.low, low)
    if axis.high is not None:
        high = _end(axis, axis.high, high)
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        pad = abs(low) * 0.1 if axis.scale == "linear" and low else 0.5
        low = low if axis.low is not None else low - pad
        high = max(high, low) + pad
    if axis.scale == "linear":
        # Bars and shares are read from zero; values far from it would be squeezed by that.
        low = 0.0 if axis.low is None and 0 < low < 0.6 * high else low
        step = _step(low, high, 6)
        low = low if axis.low is not None else math.floor(low / step + 1e-9) * step
        high = high if axis.high is not None else math.ceil(high / step - 1e-9) * step
        return Scale(axis, low, high, start, end)
    air = 0.03 * (high - low)
    low = low if axis.low is not None else low - air
    high = high if axis.high is not None else high + air
    return Scale(axis, low, high, start, end)


def transformed(axis: Axis, values: Values) -> NDArray[np.float64]:
    """Values as the axis spaces them, ``(N,)``; NaN where there is nothing to show."""
    plain = np.asarray(values, np.float64).reshape(-1)
    usable = np.isfinite(plain) & (np.abs(plain) < _MOST)
    if axis.scale == "linear":
        return np.where(usable, np.where(np.abs(plain) > 1 / _MOST, plain, 0.0), np.nan)
    usable &= plain > 1 / _MOST
    logarithm = np.log2 if axis.scale == "log2" else np.log10
    return np.where(usable, logarithm(np.where(usable, plain, 1.0)), np.nan)


def tick_texts(axis: Axis, ticks: Sequence[float]) -> list[str]:
    """The ticks as text, all of a linear axis with equally many decimals."""
    shown = [100 * tick for tick in ticks] if axis.percent else list(ticks)
    unit = "%" if axis.percent else ""
    if axis.scale != "linear" or len(shown) < 2:
        return [number_text(value) + unit for value in shown]
    step = min(b - a for a, b in pairwise(shown))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if decimals > 4 or max(map(abs, shown)) >= 1e6:
        return [number_text(value) + unit for value in shown]
    return [("0" if value == 0 else _written(value, decimals)) + unit for value in shown]


def number_text(value: float) -> str:
    """A number in few characters: `0.25`, `12,000`, `3.4M`, `2e-9`."""
    if value < 0:
        return MINUS + number_text(-value)
    if not math.isfinite(value):
        return "\N{INFINITY}" if value > 0 else "\N{EN DASH}"
    if value >= 1e12 or 0 < value < 1e-3:
        digits, power = f"{value:.2e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    for least, unit in ((1e9, "G"), (1e6, "M")):
        if value >= least:
            return f"{value / least:.4g}{unit}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def steady_texts(axis: Axis, values: Sequence[float]) -> list[str]:
    """Values that are read beside each other, all with equally many decimals."""
    largest = max(map(abs, values), default=0.0)
    if axis.percent or largest >= 1e4 or 0 < largest < 0.1:
        return [value_text(axis, value) for value in values]
    whole = all(float(value).is_integer() for value in values)
    decimals = 0 if whole or largest >= 1000 else 1 if largest >= 10 else 2
    return [_written(value, decimals) for value in values]


def value_text(axis: Axis, value: float) -> str:
    """One value of an axis for a label: shares in percent, other numbers as `number_text`."""
    if not axis.percent:
        return number_text(value)
    share = 100 * value
    return f"{share:.0f}%" if abs(share) >= 10 or share == 0 else f"{share:.2g}%"


def text_width(text: str, size: float = TEXT) -> float:
    """About the width of text in a sans-serif face, CSS pixels; rather too wide than too narrow."""
    return size * sum(map(_letter_width, text))


def shortened(text: str, most: float, size: float = TEXT) -> str:
    """Text cut to a width, with an ellipsis where something was cut."""
    if text_width(text, size) <= most:
        return text
    kept = text
    while kept and text_width(kept + "\N{HORIZONTAL ELLIPSIS}", size) > most:
        kept = kept[:-1]
    return kept.rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _written(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def _end(axis: Axis, value: float, other: float) -> float:
    """An end given by the caller; the data's where a logarithmic axis cannot show it."""
    end = float(transformed(axis, [value])[0])
    return other if math.isnan(end) else end


def _step(low: float, high: float, most: int) -> float:
    """The least of 1, 2, 5, 10 ... that cuts the range into fewer than `most` parts."""
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10, 20) if m * power >= rough * (1 - 1e-9))


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    step = _step(low, high, most)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    # A tick is its step's multiple written in decimals: .3, not .30000000000000004.
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(number * step, digits) for number in range(first, last + 1)]


def _between_powers(base: float, low: float, high: float, most: int) -> list[float]:
    """Round values where the axis holds hardly a power of its base."""
    if base == 10:
        powers = range(math.floor(low), math.ceil(high) + 1)
        round_ones = [(m, power) for power in powers for m in (1, 2, 5)]
        return [
            # 5 / 10 is .5; 5 * 10 ** -1 is not always.
            m * 10.0**power if power >= 0 else m / 10.0**-power
            for m, power in round_ones
            if low - 1e-9 <= math.log10(m) + power <= high + 1e-9
        ][:most]
    return [value for value in _linear_ticks(base**low, base**high, most) if value > 0]


def _letter_width(letter: str) -> float:
    if letter in "iljtfrI.,:;'|![]() ":
        return 0.38
    if letter in "mwMW@%":
        return 0.95
    if letter.isupper():
        return 0.72
    return 1.05 if ord(letter) > 0x2E80 else 0.62
