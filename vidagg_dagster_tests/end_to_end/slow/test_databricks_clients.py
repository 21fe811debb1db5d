"""Two days with the real client of each serverless environment as the only Spark of the tasks.

The client speaks to Spark's own Connect server, whose workers are the environment's Python. This
finds what PySpark itself would hide: databricks-connect is older, and is no PySpark with a JVM.
"""

import subprocess
import uuid
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SPARK, TableStore
from vidagg_dagster.core.schemas import SOURCE_INVENTORY
from vidagg_dagster.metrics.compiled import COMPILED_FROM
from vidagg_dagster.spark.connect import connect
from vidagg_dagster.spark.session import using
from vidagg_dagster_tests.conftest import TESTS, delta_conf, require
from vidagg_dagster_tests.support.connect_server import serving
from vidagg_dagster_tests.support.databricks_day import Place, deploy_and_run_two_days
from vidagg_dagster_tests.support.databricks_rows import Rows, local_rows, stored
from vidagg_dagster_tests.support.fake_databricks.site import Databricks, databricks
from vidagg_dagster_tests.support.interpreters import environment, interpreter
from vidagg_dagster_tests.support.small_site import day

CLIENTS = {"2": ("3.11", "15.4"), "3": ("3.12", "16.4"), "4": ("3.12", "17.3")}
"""Version of the serverless environment -> its Python, its databricks-connect."""
WITH_NUMBA = "4"
"""The environment to which numba is added. The others compute without a compiler."""


@pytest.mark.parametrize("version", CLIENTS)
def test_two_days_and_the_first_again_give_the_rows_of_a_local_run(
    version: str,
    wheel: Path,
    delta_jars: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require(SPARK)
    number, client = CLIENTS[version]
    packages = [f"databricks-connect=={client}.*", str(wheel)]
    packages += ["numba"] if version == WITH_NUMBA else []
    python = environment(tmp_path / "env", interpreter(number), *packages)
    conf = delta_conf(delta_jars, tmp_path / "warehouse")
    with (
        serving(conf, workers=python) as address,
        databricks(
            tmp_path / "workspace",
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
        site = deploy_and_run_two_days(tmp_path, wheel, place)
        assert workspace.leftovers() == []
        found = stored(spark, TableStore(kind="catalog", location=schema))
        assert _comparable(found) == _comparable(local_rows(site, [day(0), day(1)]))
        spark.stop()
        if version == WITH_NUMBA:
            _the_fold_is_compiled(python, address)


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


def _the_fold_is_compiled(python: Path, address: str) -> None:
    """In the workers: numba keeps machine code beside the modules of the wheel."""
    script = TESTS / "support" / "client_fold.py"
    told = subprocess.run(
        [str(python), str(script), str(COMPILED_FROM + 1)],
        env={"SPARK_REMOTE": address},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "10000.0\n", told.stderr[-3000:]
    assert list(python.parents[1].rglob("vidagg_dagster/**/*.nbi"))
