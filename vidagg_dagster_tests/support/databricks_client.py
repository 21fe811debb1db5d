"""Days with the real client of a serverless environment as the only Spark of the tasks.

The client speaks to Spark's own Connect server, whose workers are the environment's Python. This
finds what PySpark itself would hide: databricks-connect is older, and is no PySpark with a JVM.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SPARK, StepName, TableStore
from vidagg_dagster.core.schemas import SOURCE_INVENTORY
from vidagg_dagster.spark.connect import connect
from vidagg_dagster.spark.session import using
from vidagg_dagster_tests.conftest import delta_conf, require
from vidagg_dagster_tests.support.connect_server import serving
from vidagg_dagster_tests.support.databricks_day import Place, deploy_and_run
from vidagg_dagster_tests.support.databricks_rows import Rows, local_rows, stored
from vidagg_dagster_tests.support.fake_databricks.site import Databricks, databricks
from vidagg_dagster_tests.support.interpreters import environment, interpreter
from vidagg_dagster_tests.support.small_site import day


@dataclass(frozen=True)
class Client:
    """What a serverless environment has."""

    python: str
    connect: str
    more: tuple[str, ...] = ()


CLIENTS: Final[Mapping[str, Client]] = {
    "2": Client("3.11", "15.4"),
    "3": Client("3.12", "16.4"),
    # The others compute without a compiler.
    "4": Client("3.12", "17.3", ("numba",)),
}
"""By the version of the environment."""

NEWEST: Final = "4"


@dataclass(frozen=True)
class Ran:
    """What came of the days: the rows that they left, those of a local run, and what is there."""

    rows: Rows
    expected: Rows
    python: Path
    address: str


@contextmanager
def run_days(
    version: str,
    numbers: Sequence[int],
    *,
    wheel: Path,
    jars: list[Path],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: Sequence[StepName] = tuple(StepName),
) -> Iterator[Ran]:
    """The steps of the days, one after the other, in an environment; the server runs meanwhile."""
    require(SPARK)
    client = CLIENTS[version]
    packages = (f"databricks-connect=={client.connect}.*", str(wheel), *client.more)
    python = environment(folder / "env", interpreter(client.python), *packages)
    with (
        serving(delta_conf(jars, folder / "warehouse"), workers=python) as address,
        databricks(
            folder / "workspace",
            serverless={"SPARK_REMOTE": address},
            environments={version: python},
        ) as workspace,
        using(address),
    ):
        for name, value in workspace.credentials.items():
            monkeypatch.setenv(name, value)
        spark = connect(address, {})
        schema = _new_schema(spark, workspace)
        place = Place(schema, workspace.volume, version)
        site = deploy_and_run(folder, wheel, place, numbers, steps)
        assert workspace.leftovers() == []
        found = stored(spark, TableStore(kind="catalog", location=schema))
        expected = local_rows(site, sorted({day(number) for number in numbers}), steps)
        spark.stop()
        yield Ran(_comparable(found), _comparable(expected), python, address)


def _comparable(rows: Rows) -> Rows:
    """Without what depends on the runs before, and on the time at which a file was written."""
    counted = [
        {name: value for name, value in row.items() if name not in ("inventory", "state")}
        for row in rows[SOURCE_INVENTORY.name]
    ]
    return {**rows, SOURCE_INVENTORY.name: counted}


def _new_schema(spark: SparkSession, place: Databricks) -> str:
    name = f"video_{uuid.uuid4().hex}"
    spark.sql(f"CREATE SCHEMA {name}")
    place.workspace.catalog.schemas.append(f"spark_catalog.{name}")
    return f"spark_catalog.{name}"
