"""Events from Azure by Microsoft's SDK, landed as files: nothing lost, nothing doubled."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vidagg_dagster.azure.check import check
from vidagg_dagster.azure.landing import Landing
from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.pack import RawEvent
from vidagg_dagster.azure.source import RESOURCE, WORKSPACE, parse_log_source, parse_source
from vidagg_dagster.core.errors import SourceBusyError, SourceError
from vidagg_dagster_tests.support.fake_azure_logs import (
    RESOURCE_ID,
    WORKSPACE_ID,
    Credential,
    FakeLogs,
    Reply,
    fake_logs,
)
from vidagg_dagster_tests.support.kql_binder import require_binder
from vidagg_dagster_tests.support.kql_engine import azure

DAY = date(2026, 1, 5)
NEXT_DAY = date(2026, 1, 6)
NOON = datetime(2026, 1, 5, 12)
BUSY = Reply(429, {"Retry-After": "0"})


def events(count: int, at: datetime = NOON, every_ms: int = 100) -> list[RawEvent]:
    """So many events of a player, each at a position of its own."""
    return [
        RawEvent(
            at + timedelta(milliseconds=number * every_ms),
            "video_progress",
            {"userId": "u", "sessionId": "s", "videoId": "v", "currentTime": f"{number}.5"},
        )
        for number in range(count)
    ]


@dataclass
class Site:
    logs: FakeLogs
    landing: Landing

    def land(self, *days: date, since: date = date(2026, 1, 1)) -> dict[date, int]:
        """Lands days; gives what was written, with the number of slices."""
        return {one.day: one.slices for one in self.landing.land(days, since)}

    def rows(self, day: date = DAY) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(
            self.landing.folder / f"{day}.parquet", partitioning=None
        ).to_pylist()
        return rows


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with azure([]) as tables, fake_logs(tables, tmp_path) as logs:
        source = parse_log_source(f"{WORKSPACE}{WORKSPACE_ID}")
        client = LogsClient(source, Credential(), **logs.options)
        yield Site(logs, Landing(client, source.columns, tmp_path / "landed"))


def positions(site: Site, day: date = DAY) -> list[str]:
    return sorted(row["currentTime"] for row in site.rows(day))


def expected(count: int) -> list[str]:
    return sorted(f"{number}.5" for number in range(count))


def test_a_day_becomes_one_file_of_our_columns(site: Site) -> None:
    midnight = NOON.replace(hour=0)
    site.logs.tables.add(events(2) + events(1, midnight) + events(1, midnight + timedelta(1)))
    assert site.land(DAY) == {DAY: 1}
    first, *_ = sorted(site.rows(), key=lambda row: row["timestamp"])
    assert len(site.rows()) == 3
    assert first == {
        "timestamp": midnight.replace(tzinfo=UTC),
        "userId": "u",
        "sessionId": "s",
        "videoId": "v",
        "eventName": "video_progress",
        "currentTime": "0.5",
        "playbackRate": "",
        "seekFrom": "",
        "eventId": "",
    }


def test_a_resource_is_asked_for_its_own_table(site: Site, tmp_path: Path) -> None:
    source = parse_log_source(f"{RESOURCE}{RESOURCE_ID}")
    client = LogsClient(source, Credential(), **site.logs.options)
    site.landing = Landing(client, source.columns, tmp_path / "landed")
    site.logs.tables.add(events(3))
    site.land(DAY)
    assert positions(site) == expected(3)
    assert all(query.startswith("customEvents") for query in site.logs.queries)


def test_an_answer_over_the_limit_is_asked_for_in_halves(site: Site) -> None:
    burst = events(60, NOON + timedelta(hours=3), every_ms=0)
    later = [replaced(event, f"{100 + n}.5") for n, event in enumerate(burst)]
    site.logs.tables.add(events(200) + later)
    site.logs.max_rows = 70
    assert site.land(DAY)[DAY] > 4
    numbers = [*range(200), *range(100, 160)]
    assert positions(site) == sorted(f"{number}.5" for number in numbers)


def replaced(event: RawEvent, position: str) -> RawEvent:
    return event._replace(dims={**event.dims, "currentTime": position})


def test_slices_are_small_from_the_start_where_the_count_is_known(site: Site) -> None:
    site.logs.tables.add(events(48, NOON.replace(hour=0), every_ms=1_800_000))
    site.landing = replace(site.landing, rows_at_once=8)
    assert site.land(DAY) == {DAY: 6}
    assert pq.ParquetFile(site.landing.folder / f"{DAY}.parquet").num_row_groups == 6
    assert positions(site) == expected(48)


def test_more_at_one_instant_than_the_service_gives_is_an_error(site: Site) -> None:
    site.logs.tables.add(events(30, every_ms=0))
    site.logs.max_rows = 20
    with pytest.raises(SourceError, match="more events than the service gives at once"):
        site.land(DAY)
    assert list(site.landing.folder.iterdir()) == []


@pytest.mark.parametrize("status", [413, 504])
def test_a_slice_that_is_too_much_is_halved(site: Site, status: int) -> None:
    site.logs.tables.add(events(10))
    tries = 1 if status == 413 else 4
    site.logs.replies.extend([None, *[Reply(status)] * tries])
    assert site.land(DAY) == {DAY: 2}
    assert positions(site) == expected(10)


def test_throttling_is_waited_for(site: Site) -> None:
    site.logs.tables.add(events(10))
    site.logs.replies.extend([BUSY, BUSY, None, BUSY, Reply(503, {"Retry-After": "0"})])
    assert site.land(DAY) == {DAY: 1}
    assert positions(site) == expected(10)


def test_a_service_that_stays_busy_may_be_tried_again(site: Site) -> None:
    site.logs.replies.extend([BUSY] * 20)
    with pytest.raises(SourceBusyError, match=r"busy \(429\)"):
        site.land(DAY)
    assert SourceBusyError.retryable


def test_a_workspace_that_never_held_anything_is_no_error(site: Site) -> None:
    site.logs.replies.extend([Reply(204), Reply(204)])
    assert site.land(DAY) == {DAY: 1}
    assert site.rows() == []


def test_a_body_that_ends_early_is_an_error_and_writes_nothing(site: Site) -> None:
    site.logs.replies.extend([None, Reply(200)])
    with pytest.raises(SourceBusyError, match="no readable answer"):
        site.land(DAY)
    assert list(site.landing.folder.iterdir()) == []


def test_an_answer_with_fewer_events_than_counted_is_an_error(site: Site) -> None:
    site.logs.tables.add(events(10))
    nothing = {"tables": [{"name": "PrimaryResult", "columns": [], "rows": []}]}
    site.logs.replies.extend([None, Reply(200, body=nothing)])
    with pytest.raises(SourceError, match="counted 10 events and gave 0"):
        site.land(DAY)
    assert list(site.landing.folder.iterdir()) == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_names_the_role_that_is_lacking(site: Site, status: int) -> None:
    site.logs.replies.append(Reply(status, body={"error": {"message": "no", "code": "x"}}))
    with pytest.raises(SourceError, match="role Log Analytics Reader"):
        site.land(DAY)


def test_a_query_that_is_wrong_is_not_tried_again(site: Site) -> None:
    site.landing = replace(site.landing, columns=site.landing.columns._replace(table="Nowhere"))
    with pytest.raises(SourceError, match="does not take the query"):
        site.land(DAY)
    assert len(site.logs.queries) == 1


def test_tokens_that_expire_are_renewed(site: Site, tmp_path: Path) -> None:
    credential = Credential(lifetime_s=1)
    source = parse_log_source(f"{WORKSPACE}{WORKSPACE_ID}")
    client = LogsClient(source, credential, **site.logs.options)
    site.landing = Landing(client, source.columns, tmp_path / "landed")
    site.logs.tables.add(events(3))
    site.land(DAY)
    assert credential.given >= 2


def test_a_day_whose_late_events_have_arrived_is_landed_anew(site: Site) -> None:
    site.logs.tables.add(events(5))
    assert site.land(DAY) == {DAY: 1}
    assert site.land(NEXT_DAY) == {NEXT_DAY: 1}
    late = [replaced(event, "99.5") for event in events(1)]
    site.logs.tables.add(late, ingested=datetime(2026, 1, 7))
    assert site.land(NEXT_DAY) == {DAY: 1, NEXT_DAY: 1}
    assert positions(site) == sorted([*expected(5), "99.5"])
    assert site.land(NEXT_DAY) == {NEXT_DAY: 1}
    assert site.land(NEXT_DAY, since=NEXT_DAY) == {NEXT_DAY: 1}


def test_a_clock_of_azure_that_went_back_hides_no_late_events(site: Site) -> None:
    site.logs.tables.add(events(5), ingested=datetime(2026, 1, 9))
    site.land(DAY)
    site.logs.tables.add(events(1), ingested=datetime(2026, 1, 6))
    assert site.land(NEXT_DAY) == {DAY: 1, NEXT_DAY: 1}


def test_what_failed_leaves_the_file_that_was_there(site: Site) -> None:
    site.logs.tables.add(events(5))
    site.land(DAY)
    site.logs.tables.add(events(5), ingested=datetime(2026, 1, 7))
    site.logs.replies.extend([None, Reply(403)])
    with pytest.raises(SourceError):
        site.land(DAY)
    assert positions(site) == expected(5)
    site.land(DAY)
    assert positions(site) == sorted([*expected(5), *expected(5)])


def test_days_that_are_too_much_to_count_at_once_are_counted_in_halves(site: Site) -> None:
    site.logs.tables.add(events(5) + events(3, NOON + timedelta(days=1)))
    site.logs.replies.append(Reply(413))
    assert site.landing.states([DAY, NEXT_DAY])[NEXT_DAY].rows == 3
    assert len(site.logs.queries) == 3
    site.logs.replies.append(Reply(413))
    with pytest.raises(SourceBusyError, match="could not be counted"):
        site.landing.states([DAY])


def test_sampled_events_are_counted(site: Site) -> None:
    sampled = [event._replace(item_count=4) for event in events(2)]
    site.logs.tables.add([*events(3), *sampled])
    (landed,) = site.landing.land([DAY], DAY)
    assert landed.state.sampled == 6


def test_days_are_those_of_the_zone_also_when_the_clocks_change(site: Site) -> None:
    site.landing = replace(site.landing, timezone="Europe/Berlin", rows_at_once=2)
    changes = date(2026, 3, 29)
    midnight = datetime(2026, 3, 28, 23)
    inside = [midnight + timedelta(minutes=minutes) for minutes in (0, 119, 23 * 60 - 1)]
    outside = [midnight + timedelta(minutes=minutes) for minutes in (-1, 23 * 60)]
    site.logs.tables.add([one for at in (*inside, *outside) for one in events(1, at)])
    site.land(changes)
    assert sorted(row["timestamp"].replace(tzinfo=None) for row in site.rows(changes)) == inside


def test_events_of_a_site_that_are_none_of_a_player_s_are_left_alone(site: Site) -> None:
    one = events(1)[0]
    site.logs.tables.add(
        [
            one._replace(name=" Heartbeat "),
            one._replace(name="page_view", dims={"userId": "u"}),
            one._replace(name="quality_changed"),
            one._replace(name="Start", dims={}),
            one._replace(name="abspielen", dims={"user": "u"}),
        ]
    )
    site.landing = replace(site.landing, event_names=["Abspielen"])
    site.land(DAY)
    names = sorted(row["eventName"] for row in site.rows())
    assert names == [" Heartbeat ", "Start", "abspielen", "quality_changed"]


def test_dimensions_of_other_names_are_found(site: Site) -> None:
    event = events(1)[0]
    dims = {"viewer": "w", "at": "2026-01-05T11:59:59Z", **event.dims}
    site.logs.tables.add([event._replace(dims=dims)])
    site.landing = replace(site.landing, dimensions={"userId": "viewer", "timestamp": "at"})
    site.land(DAY)
    (row,) = site.rows()
    assert (row["userId"], row["timestamp"]) == ("w", "2026-01-05T11:59:59Z")


def test_microsoft_s_binder_takes_the_queries(site: Site) -> None:
    require_binder()
    landing = replace(site.landing, event_names=['say "hello"'], timezone="Europe/Berlin")
    begin = NOON.replace(tzinfo=UTC)
    texts = {
        "states": landing.states_text([DAY, NEXT_DAY]),
        "events": landing.events_text(begin, begin + timedelta(hours=1)),
    }
    assert [checked.findings for checked in check(texts).values()] == [[], []]


@pytest.mark.parametrize(
    "location", ["loganalytics://my-workspace", "appinsights://my-resource", "kusto://my-cluster"]
)
def test_an_address_that_names_nothing_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"is followed by "):
        parse_source(location)
