import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveate.evaluation.guarantee import kept_shares, least_mean, pictures_needed


@pytest.mark.parametrize("count", [1, 20, 299])
def test_without_a_miss_it_is_clopper_and_pearson_s(count: int) -> None:
    assert least_mean([1.0] * count) == pytest.approx(0.05 ** (1 / count))


def test_it_asks_for_as_many_pictures_as_the_bound_needs() -> None:
    for target in (0.5, 0.9, 0.95, 0.99):
        needed = pictures_needed(target)
        assert least_mean([1.0] * needed) >= target - 1e-9
        assert least_mean([1.0] * (needed - 1)) < target
    assert pictures_needed(0.99) == 299


def test_nothing_seen_is_nothing_known() -> None:
    assert least_mean([]) == 0
    assert least_mean([0.0, 0.0]) == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_it_lies_below_the_mean_and_grows_with_data(values: list[float]) -> None:
    bound = least_mean(values)
    assert 0 <= bound <= np.mean(values) + 1e-9
    assert least_mean(values * 4) >= bound - 1e-9


def test_it_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):
        # Pictures in which all objects are missed together, and others.
        values = np.where(rng.random(60) < 0.1, 0.0, rng.choice([0.5, 1.0], 60))
        wrong += least_mean(list(values)) > 0.9 * 0.75
    assert wrong <= 15


def test_shares_are_of_pictures_with_objects() -> None:
    levels = [np.array([0.1, 0.5], np.float32), np.zeros(0, np.float32), np.ones(3, np.float32)]
    assert kept_shares(levels, 0.5) == [0.5, 1.0]
