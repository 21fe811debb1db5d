"""Days with the real client of a serverless environment as the only Spark of the tasks.

The client speaks to Spark's own Connect server, whose workers are the environment's Python. This
finds what PySpark itself would hide: databricks-connect is older, and is no PySpark with a JVM.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SPARK, TableStore
from vidagg_dagster.core.schemas import SOURCE_INVENTORY
from vidagg_dagster.spark.connect import connect
from vidagg_dagster.spark.session import using
from vidagg_dagster_tests.conftest import delta_conf, require
from vidagg_dagster_tests.support.connect_server import serving
from vidagg_dagster_tests.support.databricks_day import Place, deploy_and_run
from vidagg_dagster_tests.support.databricks_rows import Rows, local_rows, stored
from vidagg_dagster_tests.support.fake_databricks.site import Databricks, databricks
from vidagg_dagster_tests.support.interpreters import environment, interpreter

CLIENTS: Mapping[str, tuple[str, str]] = {
    "2": ("3.11", "15.4"),
    "3": ("3.12", "16.4"),
    "4": ("3.12", "17.3"),
}
"""Version of the serverless environment -> its Python, its databricks-connect."""

NEWEST = "4"
WITH_NUMBA = NEWEST
"""The environment to which numba is added. The others compute without a compiler."""


@dataclass(frozen=True)
class Running:
    """A workspace whose tasks have the client of an environment."""

    version: str
    python: Path
    address: str
    workspace: Databricks
    wheel: Path
    folder: Path

    def gives_the_rows_of_a_local_run(self, days: Sequence[date]) -> None:
        """Run every asset for each of the days, and compare all tables."""
        spark = connect(self.address, {})
        schema = _new_schema(spark, self.workspace)
        place = Place(schema, self.workspace.volume, self.version)
        site = deploy_and_run(self.folder, self.wheel, place, days)
        assert self.workspace.leftovers() == []
        found = stored(spark, TableStore(kind="catalog", location=schema))
        assert _comparable(found) == _comparable(local_rows(site, sorted(set(days))))
        spark.stop()


@contextmanager
def with_client(
    version: str,
    wheel: Path,
    delta_jars: list[Path],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Running]:
    """Install the client, and start a workspace and a server whose workers have it.

    Skips the test where there is no interpreter of its Python.
    """
    require(SPARK)
    number, client = CLIENTS[version]
    packages = [f"databricks-connect=={client}.*", str(wheel)]
    packages += ["numba"] if version == WITH_NUMBA else []
    python = environment(folder / "env", interpreter(number), *packages)
    conf = delta_conf(delta_jars, folder / "warehouse")
    with (
        serving(conf, workers=python) as address,
        databricks(
            folder / "workspace",
            serverless={"SPARK_REMOTE": address},
            environments={version: python},
        ) as workspace,
        using(address),
    ):
        for name, value in workspace.credentials.items():
            monkeypatch.setenv(name, value)
        yield Running(version, python, address, workspace, wheel, folder)


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
