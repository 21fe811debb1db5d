"""One demo for all tests of it, and a loopback workspace with real Spark and Delta."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.spark.session import SAIL
from vidagg_dagster_tests.conftest import ConnectServer, require
from vidagg_dagster_tests.support.demo_run import demo
from vidagg_dagster_tests.support.fake_databricks.site import Databricks, databricks


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require(SAIL)
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="session")
def printed(folder: Path) -> str:
    return demo(folder)


@pytest.fixture
def place(
    connect_server: ConnectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Databricks]:
    """A workspace whose serverless compute is the Spark Connect server."""
    if connect_server.without_delta:
        pytest.skip(connect_server.without_delta)
    remote = {"SPARK_REMOTE": connect_server.address}
    with databricks(tmp_path / "workspace", serverless=remote) as running:
        for name, value in running.credentials.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def schema(catalog_spark: SparkSession, place: Databricks) -> Iterator[str]:
    name = f"video_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE SCHEMA {name}")
    place.workspace.catalog.schemas.append(f"spark_catalog.{name}")
    yield f"spark_catalog.{name}"
    catalog_spark.sql(f"DROP SCHEMA {name} CASCADE")
