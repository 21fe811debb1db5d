"""The engine of the tests takes the KQL of the pack as Microsoft's own binder does."""

import pytest

from vidagg_dagster.azure.check import Checked
from vidagg_dagster.azure.pack import QUERIES
from vidagg_dagster_tests.support.kql_world import World


@pytest.mark.parametrize("query", QUERIES)
def test_the_binder_and_the_engine_of_the_tests_see_the_same_columns(
    checked: dict[str, Checked], world: World, query: str
) -> None:
    assert world.columns(query) == checked[query].columns
