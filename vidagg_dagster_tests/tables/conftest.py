"""Both kinds of tables, on every engine that writes them: one contract."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.table_store import Store


@pytest.fixture(params=["local-spark", "local-sail", "catalog"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "catalog":
        spark: SparkSession = request.getfixturevalue("catalog_spark")
        schema = f"vidagg_{uuid.uuid4().hex}"
        spark.sql(f"CREATE SCHEMA {schema}")
        yield Store(spark, schema)
        spark.sql(f"DROP SCHEMA {schema} CASCADE")
        return
    engine = request.param.removeprefix("local-")
    require(engine)
    with using(engine):
        session = engine_session(engine)
        # People's folders have blanks and letters that not every reader expects.
        yield Store(session, tmp_path / "Meine Daten ü")
