"""Which steps are known to read at most so many rows, before they start."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from vidagg_dagster.core.contract import SourceSpec, StepName, StepRequest, TableStore
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, EVENT_DATE, RAW_EVENTS
from vidagg_dagster.runners.size import FEW_ROWS, at_most

DAY = date(2026, 1, 1)


def request(folder: Path, days: int = 1, kind: str = "local") -> StepRequest:
    source = folder / "events.parquet"
    return StepRequest(
        step=StepName.SESSIONS,
        days=tuple(DAY + timedelta(days=at) for at in range(days)),
        start_date=DAY,
        timezone="UTC",
        run_time=datetime(2026, 1, 2, tzinfo=UTC),
        store=TableStore.model_validate({"kind": kind, "location": str(folder / "data")}),
        source=SourceSpec(location=str(source)) if source.exists() else None,
    )


def store_day(folder: Path, day: date, rows: int) -> None:
    of_day = pa.table({"userId": ["a"] * rows, EVENT_DATE: [day] * rows})
    place = folder / "data" / RAW_EVENTS.name
    write_deltalake(place, of_day, mode="append", partition_by=[EVENT_DATE])


@pytest.mark.parametrize(("rows", "few"), [(100_000, True), (100_001, False)])
@pytest.mark.parametrize("days", [1, 31])
def test_of_the_first_days_the_source_tells(
    rows: int, few: bool, days: int, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"userId": ["a"] * rows}), tmp_path / "events.parquet")
    assert at_most(request(tmp_path, days), FEW_ROWS) is few


@pytest.mark.parametrize(("days", "few"), [(2, True), (3, False)])
def test_later_the_largest_day_tells_for_each_of_the_days(
    days: int, few: bool, tmp_path: Path
) -> None:
    for rows in (20_000, 25_000):
        store_day(tmp_path, DAY, rows)
    store_day(tmp_path, DAY + timedelta(days=1), 40_000)
    assert at_most(request(tmp_path, days), FEW_ROWS) is few


@pytest.mark.parametrize(("rows", "few"), [(100_000, True), (100_001, False)])
def test_a_table_without_days_is_read_as_a_whole(rows: int, few: bool, tmp_path: Path) -> None:
    store_day(tmp_path, DAY, 1)
    pairs = pa.table({"userId": ["a"] * rows})
    write_deltalake(tmp_path / "data" / AGGREGATED_ENGAGEMENT.name, pairs)
    assert at_most(request(tmp_path), FEW_ROWS) is few


def test_what_is_unknown_is_not_few(tmp_path: Path) -> None:
    assert not at_most(request(tmp_path), FEW_ROWS)
    pq.write_table(pa.table({"userId": ["a"]}), tmp_path / "events.parquet")
    assert at_most(request(tmp_path), FEW_ROWS)
    assert not at_most(request(tmp_path, kind="catalog"), FEW_ROWS)
