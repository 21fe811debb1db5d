"""All events as one batch: what every other way of delivering them is compared with."""

import pytest

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.live.batch import Batch, LiveTables
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.live_site import (
    NOW,
    all_lines,
    deliver,
    live_site,
    request_of,
    run_nights,
)
from vidagg_dagster_tests.support.small_site import Site


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The live tables after one batch, and the daily run of the same file. To be read only."""
    require(SAIL)
    with using(SAIL):
        sail, lines = engine_session(SAIL), all_lines()
        site = live_site(tmp_path_factory.mktemp("whole"))
        deliver(site, "all.jsonl", lines)
        taken = LiveTables(sail, request_of(site)).take(Batch("one", 1, ["all.jsonl"]), NOW)
        assert taken.input == len(lines) == taken.events + taken.rejected
        run_nights(sail, site)
    return site
