"""The statements of docs/privacy.md, run as they stand there."""

import re
import uuid
from collections import Counter
from typing import Any

from pyspark.sql import SparkSession

from vidagg_dagster.core.insight_schemas import AUDIENCE_STATUS
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.tables.catalog import CatalogTables
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.table_store import DAY_1

OF_USERS = (RAW_EVENTS, SESSIONS, WATCH_INTERVALS, USER_VIDEO_ENGAGEMENT)
COUNTS = {"input": 5, "accepted": 3, "rejected": 2}


def statements(user: str) -> list[str]:
    page = (REPO / "docs" / "privacy.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sql\n(.*?)^```", page, re.M | re.S)
    escaped = user.replace("'", "\\'")  # Spark's own; Databricks takes both
    return [part.strip().replace("USER", escaped) for part in block.split(";") if part.strip()]


def padded(table: TableSpec, *rows: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(row.get(name) for name in table.column_names) for row in rows]


def test_the_statements_of_the_page_erase_one_user_and_keep_the_counts(
    catalog_spark: SparkSession,
) -> None:
    spark, schema = catalog_spark, f"vidagg_{uuid.uuid4().hex}"
    spark.sql(f"CREATE SCHEMA {schema}")
    tables = CatalogTables(spark, f"spark_catalog.{schema}")

    def write(table: TableSpec, *rows: dict[str, Any]) -> None:
        dated = [{"event_date": DAY_1, **row} for row in rows]
        frame = spark.createDataFrame(padded(table, *dated), table.struct)
        tables.replace_days(table, frame, [DAY_1])

    users = [{"userId": user} for user in ("zoe", "zoe", "anna")]
    for table in OF_USERS:
        write(table, *users)
    write(REJECTED_EVENTS, {"payload": "zoe,s,v"}, {"payload": "anna,s,v"})
    write(INGESTION_COUNTS, *[{"measure": name, "value": n} for name, n in COUNTS.items()])
    lifetime = [{"userId": user, "videoId": "v"} for user in ("zoe", "anna")]
    frame = spark.createDataFrame(
        padded(AGGREGATED_ENGAGEMENT, *lifetime), AGGREGATED_ENGAGEMENT.struct
    )
    tables.upsert(AGGREGATED_ENGAGEMENT, frame, None, {})

    due = [{"userId": user, "videoId": "v"} for user in ("zoe", "anna")]
    frame = spark.createDataFrame(padded(AUDIENCE_STATUS, *due), AUDIENCE_STATUS.struct)
    tables.replace_all(AUDIENCE_STATUS, frame)

    spark.sql(f"USE {schema}")
    try:
        for statement in statements("zoe"):
            spark.sql(statement)
    finally:
        spark.sql("USE default")

    for table in (*OF_USERS, AGGREGATED_ENGAGEMENT, AUDIENCE_STATUS):
        assert {row["userId"] for row in tables.read(table).collect()} == {"anna"}
    payloads = Counter(row["payload"] for row in tables.read(REJECTED_EVENTS).collect())
    assert payloads == {"(erased)": 1, "anna,s,v": 1}
    counted = {row["measure"]: row["value"] for row in tables.read(INGESTION_COUNTS).collect()}
    assert counted == {**COUNTS, "accepted": 1, "ignored": 2, "ignored:erased": 2}
    spark.sql(f"DROP SCHEMA {schema} CASCADE")
