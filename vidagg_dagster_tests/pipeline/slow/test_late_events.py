"""Late events are taken in by running the days that the report names."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName, StepResult
from vidagg_dagster.core.schemas import SOURCE_INVENTORY, TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.late_events import LATE, at, follow_up
from vidagg_dagster_tests.support.small_site import Site, anna, day, event, peter, write_site


def test_running_the_days_that_are_told_gives_the_tables_of_a_clean_run(
    sail: SparkSession, tmp_path: Path
) -> None:
    """Late events, one of which continues over midnight, against a site that had them in time."""
    steps = list(StepName)

    def run(site: Site, days: Sequence[date], now: datetime) -> StepResult:
        results = [
            run_step(sail, site.request(step, days).model_copy(update={"run_time": now}))
            for step in steps
        ]
        return results[0]

    def rows(site: Site) -> dict[str, list[dict[str, Any]]]:
        tables = open_tables(sail, site.request(StepName.SESSIONS, []).store)
        return {
            name: sorted(
                (
                    {k: v for k, v in row.items() if k not in ("processedAt", "sourceFile")}
                    for row in rows_of(tables.read(table))
                ),
                key=repr,
            )
            for name, table in TABLES.items()
            if table is not SOURCE_INVENTORY
        }

    late_rows = [
        event(day(1), "23:59:30", "mia", "video_play", 0, sessionId="night"),
        event(day(2), "00:00:30", "mia", "video_pause", 60, sessionId="night"),
        event(day(1), "08:00:00", "peter", "video_play", 0),
        event(day(1), "08:00:40", "peter", "video_pause", 40),
    ]
    site = write_site(tmp_path / "late", 4)
    for number in range(3):
        run(site, [day(number)], at(day(number + 1)))
    # The part after midnight was there in time, the part before it comes late.
    site.write_day(LATE, [row for row in late_rows if row["timestamp"].startswith(str(day(1)))])
    site.write_day(day(2), [*peter(day(2)), *anna(day(2)), late_rows[1]])
    nightly = run(site, [day(3)], at(day(4)))
    assert follow_up(nightly) == [1, 2]
    run(site, [day(n) for n in follow_up(nightly)], at(day(4)))

    clean = write_site(tmp_path / "clean", 4)
    clean.write_day(LATE, late_rows)
    run(clean, [day(number) for number in range(4)], at(day(4)))
    assert rows(site) == rows(clean)

    # Delivered once more, all of it: the days run again, and nothing changes but the counts.
    before = rows(site)
    site.write_day(LATE + timedelta(days=1), late_rows)
    again = run(site, [day(3)], at(day(4)))
    run(site, [day(n) for n in follow_up(again)], at(day(4)))
    after = rows(site)
    counts = ("ingestion_counts", "quality_report")
    assert {n: r for n, r in after.items() if n not in counts} == {
        n: r for n, r in before.items() if n not in counts
    }
    assert after["ingestion_counts"] != before["ingestion_counts"]
