import numpy as np
import pytest

from foveate.data.values import Reading, ValueRange, full_range, scaled, to_uint8
from foveate.errors import UsageError


@pytest.mark.parametrize("text", ["0:10000", "-5:5.5", "2%:98%", "0%:100%"])
def test_a_range_reads_what_it_says(text: str) -> None:
    assert str(ValueRange.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "5", "5:5", "9:1", "a:b", "2%:98", "0%:101%", "1:2:3", "0:inf"]
)
def test_a_range_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="value range"):
        ValueRange.parse(text)


@pytest.mark.parametrize("bands", [(), (0,), (1, -2)])
def test_bands_that_cannot_be(bands: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="numbers from 1"):
        Reading(bands)


def test_what_lies_beyond_a_range_is_clipped_and_the_rest_is_linear() -> None:
    values = np.array([[-100, 0, 500, 1000, 30000]], np.int32)
    assert to_uint8(values, "a", ValueRange(0, 1000)).tolist() == [[0, 0, 128, 255, 255]]
    assert to_uint8(values.astype(np.uint8), "a", ValueRange(0, 100)).dtype == np.uint8


def test_percentiles_are_taken_of_each_band() -> None:
    ramp = np.linspace(0, 1, 10_001).reshape(73, 137)
    values = np.stack([1000 * ramp, 5 + ramp], axis=2)
    image = to_uint8(values, "a", ValueRange(10, 90, percent=True))
    assert np.abs(image[..., 0].astype(int) - image[..., 1]).max() <= 1
    assert np.mean(image == 0) == pytest.approx(0.1, abs=0.01)
    assert np.mean(image == 255) == pytest.approx(0.1, abs=0.01)


def test_a_band_of_one_value_is_black() -> None:
    flat = np.full((4, 5, 2), 7, np.uint16)
    assert not to_uint8(flat, "a", ValueRange(2, 98, percent=True)).any()
    assert not scaled(flat, 7, 7).any()


@pytest.mark.parametrize(
    ("most", "kind", "expected"),
    [
        (1, "bool", (0, 1)),
        (300, "uint16", (0, 1023)),
        (4095, "uint16", (0, 4095)),
        (10_000, "int16", (0, 16_383)),
        (0.5, "float32", (0, 1)),
        (1.5, "float64", (0, 1.5)),
        (70_000, "int32", (0, 70_000)),
    ],
)
def test_the_range_holds_every_value(most: float, kind: str, expected: tuple[float, float]) -> None:
    assert full_range(np.array([0, most], kind), "a") == expected
    assert full_range(np.array([-3, most], "float32"), "a") == (-3, float(np.float32(most)))
