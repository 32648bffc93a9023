from __future__ import annotations

import pytest

from foveate.cli.measuring import duration, image_cost
from foveate.tiling import TilePlan


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.25, "0.25 s"), (41.2, "42 s"), (180, "3 min"), (9000, "2.5 h")],
)
def test_a_duration_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_one_picture_is_timed_in_a_process_of_its_own() -> None:
    cost = image_cost(TilePlan(size=64), 60, 50)
    assert 0 < cost.seconds < 30
    assert cost.megabytes is None or cost.megabytes > 30
    assert set(cost.to_dict()) == {"seconds", "peak_megabytes"}
