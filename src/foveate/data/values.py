"""Bring pixel values of any kind to 0-255, by a range that is asked for or by the rule below.

Without a range, what becomes 0-255 is one that holds every value, so that nothing is clipped and
a 12-bit picture in a 16-bit file is not black: 0-1 for booleans and for floats up to 1 (0 to the
maximum for floats that overshoot 1 but not 2); otherwise 0 to the largest number of the fewest
among 8, 10, 12, 14 and 16 bits that reach the maximum; and, with negative or still larger values,
minimum to maximum. Values of 8 bits stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError, UsageError
from foveate.structures import UInt8Image

_BLOCK = 1 << 20  # values scaled at once
_SAMPLE = 1 << 20  # values that percentiles are taken of


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Which values become black and white; what lies beyond is clipped.

    Attributes:
        low: Becomes 0.
        high: Becomes 255.
        percent: Whether both are percentiles of each band, in percent, instead of values.

    Raises:
        UsageError: If `low` is not below `high`, or a percentile is not from 0 to 100.
    """

    low: float
    high: float
    percent: bool = False

    def __post_init__(self) -> None:
        """Check the order, and percentiles."""
        if not self.low < self.high or not np.isfinite([self.low, self.high]).all():
            raise UsageError(f"value range: expected LOW below HIGH, got {self}")
        if self.percent and not 0 <= self.low < self.high <= 100:
            raise UsageError(f"value range: expected percentiles from 0 to 100, got {self}")

    def __str__(self) -> str:
        """As the command line takes it."""
        unit = "%" if self.percent else ""
        return f"{self.low:g}{unit}:{self.high:g}{unit}"

    @classmethod
    def parse(cls, text: str) -> ValueRange:
        """Read ``0:10000``, or percentiles such as ``2%:98%``.

        Raises:
            UsageError: If it is neither.
        """
        parts = text.split(":")
        percent = all(part.endswith("%") for part in parts)
        try:
            low, high = (float(part[:-1] if percent else part) for part in parts)
        except ValueError:
            raise UsageError(
                f"value range: expected LOW:HIGH such as 0:10000, or 2%:98%, got {text!r}"
            ) from None
        return cls(low, high, percent)

    def limits(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Low and high of each band, ``(C,)`` each.

        Args:
            values: ``(N, C)`` finite pixels, or some of them.
        """
        bands = values.shape[1]
        if not self.percent or not len(values):
            return np.full(bands, self.low), np.full(bands, self.high)
        some = values[:: max(1, values.size // _SAMPLE)]
        low, high = np.percentile(some, [self.low, self.high], axis=0)
        return low, np.maximum(high, low + np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is taken of a picture's bands and values.

    Attributes:
        bands: Numbers of bands from 1, in the order that the model takes them; None takes red,
            green and blue. A single one is given three times.
        values: Which values become black and white; None goes by the rule of this module.

    Raises:
        UsageError: If a band's number is below 1, or there are none.
    """

    bands: tuple[int, ...] | None = None
    values: ValueRange | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.bands is not None and (not self.bands or min(self.bands) < 1):
            raise UsageError(f"bands: expected numbers from 1, such as 3,2,1, got {self.bands}")


def full_range(values: NDArray[Any], name: str) -> tuple[float, float]:
    """The range that becomes 0-255 where none is asked for; the module's docstring has the rule.

    Args:
        values: Of any shape, not empty.
        name: What messages call the picture.

    Raises:
        FoveateError: If a value is not finite.
    """
    if values.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise FoveateError(f"{name}: has values that are not finite; fill them in first")
    if low >= 0:
        if values.dtype.kind == "b" or (values.dtype.kind == "f" and high <= 2):
            return 0.0, max(1.0, high)
        for bits in (8, 10, 12, 14, 16):
            if high <= 2**bits - 1:
                return 0.0, 2.0**bits - 1
    return low, high


def scaled(
    values: NDArray[Any], low: float | NDArray[np.float64], high: float | NDArray[np.float64]
) -> UInt8Image:
    """Map `low` to 0 and `high` to 255, linearly; what lies beyond is clipped.

    Args:
        values: ``(H, W, C)`` or ``(H, W)``.
        low: One, or one a channel.
        high: Likewise. Where it is not above `low`, everything becomes 0.
    """
    span = np.asarray(high, np.float64) - low
    factor = np.divide(255, span, out=np.zeros_like(span), where=span > 0)
    image = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK // max(1, values[0].size))
    for start in range(0, len(values), rows):  # by blocks: no float copy of a large picture
        block = (values[start : start + rows].astype(np.float64) - low) * factor
        image[start : start + rows] = np.rint(np.clip(block, 0, 255))
    return image


def to_uint8(values: NDArray[Any], name: str, asked: ValueRange | None = None) -> UInt8Image:
    """Scale a picture in memory; the same array if it is uint8 and no range is asked for.

    Args:
        values: ``(H, W)`` or ``(H, W, C)``, any real numbers.
        name: What messages call the picture.
        asked: The range; the module's rule if left out.

    Raises:
        FoveateError: If a value is not finite.
    """
    if asked is None:
        if values.dtype == np.uint8:
            return values
        return scaled(values, *full_range(values, name))
    pixels = values.reshape(-1, values.shape[2] if values.ndim == 3 else 1)
    full_range(pixels, name)  # values that are not finite have no place in any range
    low, high = asked.limits(pixels)
    return scaled(values, *((low, high) if values.ndim == 3 else (low[0], high[0])))
