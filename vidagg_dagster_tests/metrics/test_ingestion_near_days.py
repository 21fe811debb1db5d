"""Of a source with typed times only rows near the days are read, and none of theirs is missed."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.metrics.ingestion import judge, near_days, of_days
from vidagg_dagster.sources.read import read_source

DAY = date(2026, 1, 5)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TIMES = [
    *(NOON + timedelta(hours=hours) for hours in range(-120, 121, 3)),
    *(None, datetime(1999, 1, 1, tzinfo=UTC), datetime(2150, 1, 1, tzinfo=UTC)),
]


@pytest.fixture
def source(tmp_path: Path) -> SourceSpec:
    rows = len(TIMES)
    table = pa.table(
        {
            "timestamp": pa.array(TIMES, pa.timestamp("us", tz="UTC")),
            "userId": [f"u{n}" for n in range(rows)],
            "sessionId": ["s"] * rows,
            "videoId": ["v"] * rows,
            "eventName": ["video_play"] * rows,
            "currentTime": pa.array([1.5] * rows),
        }
    )
    pq.write_table(table, tmp_path / "events.parquet")
    return SourceSpec(location=str(tmp_path / "events.parquet"))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_every_row_of_the_day_is_kept_in_any_zone_and_so_is_one_without_a_usable_time(
    spark: SparkSession, source: SourceSpec, zone: str
) -> None:
    rows = read_source(spark, source)
    near = near_days(rows, [DAY])
    assert near.count() < rows.count()

    def users(frame: object) -> list[str]:
        judged = judge(frame, spec=source, start_date=DAY, timezone=zone, run_time=None)  # type: ignore[arg-type]
        of_day = of_days(judged, F.col("event_date") == F.lit(DAY)).select("userId").collect()
        return sorted(row["userId"] for row in of_day)

    assert users(near) == users(rows)
    last = len(TIMES)
    assert {f"u{last - 1}", f"u{last - 2}", f"u{last - 3}"} <= set(users(near))


def test_of_a_table_the_engine_reads_only_the_parts_that_may_hold_the_days(
    jvm: SparkSession, source: SourceSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    jvm.read.parquet(source.location).createOrReplaceTempView("near_days")
    table = SourceSpec(location="near_days", format="table")
    near = near_days(read_source(jvm, table), [DAY])
    judge(near, spec=table, start_date=DAY, timezone="UTC", run_time=None).explain("formatted")
    (pushed,) = set(re.findall(r"PushedFilters: \[(.*?)\]", capsys.readouterr().out))
    assert "GreaterThanOrEqual(timestamp,2026-01-04" in pushed
    assert "LessThan(timestamp,2026-01-07" in pushed
    jvm.catalog.dropTempView("near_days")
