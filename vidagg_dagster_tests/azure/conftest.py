"""What the tests of KQL share: the pack as checked, and as executed on many players."""

from collections.abc import Iterator

import pytest

from vidagg_dagster.azure.check import Checked, check
from vidagg_dagster_tests.support.kql_binder import TEXTS, require_binder
from vidagg_dagster_tests.support.kql_engine import azure, raw_events
from vidagg_dagster_tests.support.kql_world import World, players


@pytest.fixture(scope="package")
def checked() -> dict[str, Checked]:
    """All of `TEXTS`, checked by one process of Node."""
    require_binder()
    return check(TEXTS)


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    """Many players in the tables of Azure."""
    events, durations = players()
    with azure(raw_events(events)) as tables:
        yield World(tables, events, durations)
