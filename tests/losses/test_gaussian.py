import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.losses import assign_gaussian

NONE = torch.zeros(0, 4)


def assign(boxes: list[list[float]], labels: list[int], ignore: torch.Tensor = NONE):  # type: ignore[no-untyped-def]
    table = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return assign_gaussian(table, torch.tensor(labels).long(), ignore, (16, 16), 2, 4)


@settings(deadline=None)
@given(
    st.floats(0, 62), st.floats(0, 62), st.floats(0.5, 40), st.floats(0.5, 40), st.integers(0, 1)
)
def test_even_the_tiniest_object_has_exactly_one_peak(
    x: float, y: float, width: float, height: float, label: int
) -> None:
    given_box = [x, y, min(x + width, 64), min(y + height, 64)]
    part = assign([given_box], [label])
    assert (part.heat == 1).sum() == 1
    row, column = torch.nonzero(part.heat[label] == 1)[0].tolist()
    assert column == min(15, int((given_box[0] + given_box[2]) / 8))
    assert row == min(15, int((given_box[1] + given_box[3]) / 8))
    assert part.heat[1 - label].max() == 0
    assert part.box_weight[row, column] == 1


def test_a_cell_regresses_the_nearer_of_two_objects() -> None:
    part = assign([[0, 0, 24, 24], [32, 32, 56, 56]], [0, 0])
    assert part.owner[3, 3] == 0
    assert part.owner[11, 11] == 1


def test_a_tiny_object_inside_a_large_one_keeps_its_centre_cell() -> None:
    part = assign([[0, 0, 64, 64], [30, 30, 33, 33]], [0, 0])
    assert part.owner[7, 7] == 1
    assert part.heat[0, 7, 7] == 1


def test_more_cells_learn_a_larger_box() -> None:
    small = assign([[28, 28, 34, 34]], [0]).box_weight
    large = assign([[12, 12, 52, 52]], [0]).box_weight
    assert (large > 0).sum() > (small > 0).sum() >= 1


def test_ignored_places_teach_nothing_unless_an_object_is_centred_there() -> None:
    ignore = torch.tensor([[0.0, 0.0, 32.0, 64.0]])
    part = assign([[8, 8, 16, 16]], [1], ignore)
    assert part.heat_weight[10, 2] == 0
    assert part.heat_weight[10, 12] == 1
    assert part.heat_weight[3, 3] == 1


def test_no_objects() -> None:
    part = assign([], [])
    assert part.heat.shape == (2, 16, 16)
    assert part.heat.max() == part.box_weight.max() == 0
    assert part.heat_weight.min() == 1
