"""Anchors and boxes, against a plain loop that does what the docstring says."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from foveate.errors import UsageError
from foveate.losses import Matching, MatchingConfig, match_anchors

NONE = torch.zeros(0, 4)
Box = list[float]


def iou(a: Box, b: Box) -> float:
    common = intersection(a, b)
    return common / (area(a) + area(b) - common)


def intersection(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def nwd(a: Box, b: Box, constant: float) -> float:
    (ax, ay, aw, ah), (bx, by, bw, bh) = (
        ((x[0] + x[2]) / 2, (x[1] + x[3]) / 2, x[2] - x[0], x[3] - x[1]) for x in (a, b)
    )
    apart = (ax - bx) ** 2 + (ay - by) ** 2
    return math.exp(-math.sqrt(apart + ((aw - bw) ** 2 + (ah - bh) ** 2) / 4) / constant)


def by_hand(
    anchors: list[Box], boxes: list[Box], ignore: list[Box], config: MatchingConfig
) -> list[str]:
    """Of each anchor: the number of its box, `none` for nothing there, `-` for not taught."""

    def overlap(a: Box, b: Box) -> float:
        return iou(a, b) if config.metric == "iou" else nwd(a, b, config.nwd_constant)

    claims: dict[int, tuple[float, int]] = {}
    for number, box in enumerate(boxes):
        overlaps = [overlap(box, anchor) for anchor in anchors]
        strength = max(overlaps)
        # Overlaps within a ten-thousandth are equal: of those the nearest anchor.
        equal = [i for i, one in enumerate(overlaps) if one >= strength * (1 - 1e-4)]
        best = min(equal, key=lambda i: math.dist(centre(box), centre(anchors[i])))
        if strength > config.best and strength > claims.get(best, (0.0, 0))[0]:
            claims[best] = (strength, number)
    said = []
    for i, anchor in enumerate(anchors):
        overlaps = [overlap(box, anchor) for box in boxes]
        highest = max(overlaps, default=0.0)
        ignored = any(
            intersection(place, anchor) / area(anchor) >= 0.5
            or overlap(place, anchor) >= config.negative
            for place in ignore
        )
        if i in claims:
            said.append(str(claims[i][1]))
        elif boxes and highest >= config.positive:
            said.append(str(overlaps.index(highest)))
        elif highest < config.negative and not ignored:
            said.append("none")
        else:
            said.append("-")
    return said


def in_words(matching: Matching) -> list[str]:
    rows = zip(*(part.tolist() for part in matching), strict=True)
    return [
        str(owner) if positive else "none" if taught else "-" for owner, positive, taught in rows
    ]


def drawn(seed: int, count: int, least: float, most: float) -> list[Box]:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 40
    size = torch.rand(count, 2, generator=generator, dtype=torch.float64) * (most - least) + least
    return torch.cat([corner, corner + size], dim=1).tolist()


@example(seed=360, objects=4, places=0, settings={"metric": "nwd"})
@given(
    st.integers(0, 2**31), st.integers(0, 6), st.integers(0, 3),
    st.sampled_from([
        {}, {"metric": "nwd"}, {"metric": "nwd", "positive": 0.8, "negative": 0.6},
        {"positive": 0.7, "negative": 0.3, "best": 0.3}, {"best": 1.0},
    ]),
)  # fmt: skip
def test_does_what_a_plain_loop_does(
    seed: int, objects: int, places: int, settings: dict[str, Any]
) -> None:
    config = MatchingConfig(**settings)
    anchors, boxes = drawn(seed, 60, 4, 20), drawn(seed + 1, objects, 2, 20)
    ignore = drawn(seed + 2, places, 5, 30)
    a, b, c = (
        torch.tensor(rows, dtype=torch.float64).reshape(-1, 4) for rows in (anchors, boxes, ignore)
    )
    assert in_words(match_anchors(a, b, c, config)) == by_hand(anchors, boxes, ignore, config)


def test_without_objects_all_that_is_not_ignored_learns_that() -> None:
    anchors = torch.tensor([[0.0, 0, 8, 8], [40, 40, 48, 48]])
    matching = match_anchors(anchors, NONE, torch.tensor([[0.0, 0, 20, 20]]), MatchingConfig())
    assert in_words(matching) == ["-", "none"]


def test_of_equally_good_anchors_the_nearest_is_the_best() -> None:
    # A 4-px object within 32-px anchors: one IoU for all, and one centre near its own.
    anchors = torch.tensor([[x, 0.0, x + 32, 32.0] for x in (0, 8, 16, 24)])
    matching = match_anchors(anchors, torch.tensor([[31.0, 14, 35, 18]]), NONE, MatchingConfig())
    assert in_words(matching) == ["none", "none", "0", "none"]


def test_an_ignored_object_is_neither_right_nor_wrong() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 13, 13], [0, 0, 40, 40]])
    matching = match_anchors(anchors, NONE, torch.tensor([[0.0, 0, 10, 10]]), MatchingConfig())
    assert in_words(matching) == ["-", "-", "none"]  # the second matches it with an IoU of .59


def test_a_box_in_an_ignored_place_still_teaches() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10]])
    place = torch.tensor([[0.0, 0, 20, 10]])
    matching = match_anchors(anchors, anchors[:1], place, MatchingConfig())
    assert in_words(matching) == ["0", "-"]


def test_nwd_tells_near_from_far_where_boxes_do_not_overlap() -> None:
    anchors = torch.tensor([[6.0, 0, 10, 4], [60, 0, 64, 4]])
    tiny = torch.tensor([[0.0, 0, 4, 4]])
    assert in_words(match_anchors(anchors, tiny, NONE, MatchingConfig())) == ["none", "none"]
    matching = match_anchors(anchors, tiny, NONE, MatchingConfig(metric="nwd"))
    assert in_words(matching) == ["0", "none"]


def test_thresholds_in_the_wrong_order() -> None:
    with pytest.raises(UsageError, match=r"negative must be at most positive \(0.3\), got 0.4"):
        MatchingConfig.from_dict({"positive": 0.3})
