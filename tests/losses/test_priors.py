"""One prior for every box, against a plain loop that does what the docstring says."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou  # type: ignore[import-untyped]

from foveate.losses import Matching, PriorGrid, match_priors
from foveate.losses.priors import wanted_priors

NONE = torch.zeros(0, 4)
SIZES = torch.tensor([[[4.0, 5], [8, 6]], [[12, 10], [20, 24]]])
GRID = PriorGrid(SIZES, (8, 16), ((4, 6), (2, 3)))
ROWS = 2 * (4 * 6 + 2 * 3)


def row_of(level: int, row: int, column: int, kind: int) -> int:
    """By counting every prior up to it."""
    places = [
        (n, y, x, a)
        for n, (height, width) in enumerate(GRID.shapes)
        for y in range(height)
        for x in range(width)
        for a in range(2)
    ]
    return places.index((level, row, column, kind))


def likeness(box: list[float], size: list[float]) -> float:
    width, height = box[2] - box[0], box[3] - box[1]
    common = min(width, size[0]) * min(height, size[1])
    return common / (width * height + size[0] * size[1] - common)


def wanted_by_hand(box: list[float]) -> tuple[int, float]:
    sizes = SIZES.flatten(0, 1).tolist()
    best = max(range(len(sizes)), key=lambda i: likeness(box, sizes[i]))
    level = best // 2
    stride, (height, width) = GRID.strides[level], GRID.shapes[level]
    row = min(max(int((box[1] + box[3]) / 2 // stride), 0), height - 1)
    column = min(max(int((box[0] + box[2]) / 2 // stride), 0), width - 1)
    return row_of(level, row, column, best % 2), likeness(box, sizes[best])


def by_hand(
    found: torch.Tensor, boxes: torch.Tensor, ignore: torch.Tensor, least: float
) -> list[str]:
    """Of each prior: the number of its box, `none` for nothing there, `-` for not taught."""
    owners: dict[int, tuple[float, int]] = {}
    for number, box in enumerate(boxes.tolist()):
        row, like = wanted_by_hand(box)
        if like > owners.get(row, (-1.0, 0))[0]:
            owners[row] = (like, number)
    ignored = {wanted_by_hand(place)[0] for place in ignore.tolist()}
    seen = box_iou(found, boxes).amax(dim=1) if len(boxes) else torch.zeros(len(found))
    said = []
    for row, box in enumerate(found.tolist()):
        covered = any(share(box, place) >= 0.5 for place in ignore.tolist())
        if row in owners:
            said.append(str(owners[row][1]))
        else:
            silent = covered or row in ignored or seen[row] > least
            said.append("-" if silent else "none")
    return said


def share(box: list[float], place: list[float]) -> float:
    width = max(min(box[2], place[2]) - max(box[0], place[0]), 0)
    height = max(min(box[3], place[3]) - max(box[1], place[1]), 0)
    return width * height / ((box[2] - box[0]) * (box[3] - box[1]))


def in_words(matching: Matching) -> list[str]:
    rows = zip(*(part.tolist() for part in matching), strict=True)
    return [
        str(owner) if positive else "none" if taught else "-" for owner, positive, taught in rows
    ]


def drawn(seed: int, count: int, least: float, most: float) -> torch.Tensor:
    """Boxes on a tile of 32 by 48 px, some of them with their centres beyond it."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 50 - 5
    size = torch.rand(count, 2, generator=generator, dtype=torch.float64) * (most - least) + least
    return torch.cat([corner, corner + size], dim=1)


@given(
    st.integers(0, 2**31), st.integers(0, 12), st.integers(0, 3), st.sampled_from([0.2, 0.5, 0.7])
)
def test_does_what_a_plain_loop_does(seed: int, objects: int, places: int, least: float) -> None:
    found, boxes = drawn(seed, ROWS, 4, 20), drawn(seed + 1, objects, 2, 26)
    ignore = drawn(seed + 2, places, 5, 30)
    matching = match_priors(found, boxes, ignore, GRID, least)
    assert in_words(matching) == by_hand(found, boxes, ignore, least)


def test_the_prior_most_like_it_of_all_levels_at_the_cell_of_the_centre() -> None:
    boxes = torch.tensor([[1.0, 1, 5, 6], [33, 18, 45, 28], [46, 30, 50, 35]])
    rows, likeness = wanted_priors(boxes, GRID)
    # The third has its centre on the right edge: the last cell, and not one beyond.
    assert rows.tolist() == [row_of(0, 0, 0, 0), row_of(1, 1, 2, 0), row_of(0, 3, 5, 0)]
    assert likeness.tolist() == [1, 1, 1]


def test_of_two_boxes_that_want_one_prior_the_one_more_of_its_shape_gets_it() -> None:
    worse, better = [1.0, 1, 6, 6], [2.0, 1, 6, 6]
    for boxes, winner in (([worse, better], "1"), ([better, worse], "0"), ([better] * 2, "0")):
        words = in_words(match_priors(torch.zeros(ROWS, 4), torch.tensor(boxes), NONE, GRID, 0.7))
        assert words[0] == winner
        assert set(words[1:]) == {"none"}


def test_a_prior_that_finds_another_priors_object_is_left_in_peace() -> None:
    box = torch.tensor([[1.0, 1, 5, 6]])
    found = torch.zeros(ROWS, 4)
    found[5], found[6] = torch.tensor([1.0, 1, 5, 5]), torch.tensor([1.0, 1, 5, 3])  # .8 and .4
    for least, silent in ((0.7, [5]), (0.3, [5, 6]), (0.9, [])):
        words = in_words(match_priors(found, box, NONE, GRID, least))
        assert words[0] == "0"
        assert [i for i, word in enumerate(words) if word == "-"] == silent


def test_an_ignored_place_teaches_nothing_and_a_box_in_it_does() -> None:
    place = torch.tensor([[0.0, 0, 10, 10]])
    found = torch.zeros(ROWS, 4)
    found[7] = torch.tensor([5.0, 5, 12, 12])  # half of it lies in the place
    own = int(wanted_priors(place, GRID)[0])
    words = in_words(match_priors(found, NONE, place, GRID, 0.7))
    assert [i for i, word in enumerate(words) if word == "-"] == sorted({7, own})
    assert in_words(match_priors(found, place, place, GRID, 0.7))[own] == "0"
