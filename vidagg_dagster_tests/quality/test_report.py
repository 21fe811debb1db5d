"""The quality report: what it states of a day, and that it shows a step that died."""

from collections.abc import Sequence
from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import (
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
)
from vidagg_dagster.pipeline.run import open_tables, run_step
from vidagg_dagster.quality.report import MEASURES, measure_days
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster_tests.support import small_site
from vidagg_dagster_tests.support.quality_lab import BROKEN, DAYS, Lab, peters, when_peter
from vidagg_dagster_tests.support.small_site import Site, day


def test_the_report_states_what_happened_on_a_day(computed: Site, sail: SparkSession) -> None:
    tables = open_tables(sail, computed.request(StepName.QUALITY_REPORT, DAYS).store)
    rows = tables.read(QUALITY_REPORT, [day(0)]).collect()
    report = {row["measure"]: (row["value"], row["unit"]) for row in rows}
    assert set(report) == {measure.name for measure in MEASURES}
    assert {name: value for name, (value, _) in report.items() if value} == {
        "input": 13.0,
        "accepted": 13.0,
        "sessions": 2.0,
        "rows": 3.0,
        "users": 2.0,
        "videos": 2.0,
        "watch_seconds": 210.0,
        "unique_seconds": 200.0,
        "clock_seconds": 180.0,
        "estimated_tail_seconds": 90.0,
        "evidence_share:observed": 180 / 210,
        "evidence_share:heartbeat": 20 / 210,
        "evidence_share:clipped": 10 / 210,
        "completions": 1.0,
        "forward_skips": 1.0,
        "backward_skips": 1.0,
        "flag:seek_repaired": 1.0,
        "flag:open_ended": 1.0,
        "tier:High": 1.0,
        "tier:Low": 1.0,
        "tier:Minimal": 1.0,
    }
    assert report["watch_seconds"][1] == "seconds"


def test_a_day_without_rows_has_a_report_of_zeros(lab: Lab) -> None:
    measured_day = measure_days(lab.tables, [day(40)])[day(40)]
    assert measured_day == {measure.name: 0.0 for measure in MEASURES}


def test_pairs_whose_positions_are_all_beyond_the_video_are_counted(lab: Lab) -> None:
    beyond = F.transform(
        "visits",
        lambda visit: (
            visit.withField("exceedingCount", visit["eventCount"])
            .withField("eventCount", F.lit(0).cast("bigint"))
            .withField("openEndedCount", F.lit(0).cast("bigint"))
        ),
    )
    lab.change(SESSIONS, {"visits": beyond}, where=when_peter())
    assert measure_days(lab.tables, [BROKEN])[BROKEN]["pairs_without_valid_position"] == 1


def test_a_negative_watch_time_is_measured(lab: Lab) -> None:
    peters(USER_VIDEO_ENGAGEMENT, totalWatchTime=lambda: F.lit(-1.0))(lab)
    assert measure_days(lab.tables, [BROKEN])[BROKEN]["negative_watch_time"] == 1


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [REJECTED_EVENTS, RAW_EVENTS], ids=lambda table: table.name)
def test_a_crash_between_the_writes_of_raw_events_shows_until_the_day_runs_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, at: TableSpec
) -> None:
    """What is built on reads raw_events, which is written last: it never runs ahead."""
    lab.site.write_day(BROKEN, [*small_site.peter(BROKEN), {"nobody": "home"}])
    request = lab.site.request(StepName.RAW_EVENTS, [BROKEN])
    replace = LocalTables.replace_days

    def dies(self: LocalTables, table: TableSpec, frame: DataFrame, days: Sequence[date]) -> None:
        if table is at:
            raise _KilledError
        replace(self, table, frame, days)

    with monkeypatch.context() as patch:
        patch.setattr(LocalTables, "replace_days", dies)
        with pytest.raises(_KilledError):
            run_step(lab.spark, request)
    assert lab.tables.day_counts(RAW_EVENTS, [BROKEN]) == {BROKEN: 13}
    assert "input_reconciles" in lab.failed(QUALITY_REPORT)

    result = run_step(lab.spark, request)
    assert result.days[0].metrics["rejected"] == 1
    assert lab.tables.day_counts(RAW_EVENTS, [BROKEN]) == {BROKEN: 6}
    assert "input_reconciles" not in lab.failed(QUALITY_REPORT)
