from __future__ import annotations

import numpy as np
import pytest

from foveate.errors import UsageError
from foveate.evaluation import SIZE_BINS, SizeBins, parse_size_bins


def test_coco_bins_are_pycocotools_area_ranges() -> None:
    assert SIZE_BINS["coco"].areas == ((0, 32**2), (32**2, 96**2), (96**2, 1e5**2))


@pytest.mark.parametrize("name", sorted(SIZE_BINS))
def test_presets_are_named_and_consistent(name: str) -> None:
    bins = SIZE_BINS[name]
    assert bins.name == name
    assert len(set(bins.labels)) == len(bins.labels) == len(bins.sides)
    assert all(low < high for low, high in bins.sides)
    assert parse_size_bins(f" {name.upper()} ") is bins


def test_edges_make_bins() -> None:
    bins = parse_size_bins("0,8,16,32,64")
    assert bins.labels == ("0-8", "8-16", "16-32", "32-64")
    assert bins.sides == ((0, 8), (8, 16), (16, 32), (32, 64))


def test_last_edge_may_be_infinite() -> None:
    bins = parse_size_bins("4, 12.5, inf")
    assert bins.labels == ("4-12.5", "12.5+")
    assert bins.sides[-1] == (12.5, 1e5)


@pytest.mark.parametrize(
    "text", ["", "8", "8,8", "16,8", "-1,8", "0,nan", "nan,4", "inf,inf", "a,b", "kitti", "0,8,"]
)
def test_bad_bins_say_what_to_give(text: str) -> None:
    with pytest.raises(UsageError, match=r"size bins .*coco, ai-tod.*0,8,16") as caught:
        parse_size_bins(text)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_an_object_on_an_edge_is_in_both_bins() -> None:
    bins = SizeBins("x", ("a", "b"), ((0, 8), (8, 16)))
    boxes = np.array([[0, 0, 8, 8], [5, 5, 9, 21], [0, 0, 3, 3], [0, 0, 40, 40]], np.float32)
    np.testing.assert_array_equal(
        bins.holds(boxes), [[True, True, True, False], [True, True, False, False]]
    )
    assert bins.holds(boxes[:0]).shape == (2, 0)
