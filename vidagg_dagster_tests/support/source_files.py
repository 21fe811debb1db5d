"""Source files of a good event, with the changes that a test needs, in every format."""

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    SourceSpec,
)
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.spark.payload import payload_text

GOOD: dict[str, Any] = {
    "timestamp": "2024-03-05T10:00:00Z",
    "userId": "u",
    "sessionId": "s",
    "videoId": "v",
    "eventName": "video_play",
    "currentTime": 1.5,
    "playbackRate": 1,
    "seekFrom": 2,
    "eventId": "e",
}


def read(spark: SparkSession, location: Path | str, **spec: Any) -> DataFrame:
    rows = read_source(spark, SourceSpec(location=str(location), **spec))
    return rows.withColumn("payload", payload_text(rows.schema))


def values(spark: SparkSession, location: Path | str, *columns: str, **spec: Any) -> list[Any]:
    """Values of columns of all rows, sorted; bare for a single column."""
    rows = read(spark, location, **spec).select(*columns).collect()
    found = [tuple(row) if len(columns) > 1 else row[0] for row in rows]
    return sorted(found, key=repr)


def write(path: Path, content: str | bytes | Iterable[str]) -> Path:
    """Write a file of text, bytes or lines; gzip if its name ends so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        data = content
    else:
        whole = content if isinstance(content, str) else "".join(f"{c}\n" for c in content)
        data = whole.encode("utf-8", "surrogatepass")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def event(**changes: Any) -> str:
    """`GOOD` with the given fields changed, as a JSON line."""
    return json.dumps({**GOOD, **changes}, ensure_ascii=False)


def parquet(path: Path, rows: Mapping[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(rows)), path, **options)
    return path


def typed(number: int = 1, /, **columns: Any) -> dict[str, Any]:
    """Columns of `number` rows of `GOOD`, with the given ones replaced; None drops one."""
    return {
        name: column
        for name, column in {**{n: [v] * number for n, v in GOOD.items()}, **columns}.items()
        if column is not None
    }


HEADER = ",".join(EVENT_COLUMNS)


MOMENT = datetime(2024, 3, 5, 10, 0, 0, 123_456, tzinfo=UTC)


WALL = MOMENT.replace(tzinfo=None)


def delta(path: Path, rows: Mapping[str, Any], **options: Any) -> Path:
    write_deltalake(path, pa.table(dict(rows)), **options)
    return path
