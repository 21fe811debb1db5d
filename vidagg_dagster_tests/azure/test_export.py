"""Rows to Log Analytics by Microsoft's SDK, and what view and workbook make of them there."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb_kql
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tools.kql_pages import FOLDER
from vidagg_dagster.azure.check import check
from vidagg_dagster.azure.export import (
    TABLE,
    Exporter,
    ExportTarget,
    changed_rows,
    parse_export,
    view,
)
from vidagg_dagster.core.errors import ExportBusyError, ExportError
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster_tests.support.fake_azure_ingestion import FakeIngestion, fake_ingestion
from vidagg_dagster_tests.support.fake_azure_logs import Credential
from vidagg_dagster_tests.support.kql_binder import KQL_TYPES, require_binder
from vidagg_dagster_tests.support.repository import REPO

FIRST, SECOND = datetime(2026, 1, 6, 2, tzinfo=UTC), datetime(2026, 1, 7, 2, tzinfo=UTC)


@pytest.fixture
def ingestion(tmp_path: Path) -> Iterator[FakeIngestion]:
    with fake_ingestion(tmp_path) as server:
        yield server


def exporter(ingestion: FakeIngestion) -> Exporter:
    return Exporter(parse_export(ingestion.address), Credential(), **ingestion.options)


def rows(count: int, text: str = "") -> list[dict[str, Any]]:
    return [{"userId": f"u{number}", "videoTitle": text} for number in range(count)]


def test_all_rows_arrive_in_calls_that_the_service_takes(ingestion: FakeIngestion) -> None:
    sent = rows(500, text="long title " * 500)
    exporter(ingestion).send(sent)
    assert ingestion.rows == sent
    assert len(ingestion.calls) > 2


def test_a_busy_service_is_asked_again(ingestion: FakeIngestion) -> None:
    ingestion.replies.extend([429, 503])
    exporter(ingestion).send(rows(3))
    assert ingestion.rows == rows(3)


def test_a_service_that_stays_busy_may_be_tried_later(ingestion: FakeIngestion) -> None:
    ingestion.replies.extend([503] * 20)
    with pytest.raises(ExportBusyError, match="busy"):
        exporter(ingestion).send(rows(3))
    assert ExportBusyError.retryable


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_names_the_role_that_is_lacking(ingestion: FakeIngestion, status: int) -> None:
    ingestion.replies.append(status)
    with pytest.raises(ExportError, match="role Monitoring Metrics Publisher"):
        exporter(ingestion).send(rows(1))


def test_rows_that_do_not_fit_the_rule_are_an_error(ingestion: FakeIngestion) -> None:
    ingestion.replies.append(400)
    with pytest.raises(ExportError, match="does not take the rows"):
        exporter(ingestion).send(rows(1))


def test_an_address_is_endpoint_rule_and_stream() -> None:
    address = "https://e.westeurope-1.ingest.monitor.azure.com/dcr-1/Custom-VidaggEngagement_CL"
    assert parse_export(address) == ExportTarget(
        "https://e.westeurope-1.ingest.monitor.azure.com", "dcr-1", f"Custom-{TABLE}"
    )
    with pytest.raises(ValueError, match="endpoint, rule and stream"):
        parse_export("https://e.example/rule/stream")


def test_only_rows_computed_since_are_sent_in_the_form_of_the_service(tmp_path: Path) -> None:
    table = pa.table(
        {
            "userId": ["u", "w"],
            "totalWatchTime": [1.5, None],
            "watchedIntervals": [[{"startMs": 0, "endMs": 1500}], []],
            "activeDays": [[date(2026, 1, 5)], [date(2026, 1, 6)]],
            "processedAt": pa.array([FIRST, SECOND], pa.timestamp("us", "UTC")),
        }
    )
    write_deltalake(tmp_path / AGGREGATED_ENGAGEMENT.name, table)
    (everything,) = changed_rows(tmp_path, None)
    assert everything[0] == {
        "TimeGenerated": "2026-01-06T02:00:00.000000Z",
        "userId": "u",
        "totalWatchTime": 1.5,
        "watchedIntervals": [{"startMs": 0, "endMs": 1500}],
        "activeDays": ["2026-01-05"],
        "processedAt": "2026-01-06T02:00:00.000000Z",
    }
    ((later,),) = changed_rows(tmp_path, FIRST)
    assert later["userId"] == "w"
    assert list(changed_rows(tmp_path, SECOND)) == []


# --- in Azure -------------------------------------------------------------------------------------


def workbook_queries() -> dict[str, str]:
    """Title of a tile -> its query."""
    workbook = json.loads((REPO / FOLDER / "workbook.json").read_text("utf-8"))
    assert workbook["version"] == "Notebook/1.0"
    return {
        item["content"]["title"]: item["content"]["query"]
        for item in workbook["items"]
        if item["type"] == 3
    }


def declared() -> dict[str, str]:
    return {
        "TimeGenerated": "datetime",
        **{one.name: KQL_TYPES[type(one.type)] for one in AGGREGATED_ENGAGEMENT.columns},
    }


def test_the_binder_takes_view_and_tiles_over_the_table() -> None:
    require_binder()
    checked = check({"view": view(), **workbook_queries()}, {TABLE: declared()})
    assert [found.findings for found in checked.values()] == [[]] * 5
    assert dict(checked["view"].columns) == declared()


def test_the_table_of_the_rule_has_the_columns_of_the_rows() -> None:
    columns = json.loads((REPO / FOLDER / f"{TABLE}.json").read_text("utf-8"))["columns"]
    found = {column["name"]: column["type"].replace("boolean", "bool") for column in columns}
    assert found == declared()


def test_of_rows_that_were_sent_twice_the_view_shows_the_latest_one() -> None:
    connection = duckdb_kql.connect()
    columns = {"userId": "VARCHAR", "videoId": "VARCHAR", "processedAt": "TIMESTAMP"}
    numbers = ("totalWatchTime", "watchPercentage", "sessionCount", "completionCount")
    columns |= dict.fromkeys((*numbers, "maxPositionReached", "videoDuration"), "DOUBLE")
    columns |= {"videoTitle": "VARCHAR", "engagementTier": "VARCHAR"}
    shown = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    connection.execute(f'CREATE TABLE "{TABLE}" ({shown})')
    for at, watched in ((1, 10.0), (2, 30.0), (2, 30.0)):
        connection.execute(
            f"INSERT INTO \"{TABLE}\" BY NAME SELECT 'u' AS userId, 'v' AS videoId, "
            f"DATE '2026-01-0{at}' AS processedAt, {watched} AS totalWatchTime, "
            "0 AS completionCount, 45 AS maxPositionReached, 'Low' AS engagementTier"
        )
    answer = duckdb_kql.execute(connection, view())
    names = [column[0] for column in answer.description or ()]
    (row,) = [dict(zip(names, values, strict=True)) for values in answer.fetchall()]
    assert (row["userId"], row["totalWatchTime"]) == ("u", 30.0)
    for title, query in workbook_queries().items():
        found = duckdb_kql.execute(connection, query).fetchall()
        assert len(found) == 1, title
