"""The process from which JVM Spark forks its Python workers."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from vidagg_dagster.spark.python_daemon import load


def told_by(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What comes in, and a line on the worker that got it."""
    import os
    import sys

    loaded = [name for name in ("numba", "pandas", "pydantic") if name in sys.modules]
    for batch in batches:
        told = [line for line in batch.column("told").to_pylist() if line]
        told.append(json.dumps({"daemon": os.getppid(), "loaded": loaded}))
        yield pa.RecordBatch.from_pydict({"told": told})


def test_two_functions_in_a_row_have_workers_of_one_daemon_that_has_loaded_their_libraries(
    jvm: SparkSession,
) -> None:
    rows = jvm.createDataFrame([("",)], "told string").coalesce(1)
    twice = rows.mapInArrow(told_by, "told string").mapInArrow(told_by, "told string")
    first, second = (json.loads(row["told"]) for row in twice.collect())
    assert first == second
    assert first["loaded"] == ["numba", "pandas", "pydantic"]


def test_a_library_that_is_not_there_is_left_out() -> None:
    load(["no_library_of_this_name", "json"])


def test_the_module_itself_loads_nothing() -> None:
    code = (
        "import sys, vidagg_dagster.spark.python_daemon;"
        "print([n for n in ('numba', 'pandas', 'pyarrow') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
