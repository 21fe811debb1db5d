"""The fold against the sequential reference on a million random rows."""

import pytest

from vidagg_dagster_tests.support.folded import assert_equals_reference
from vidagg_dagster_tests.support.strategies import ZONES, random_events


@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_random_rows_a_seed_give_the_reference_s_rows(seed: int) -> None:
    assert_equals_reference(random_events(1_000 + seed, n_users=2_200), ZONES[seed % len(ZONES)])
