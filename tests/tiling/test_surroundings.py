"""The square around a box: where it lies, and what it shows at the picture's border."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foveate.data.images import ArraySource
from foveate.tiling.surroundings import cut_out, surroundings


@given(
    st.floats(-5, 100), st.floats(-5, 100), st.floats(0.5, 60), st.floats(0.5, 60),
    st.sampled_from([0.0, 0.25, 1.0]),
)  # fmt: skip
def test_the_square_holds_the_box_in_its_middle(
    x: float, y: float, width: float, height: float, margin: float
) -> None:
    box = np.array([x, y, x + width, y + height], np.float32)
    tile = surroundings(box, margin, 32)
    x1, y1, x2, y2 = tile.box
    assert tile.width == tile.height >= max(width, height) * (1 + 2 * margin) - 1e-3
    assert abs((x1 + x2) - (box[0] + box[2])) <= 2.001
    assert abs((y1 + y2) - (box[1] + box[3])) <= 2.001
    inside = tile.to_tile(box[None])
    assert (inside >= -33 / tile.width).all()
    assert (inside <= 32 + 33 / tile.width).all()


def test_it_is_padded_where_the_picture_ends() -> None:
    picture = np.full((20, 20, 3), 200, np.uint8)
    tile = surroundings(np.array([0, 0, 8, 8], np.float32), 0.5, 16)
    assert tile.box == (-4, -4, 12, 12)
    shown = cut_out(ArraySource("p", picture), tile, 3, padding=7)
    assert (shown[:4] == 7).all()
    assert (shown[:, :4] == 7).all()
    assert (shown[4:, 4:] == 200).all()


def test_a_square_outside_the_picture_is_all_padding() -> None:
    tile = surroundings(np.array([40, 40, 44, 44], np.float32), 0.0, 8)
    source = ArraySource("p", np.full((20, 20, 3), 9, np.uint8))
    assert (cut_out(source, tile, 3, padding=5) == 5).all()
