"""Backfills as a person starts them: through the server, daemon and code location of `dagster dev`.

One server and one story, because each start costs half a minute.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from vidagg_dagster.engine.quality_rules import RULES
from vidagg_dagster.engine.schemas import (
    AGGREGATED_ENGAGEMENT,
    RAW_EVENTS,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.engine.session import SAIL
from vidagg_dagster.steps.contract import StepName
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.dagster_ui import ask, free_port, serving
from vidagg_dagster_tests.small_site import FIRST_DAY, Site, day, peter, write_site

pytestmark = pytest.mark.slow

REPO = Path(__file__).parent.parent
BACKFILL_SECONDS = 300
LIFETIME = AGGREGATED_ENGAGEMENT.name
EVERY_ASSET = [str(step) for step in StepName]
DAILY_ASSETS = [name for name in EVERY_ASSET if TABLES[name].partitioned]


class Ui:
    """What the asset pages of one code location can do and show."""

    def __init__(self, address: str) -> None:
        self.address = address

    def backfill(self, days: Sequence[date], assets: Sequence[str] = EVERY_ASSET) -> list[Any]:
        """Launches a backfill, waits for its end and gives its runs."""
        launched = ask(
            self.address,
            """mutation($params: LaunchBackfillParams!) {
                launchPartitionBackfill(backfillParams: $params) {
                    __typename
                    ... on LaunchBackfillSuccess { backfillId }
                    ... on PythonError { message }
                }
            }""",
            params={
                "assetSelection": [{"path": [name]} for name in assets],
                "partitionNames": [when.isoformat() for when in days],
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        deadline = time.monotonic() + BACKFILL_SECONDS
        while time.monotonic() < deadline:
            found = ask(
                self.address,
                """query($id: String!) {
                    partitionBackfillOrError(backfillId: $id) {
                        ... on PartitionBackfill {
                            status
                            error { message }
                            runs { id status assetSelection { path } tags { key value } }
                        }
                    }
                }""",
                id=launched["backfillId"],
            )["partitionBackfillOrError"]
            if found["status"] not in ("REQUESTED", "CANCELING", "COMPLETING", "FAILING"):
                assert found["status"] == "COMPLETED_SUCCESS", found
                runs: list[Any] = found["runs"]
                return runs
            time.sleep(1)
        pytest.fail(f"the backfill did not end within {BACKFILL_SECONDS} s: {found}")

    def materialized_days(self, asset: str) -> int:
        stats = ask(
            self.address,
            """query($key: AssetKeyInput!) {
                assetNodeOrError(assetKey: $key) {
                    ... on AssetNode { partitionStats { numMaterialized numFailed } }
                }
            }""",
            key={"path": [asset]},
        )["assetNodeOrError"]["partitionStats"]
        assert stats["numFailed"] == 0
        materialized: int = stats["numMaterialized"]
        return materialized

    def rows_shown(self, asset: str, when: date) -> int:
        """The row count that the asset's page shows for a day."""
        found = ask(
            self.address,
            """query($key: AssetKeyInput!, $partitions: [String!]) {
                assetNodeOrError(assetKey: $key) {
                    ... on AssetNode {
                        assetMaterializations(partitions: $partitions, limit: 1) {
                            metadataEntries { label ... on IntMetadataEntry { intValue } }
                        }
                    }
                }
            }""",
            key={"path": [asset]},
            partitions=[when.isoformat()],
        )["assetNodeOrError"]["assetMaterializations"]
        entries = {entry["label"]: entry.get("intValue") for entry in found[0]["metadataEntries"]}
        rows: int = entries["dagster/partition_row_count"]
        return rows

    def days_of_check(self, asset: str, check: str) -> dict[str, int]:
        """How many days of a check have which status."""
        found = ask(
            self.address,
            """query($key: AssetKeyInput!, $name: String!) {
                assetCheckExecutions(assetKey: $key, checkName: $name, limit: 100) {
                    status
                    evaluation { partition }
                }
            }""",
            key={"path": [asset]},
            name=check,
        )["assetCheckExecutions"]
        latest: dict[str, str] = {}
        for execution in found:  # newest first
            partition = (execution["evaluation"] or {}).get("partition")
            if partition:
                latest.setdefault(partition, execution["status"])
        return {status: list(latest.values()).count(status) for status in set(latest.values())}


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
    runs = ui.backfill(days)

    assert {run["status"] for run in runs} == {"SUCCESS"}
    # One run for the three days, one for what the look-back adds: the sessions of the day after.
    assert len(runs) <= 4, runs
    assert ui.materialized_days(RAW_EVENTS.name) == 3
    for asset in DAILY_ASSETS:
        assert ui.materialized_days(asset) >= 3, asset
    assert [ui.rows_shown(RAW_EVENTS.name, when) for when in days] == [13, 13, 13]
    for asset in DAILY_ASSETS:
        for rule in RULES[asset]:
            shown = ui.days_of_check(asset, rule.name)
            assert shown.get("SUCCEEDED", 0) >= 3, (asset, rule.name, shown)
            assert set(shown) <= {"SUCCEEDED"} or rule.name == "day_not_empty", (rule.name, shown)

    (row,) = (
        rows(site, LIFETIME)
        .filter(pa.compute.equal(rows(site, LIFETIME)["userId"], "peter"))
        .to_pylist()
    )
    assert (row["totalWatchTime"], row["totalUniqueSecondsWatched"]) == (390.0, 120.0)

    before = {name: rows(site, name) for name in EVERY_ASSET}
    versions = {name: DeltaTable(str(site.tables / name)).version() for name in EVERY_ASSET}
    ui.backfill([day(1)])
    assert {name: rows(site, name) for name in EVERY_ASSET} == before
    for name in DAILY_ASSETS:
        assert day(1).isoformat() in days_written(site, name, versions[name])
        assert day(0).isoformat() not in days_written(site, name, versions[name])

    site.write_day(day(1), peter(day(1)))
    ui.backfill([day(1)])
    assert ui.rows_shown(RAW_EVENTS.name, day(1)) == 6
    assert (
        rows(site, USER_VIDEO_ENGAGEMENT.name).num_rows
        == before[USER_VIDEO_ENGAGEMENT.name].num_rows - 2
    )
