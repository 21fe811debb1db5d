"""When days run by themselves: the schedule, and the sensor for late events."""

import itertools
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from vidagg_dagster.core.days import stretches
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.jobs import daily_engagement
from vidagg_dagster.defs.metadata import FOLLOW_UP
from vidagg_dagster.defs.schedules import daily_schedule
from vidagg_dagster.defs.sensors.alerts import alerts
from vidagg_dagster.defs.sensors.late_events import late_events, late_runs
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.operations import OperationsSettings
from vidagg_dagster_tests.support.repository import REPO

ZONE = "Europe/Berlin"


def settings(**values: Any) -> Settings:
    return Settings(start_date=date(2025, 1, 1), timezone=ZONE, **values)


def project(**values: Any) -> dg.Definitions:
    chosen = settings(**values)
    return dg.Definitions(
        assets=build_assets(chosen),
        jobs=[daily_engagement],
        schedules=[daily_schedule(chosen)],
        sensors=[late_events(chosen), alerts(chosen)],
        resources={"steps": object()},
    )


def runs(first: datetime, days: int, hour: int) -> list[tuple[datetime, str]]:
    """When the schedule ticks from `first` on, and which partition each tick asks for."""
    definitions = project(operations=OperationsSettings(schedule_hour=hour))
    schedule = definitions.get_schedule_def("daily_engagement_schedule")
    ticks = itertools.takewhile(
        lambda tick: tick < first + timedelta(days=days),
        schedule_execution_time_iterator(
            first.timestamp(), str(schedule.cron_schedule), schedule.execution_timezone
        ),
    )
    found = []
    for tick in ticks:
        context = dg.build_schedule_context(scheduled_execution_time=tick)
        data = schedule.evaluate_tick(context)
        assert data.run_requests is not None
        [request] = data.run_requests
        assert request.partition_key is not None
        found.append((tick, request.partition_key))
    return found


@pytest.mark.parametrize("hour", [0, 2, 3])
@pytest.mark.parametrize(
    ("before", "utc_hours"),
    [
        # 02:00 does not exist on 2026-03-29: Dagster runs at 03:00, which is 01:00 UTC.
        (date(2026, 3, 27), {0: [23, 23, 22], 2: [1, 1, 0], 3: [2, 1, 1]}),
        # It comes twice on 2026-10-25: the second one, at 01:00 UTC, counts.
        (date(2026, 10, 23), {0: [22, 22, 23], 2: [0, 1, 1], 3: [1, 2, 2]}),
    ],
)
def test_every_day_runs_once_also_where_the_clock_changes(
    before: date, utc_hours: dict[int, list[int]], hour: int
) -> None:
    first = datetime(before.year, before.month, before.day, 12, tzinfo=ZoneInfo(ZONE))
    found = runs(first, 3, hour)
    assert [partition for _, partition in found] == [
        (before + timedelta(days=n)).isoformat() for n in range(3)
    ]
    assert [tick.astimezone(ZoneInfo("UTC")).hour for tick, _ in found] == utc_hours[hour]


def test_schedule_and_sensors_wait_to_be_switched_on_and_say_what_they_do() -> None:
    definitions = project()
    schedule = definitions.get_schedule_def("daily_engagement_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.execution_timezone == ZONE
    assert "02:00 (Europe/Berlin)" in (schedule.description or "")
    for name in ("late_events", "alerts"):
        sensor = definitions.get_sensor_def(name)
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
        assert len(sensor.description or "") > 100


def days(*numbers: int) -> list[date]:
    return [date(2026, 1, number) for number in numbers]


@pytest.mark.parametrize(
    ("given", "most", "expected"),
    [
        ([], 31, []),
        ([5], 31, [[5]]),
        ([5, 6, 8], 31, [[5, 6], [8]]),
        ([8, 5, 6, 5], 31, [[5, 6], [8]]),
        ([1, 2, 3, 4, 5], 2, [[1, 2], [3, 4], [5]]),
        ([1, 2, 3, 4, 5], 0, [[1, 2, 3, 4, 5]]),
    ],
)
def test_days_that_follow_each_other_run_together(
    given: list[int], most: int, expected: list[list[int]]
) -> None:
    assert stretches(days(*given), most) == [days(*part) for part in expected]


def test_the_same_days_of_the_same_inventory_are_asked_for_under_the_same_key() -> None:
    def keys(inventory: int, *numbers: int) -> list[str | None]:
        return [request.run_key for request in late_runs(days(*numbers), inventory, 31)]

    assert keys(7, 1, 2) == keys(7, 2, 1)
    assert keys(7, 1, 2) != keys(8, 1, 2)
    assert keys(7, 1, 2) != keys(7, 1)


def found_late(instance: dg.DagsterInstance, late: list[date], inventory: int = 3) -> None:
    """What a run of raw_events leaves behind, in a range of two days."""
    for partition in ("2026-01-09", "2026-01-10"):
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                "raw_events",
                partition=partition,
                metadata={
                    FOLLOW_UP: dg.MetadataValue.json(
                        {"days": [day.isoformat() for day in late], "inventory": inventory}
                    )
                },
            )
        )


def test_the_sensor_asks_for_exactly_the_late_days_once(instance: dg.DagsterInstance) -> None:
    definitions = project()
    sensor = definitions.get_sensor_def("late_events")
    cursor: str | None = None

    def tick() -> list[dg.RunRequest]:
        nonlocal cursor
        context = dg.build_sensor_context(
            instance, cursor=cursor, repository_def=definitions.get_repository_def()
        )
        data = sensor.evaluate_tick(context)
        cursor = data.cursor or cursor
        return list(data.run_requests or [])

    assert tick() == []
    found_late(instance, [])
    assert tick() == []
    found_late(instance, days(5, 6, 8))
    stretch, single = tick()
    assert stretch.tags["dagster/asset_partition_range_start"] == "2026-01-05"
    assert stretch.tags["dagster/asset_partition_range_end"] == "2026-01-06"
    assert single.partition_key == "2026-01-08"
    assert tick() == []
    # Only what the newest run says counts.
    found_late(instance, days(5))
    found_late(instance, [])
    assert tick() == []


def test_the_shipped_dagster_settings_are_the_same_wherever_they_are() -> None:
    assert (REPO / "dagster.yaml").read_text() == (
        REPO / "vidagg_dagster" / "dagster.yaml"
    ).read_text()
