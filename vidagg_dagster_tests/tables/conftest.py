"""Both kinds of tables, on every engine that writes them: one contract."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.table_store import Database, Store

WITH_HISTORY = ("local-spark", "local-sail", "catalog")
WITHOUT_HISTORY = ("session-sail",)


@pytest.fixture(params=WITH_HISTORY)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Tables that keep a history: the whole contract holds for them."""
    yield from _store(request, tmp_path)


@pytest.fixture(params=[*WITH_HISTORY, *WITHOUT_HISTORY])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Any tables, for what holds without a history too."""
    yield from _store(request, tmp_path)


def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param in WITHOUT_HISTORY:
        require(SAIL)
        with using(SAIL):
            sail = engine_session(SAIL)
            name = f"vidagg_{uuid.uuid4().hex}"
            sail.sql(f"CREATE DATABASE {name} LOCATION '{(tmp_path / name).as_uri()}'")
            yield Store(sail, Database(name))
            sail.sql(f"DROP DATABASE {name} CASCADE")
        return
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
