"""Delta's logs hold no ids of users: they would outlive an erased user."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.tables.delta_log import delta_schema
from vidagg_dagster.tables.maintenance import MIN_FILES, maintain
from vidagg_dagster_tests.support.byte_search import files_that_hold

SETTING = "delta.dataSkippingNumIndexedCols"


@pytest.mark.parametrize("setting", ["0", "32"], ids=["of today", "of an earlier version"])
def test_compaction_writes_no_ids_into_the_log(tmp_path: Path, setting: str) -> None:
    place = tmp_path / RAW_EVENTS.name
    table = DeltaTable.create(
        str(place),
        delta_schema(RAW_EVENTS),
        partition_by=["event_date"],
        configuration={SETTING: "0"},
    )
    schema = pa.schema(pa.schema(table.schema().to_arrow()))
    values = {name: [None] for name in schema.names}
    row = pa.table({**values, "event_date": [date(2026, 1, 5)], "userId": ["zoe"]}, schema=schema)
    for _ in range(MIN_FILES):
        write_deltalake(str(place), row, mode="append")
    DeltaTable(str(place)).alter.set_table_properties({SETTING: setting})
    [done] = maintain(tmp_path)
    assert done.compacted == {"2026-01-05": MIN_FILES}
    assert [name for name in files_that_hold(place, "zoe") if name.startswith("_delta_log")] == []
