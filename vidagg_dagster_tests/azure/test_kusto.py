"""Events from Azure Data Explorer by Microsoft's SDK: the same slices, the same rules."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from vidagg_dagster.azure.check import check
from vidagg_dagster.azure.kusto import KustoEvents
from vidagg_dagster.azure.landing import Landing
from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.pack import RawEvent
from vidagg_dagster.azure.source import WORKSPACE, KustoSource, columns_of, parse_kusto_source
from vidagg_dagster.core.errors import SourceBusyError, SourceError
from vidagg_dagster.defs.landing import LOGS, landing_assets, landing_resources
from vidagg_dagster.settings import Settings
from vidagg_dagster_tests.support.fake_azure_logs import WORKSPACE_ID, Credential, Reply
from vidagg_dagster_tests.support.fake_kusto import DATABASE, FakeKusto, fake_kusto
from vidagg_dagster_tests.support.kql_binder import require_binder
from vidagg_dagster_tests.support.kql_engine import azure

DAY = date(2026, 1, 5)
NOON = datetime(2026, 1, 5, 12)
COLUMNS = {"userId": "viewer"}


def events(count: int, at: datetime = NOON, every_ms: int = 100) -> list[RawEvent]:
    return [
        RawEvent(
            at + timedelta(milliseconds=number * every_ms),
            "video_progress",
            {"userId": "u", "sessionId": "s", "videoId": "v", "currentTime": f"{number}.5"},
        )
        for number in range(count)
    ]


@pytest.fixture
def kusto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKusto]:
    with azure([]) as tables, fake_kusto(tables, tmp_path) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
        yield server


def client_of(kusto: FakeKusto, table: str = "PlayerEvents") -> KustoEvents:
    return KustoEvents(KustoSource(kusto.cluster, DATABASE, table), Credential(), wait_s=0)


@pytest.fixture
def landing(kusto: FakeKusto, tmp_path: Path) -> Landing:
    return landing_of(client_of(kusto), tmp_path)


def landing_of(client: KustoEvents, folder: Path) -> Landing:
    return Landing(client, client.columns(COLUMNS), folder / "landed", dimensions=COLUMNS)


def rows_of(landing: Landing) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(
        landing.folder / f"{DAY}.parquet", partitioning=None
    ).to_pylist()
    return sorted(rows, key=lambda row: row["timestamp"])


def test_a_day_of_a_table_with_our_columns_becomes_one_file(
    kusto: FakeKusto, landing: Landing
) -> None:
    kusto.tables.add(events(2) + events(1, NOON + timedelta(days=1)))
    (landed,) = landing.land([DAY], DAY)
    assert (landed.state.rows, landed.state.sampled, landed.slices) == (2, 0, 1)
    first, _ = rows_of(landing)
    assert first == {
        "timestamp": NOON.replace(tzinfo=UTC),
        "userId": "u",
        "sessionId": "s",
        "videoId": "v",
        "eventName": "video_progress",
        "currentTime": "0.5",
        "playbackRate": "",
        "seekFrom": "",
        "eventId": "",
    }


@pytest.mark.parametrize("table", ["AppEvents", "customEvents"])
def test_a_copy_of_a_table_of_application_insights_is_read_as_such(
    kusto: FakeKusto, tmp_path: Path, table: str
) -> None:
    kusto.tables.add([one._replace(item_count=3) for one in events(2)])
    client = client_of(kusto, table)
    landing = Landing(client, client.columns({}), tmp_path / "landed")
    (landed,) = landing.land([DAY], DAY)
    assert landed.state.sampled == 4
    assert [row["currentTime"] for row in rows_of(landing)] == ["0.5", "1.5"]


def test_an_answer_over_the_limit_is_asked_for_in_halves(
    kusto: FakeKusto, landing: Landing
) -> None:
    kusto.tables.add(events(200))
    kusto.max_rows = 70
    (landed,) = landing.land([DAY], DAY)
    assert landed.slices > 3
    assert [row["currentTime"] for row in rows_of(landing)] == [f"{n}.5" for n in range(200)]


def test_an_error_after_the_rows_makes_the_answer_a_part(
    kusto: FakeKusto, landing: Landing
) -> None:
    kusto.tables.add(events(10))
    assert landing.states([DAY])[DAY].rows == 10
    kusto.late_errors.append("E_RUNAWAY_QUERY")
    with pytest.raises(SourceBusyError, match=r"could not be counted.*E_RUNAWAY_QUERY"):
        landing.states([DAY])
    assert landing.land([DAY], DAY)[0].slices == 1


@pytest.mark.parametrize("status", [413, 504])
def test_a_slice_that_is_too_much_is_halved(
    kusto: FakeKusto, landing: Landing, status: int
) -> None:
    kusto.tables.add(events(10))
    kusto.replies.extend([None, Reply(status, body={"error": {"code": "x", "message": "y"}})])
    assert landing.land([DAY], DAY)[0].slices == 2
    assert len(rows_of(landing)) == 10


def test_throttling_is_waited_for(kusto: FakeKusto, landing: Landing) -> None:
    kusto.tables.add(events(10))
    busy = [Reply(429, {"Retry-After": "0"}), Reply(503, {"Retry-After": "0"})]
    kusto.replies.extend([*busy, None, *busy])
    assert landing.land([DAY], DAY)[0].slices == 1


ERROR = {"error": {"code": "x", "message": "y", "@message": "z"}}
FAULTS: list[tuple[list[Reply], type[SourceError], str]] = [
    ([Reply(429, {"Retry-After": "0"})] * 4, SourceBusyError, "busy"),
    ([Reply(500, body=ERROR)], SourceBusyError, "no readable answer"),
    ([Reply(200)], SourceBusyError, "no readable answer"),
    ([Reply(401, body=ERROR)], SourceError, "viewer of the database videos"),
    ([Reply(403, body=ERROR)], SourceError, "viewer of the database videos"),
]


@pytest.mark.parametrize(("replies", "kind", "message"), FAULTS)
def test_what_the_service_does_not_give_is_an_error_and_writes_nothing(
    kusto: FakeKusto,
    landing: Landing,
    replies: list[Reply],
    kind: type[SourceError],
    message: str,
) -> None:
    kusto.tables.add(events(3))
    kusto.replies.extend([None, *replies])
    with pytest.raises(SourceError, match=message) as raised:
        landing.land([DAY], DAY)
    assert type(raised.value) is kind
    assert list(landing.folder.iterdir()) == []


def test_a_table_that_is_not_there_is_not_asked_for_again(kusto: FakeKusto) -> None:
    with pytest.raises(SourceError, match=r"does not take the query: .*Semantic error"):
        client_of(kusto, "Nowhere").columns({})
    assert len(kusto.queries) == 1


def test_a_table_without_what_an_event_needs_is_refused(kusto: FakeKusto) -> None:
    with pytest.raises(SourceError, match=r"PlayerEvents has no column at\. VIDAGG_COLUMNS"):
        client_of(kusto).columns({"timestamp": "at"})
    with pytest.raises(ValueError, match="column timestamp of T is of type string"):
        columns_of("T", {"timestamp": "string", "eventName": "string"}, {})


def test_late_events_make_their_day_land_anew(kusto: FakeKusto, landing: Landing) -> None:
    kusto.tables.add(events(3))
    landing.land([DAY], DAY)
    following = DAY + timedelta(days=1)
    assert [one.day for one in landing.land([following], DAY)] == [following]
    kusto.tables.add(events(1, NOON + timedelta(hours=1)), ingested=datetime(2026, 1, 9))
    assert [one.day for one in landing.land([following], DAY)] == [DAY, following]


def test_microsoft_s_binder_takes_the_queries(landing: Landing) -> None:
    require_binder()
    begin = NOON.replace(tzinfo=UTC)
    texts = {
        "states": landing.states_text([DAY]),
        "events": landing.events_text(begin, begin + timedelta(hours=1)),
    }
    types = dict.fromkeys(("eventName", "viewer", "sessionId", "videoId"), "string")
    tables = {"PlayerEvents": {"timestamp": "datetime", "currentTime": "real", **types}}
    assert [checked.findings for checked in check(texts, tables).values()] == [[], []]


def test_the_asset_is_given_the_client_of_its_source() -> None:
    for source, kind in (
        ("kusto://c.kusto.windows.net/d/T", KustoEvents),
        (f"{WORKSPACE}{WORKSPACE_ID}", LogsClient),
    ):
        settings = Settings(source=source)
        with dg.build_resources(landing_resources(settings)) as resources:
            assert isinstance(getattr(resources, LOGS), kind)
        assert len(landing_assets(settings)) == 1


def test_an_address_names_cluster_database_and_table() -> None:
    assert parse_kusto_source("kusto://c.westeurope.kusto.windows.net/my videos/T/") == (
        "c.westeurope.kusto.windows.net",
        "my videos",
        "T",
    )
