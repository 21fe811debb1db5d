"""Backfills as a person starts them: through the server, daemon and code location of `dagster dev`.

One server and one story, because each start costs half a minute.
"""

import os
import sys
from collections.abc import Iterator

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    RAW_EVENTS,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.dagster_ui import Ui, free_port, serving
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site, day, peter, write_site

LIFETIME = AGGREGATED_ENGAGEMENT.name
EVERY_ASSET = [str(step) for step in StepName]
DAILY_ASSETS = [name for name in EVERY_ASSET if TABLES[name].partitioned]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    require(SAIL)
    return write_site(tmp_path_factory.mktemp("site"), 4)


@pytest.fixture(scope="module")
def ui(site: Site) -> Iterator[Ui]:
    home = site.folder / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text((REPO / "dagster.yaml").read_text())
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VIDAGG_", "DAGSTER_"))}
    command = [
        *(sys.executable, "-m", "dagster", "dev", "-p", str(port)),
        *("-w", str(REPO / "workspace.yaml")),
    ]
    environment = {
        **kept,
        "DAGSTER_HOME": str(home),
        "VIDAGG_SOURCE": str(site.events),
        "VIDAGG_VIDEO_METADATA": str(site.videos),
        "VIDAGG_DATA_ROOT": str(site.tables),
        "VIDAGG_START_DATE": FIRST_DAY.isoformat(),
        "VIDAGG_ENGINE": SAIL,
    }
    with serving(command, port, cwd=site.folder, env=environment) as address:
        yield Ui(address)


def rows(site: Site, name: str) -> pa.Table:
    table = DeltaTable(str(site.tables / name)).to_pyarrow_table()
    if "processedAt" in table.column_names:
        table = table.drop_columns(["processedAt"])
    return table.sort_by([(column, "ascending") for column in TABLES[name].key])


def days_written(site: Site, name: str, since: int) -> set[str]:
    """The days of the files that were added after a version."""
    table = DeltaTable(str(site.tables / name))
    days: set[str] = set()
    for commit in table.history(int(table.version()) - since):
        days |= set(commit.get("vidagg.days", "").strip("[]").replace('"', "").split(", "))
    return days - {""}


def test_a_range_backfill_and_a_day_run_again(ui: Ui, site: Site) -> None:
    days = [day(0), day(1), day(2)]
    # The dialog offers every asset for exactly these days, the lifetime table too.
    assert ui.backfill_preview(days, EVERY_ASSET) == dict.fromkeys(EVERY_ASSET, (day(0), day(2)))
    [run] = ui.backfill(days, EVERY_ASSET)
    assert run["status"] == "SUCCESS"
    assert {asset["path"][0] for asset in run["assetSelection"]} == set(EVERY_ASSET)
    for asset in EVERY_ASSET:
        assert ui.materialized_days(asset) == 3, asset
    assert [ui.rows_shown(RAW_EVENTS.name, when) for when in days] == [13, 13, 13]
    for asset in DAILY_ASSETS:
        for rule in RULES[asset]:
            shown = ui.days_of_check(asset, rule.name)
            assert shown == {"SUCCEEDED": 3}, (asset, rule.name, shown)

    (row,) = (
        rows(site, LIFETIME)
        .filter(pa.compute.equal(rows(site, LIFETIME)["userId"], "peter"))
        .to_pylist()
    )
    assert (row["totalWatchTime"], row["totalUniqueSecondsWatched"]) == (390.0, 120.0)

    before = {name: rows(site, name) for name in EVERY_ASSET}
    versions = {name: DeltaTable(str(site.tables / name)).version() for name in EVERY_ASSET}
    ui.backfill([day(1)], EVERY_ASSET)
    assert {name: rows(site, name) for name in EVERY_ASSET} == before
    for name in DAILY_ASSETS:
        assert day(1).isoformat() in days_written(site, name, versions[name])
        assert day(0).isoformat() not in days_written(site, name, versions[name])

    site.write_day(day(1), peter(day(1)))
    ui.backfill([day(1)], EVERY_ASSET)
    assert ui.rows_shown(RAW_EVENTS.name, day(1)) == 6
    assert (
        rows(site, USER_VIDEO_ENGAGEMENT.name).num_rows
        == before[USER_VIDEO_ENGAGEMENT.name].num_rows - 2
    )
