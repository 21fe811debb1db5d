"""The quality report: what it states of a day, zeros included."""

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import QUALITY_REPORT, SESSIONS, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.quality.report import MEASURES, measure_days
from vidagg_dagster.tables.open import open_tables
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
