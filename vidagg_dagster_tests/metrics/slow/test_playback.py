"""A million random rows: the fold gives what the sequential reference gives."""

import pytest

from vidagg_dagster_tests.support.folded import assert_folds_to_the_reference
from vidagg_dagster_tests.support.strategies import ZONES, random_events


@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_thousand_random_rows_a_seed_give_the_reference_s_rows(seed: int) -> None:
    events = random_events(1_000 + seed, n_users=2_200)
    assert len(events) > 100_000
    assert_folds_to_the_reference(events, ZONES[seed % len(ZONES)])
