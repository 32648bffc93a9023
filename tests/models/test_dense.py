"""Anchors as text and on a tile, the box coding, and the choice of candidates."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foveate.errors import UsageError
from foveate.models.anchors import AnchorGrid, format_anchors, parse_anchors
from foveate.models.dense import Dense, anchor_rows, best_candidates, decode_boxes, encode_boxes
from foveate.models.pyramid import Pyramid
from foveate.models.retinanet import RetinaNetConfig

side = st.integers(1, 9999).map(lambda tenths: tenths / 10)


@given(st.lists(st.lists(st.tuples(side, side), min_size=1, max_size=3), min_size=1, max_size=4))
def test_anchors_as_text_and_back(levels: list[list[tuple[float, float]]]) -> None:
    wanted = tuple(map(tuple, levels))
    assert parse_anchors(format_anchors(wanted)) == wanted


def test_spaces_do_not_matter() -> None:
    assert parse_anchors(" 10x13, 16x30.5 ;30x61,62x45") == (
        ((10, 13), (16, 30.5)), ((30, 61), (62, 45)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got ''"),
        ("automatic", "expected default, auto or sizes such as 10x13,16x30; .* got 'automatic'"),
        ("10x13,16x; 3x4", "got '16x'"),
        ("10x0; 3x4", "got '10x0'"),
        ("-1x3; 3x4", "got '-1x3'"),
        ("nanxnan; 3x4", "got 'nanxnan'"),
        ("1x2,3x4", "1 levels are given and the method has 2, of strides 8, 16; put a ';'"),
        ("1x2,3x4; 5x6", "every level needs as many as the others, got 2, 1"),
    ],
)
def test_anchors_that_cannot_be(text: str, said: str) -> None:
    backbone = {"strides": (8, 16)}
    with pytest.raises(UsageError, match=said) as caught:
        RetinaNetConfig.from_dict({"anchors": text, "extra_levels": 0, "backbone": backbone})
    assert "\n" not in str(caught.value)


def test_anchors_that_are_still_to_be_fitted() -> None:
    with pytest.raises(UsageError, match="auto needs training pictures"):
        _ = RetinaNetConfig(anchors="auto").anchor_sizes


def test_retinanets_own_anchors_are_those_of_the_paper() -> None:
    levels = RetinaNetConfig().anchor_sizes
    assert RetinaNetConfig().level_strides == (8, 16, 32, 64, 128)
    assert [len(level) for level in levels] == [9] * 5
    areas = [w * h for level in levels for w, h in level]
    assert min(areas) == pytest.approx(32**2)
    assert max(areas) == pytest.approx((512 * 2 ** (2 / 3)) ** 2)
    assert {round(h / w, 3) for level in levels for w, h in level} == {0.5, 1, 2}


def test_a_grid_goes_row_by_row_cell_by_cell_anchor_by_anchor() -> None:
    grid = AnchorGrid((((4.0, 2.0), (8.0, 8.0)), ((16.0, 16.0), (10.0, 20.0))), (8, 16))
    boxes = grid([torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 1, 2)])
    assert boxes.shape == (2 * (6 + 2), 4)
    assert boxes[0].tolist() == [2, 3, 6, 5]
    assert boxes[1].tolist() == [0, 0, 8, 8]
    assert boxes[2].tolist() == [10, 3, 14, 5]  # the next cell of the row
    assert boxes[6].tolist() == [2, 11, 6, 13]  # the next row
    assert boxes[12].tolist() == [0, 0, 16, 16]  # the next level
    assert boxes[-1].tolist() == [19, -2, 29, 18]


def test_rows_are_in_the_order_of_the_grid() -> None:
    level = torch.arange(2 * 3 * 2 * 3).reshape(1, 6, 2, 3)  # 2 anchors of 3 values
    rows = anchor_rows([level], 3)
    assert rows.shape == (1, 12, 3)
    assert rows[0, 3].tolist() == level[0, 3:, 0, 1].tolist()  # second cell, second anchor


@given(st.integers(0, 2**31))
def test_boxes_are_encoded_and_decoded(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, 50, 2, generator=generator) * 50
    size = torch.rand(2, 50, 2, generator=generator) * 30 + 1
    boxes, anchors = torch.cat([corner, corner + size], dim=2)
    found = decode_boxes(encode_boxes(boxes, anchors), anchors)
    torch.testing.assert_close(found, boxes, rtol=1e-4, atol=1e-3)


def test_absurd_deltas_stay_finite() -> None:
    deltas = torch.tensor([[0.0, 0, 1e4, -1e4]])
    box = decode_boxes(deltas, torch.tensor([[0.0, 0, 16, 16]]))
    assert torch.isfinite(box).all()
    assert (box[0, 2:] > box[0, :2]).all()


def test_the_best_candidates_of_all_levels_best_first() -> None:
    anchors = torch.tensor([[0.0, 0, 4, 4], [4, 0, 8, 4], [0, 0, 8, 8]])
    logits = torch.tensor([[[-3.0, 1.0], [2.0, -9.0], [-1.0, 3.0]]])
    found = best_candidates(Dense(logits, torch.zeros(1, 3, 4), anchors, (2, 1)), 4)
    assert found.boxes[0].tolist() == anchors[[2, 1, 0, 2]].tolist()
    assert found.labels.tolist() == [[1, 0, 1, 0]]
    assert found.scores[0].tolist() == pytest.approx(
        torch.tensor([3.0, 2, 1, -1]).sigmoid().tolist()
    )


def test_a_tile_with_fewer_anchors_than_candidates_has_unused_rows() -> None:
    dense = Dense(torch.zeros(2, 1, 2), torch.zeros(2, 1, 4), torch.tensor([[0.0, 0, 4, 4]]), (1,))
    found = best_candidates(dense, 5)
    assert found.scores.tolist() == [[0.5, 0.5, 0, 0, 0]] * 2


def test_a_pyramid_has_all_levels_each_half_the_one_before() -> None:
    pyramid = Pyramid([3, 5], width=4, extra=2).eval()
    fine, coarse = torch.zeros(1, 3, 6, 10), torch.zeros(1, 5, 3, 5)
    levels = pyramid([fine, coarse])
    sizes = [tuple(level.shape[1:]) for level in levels]
    assert sizes == [(4, 6, 10), (4, 3, 5), (4, 2, 3), (4, 1, 2)]
    changed = pyramid([fine, coarse + 1])
    # The coarser map is seen at the finer level, and the finer one at no coarser.
    assert not torch.equal(changed[0], levels[0])
    assert torch.equal(pyramid([fine + 1, coarse])[1], levels[1])
