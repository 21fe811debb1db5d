"""The installed wheel, on the Spark and Python versions of the Databricks runtimes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from vidagg_dagster.core.contract import SAIL, StepName, TableStore
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster_tests.conftest import DELTA_FOR_SPARK_35, delta_conf, jars_from_maven, require
from vidagg_dagster_tests.support.cluster_steps import comparable, stored_rows
from vidagg_dagster_tests.support.interpreters import environment, interpreter
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import day, write_site

ENGINE_TESTS = (
    "sources/test_*.py",
    "metrics/test_ingestion_*.py",
    "metrics/test_arithmetic.py",
    "metrics/test_reference.py",
    "quality/test_*.py",
)
"""The tests of steps that need neither Dagster nor tables in a folder."""
CATALOG_TESTS = (
    "tables/test_contract_*.py",
    "tables/test_catalog.py",
    "sources/test_catalog_state.py",
)


def _clean_environment() -> dict[str, str]:
    """Without our settings, and without the PySpark setting that Sail left in this process.

    PYTHONPATH would have the repository tested instead of the wheel.
    """
    ours = ("VIDAGG_", "SPARK_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


SPARK_35 = ("pyspark[connect]==3.5.*", "pandas<3", "pyarrow>=17,<22")
TEST_PACKAGES = (
    "pytest",
    "hypothesis",
    "deltalake",
    "duckdb",
    "polars",
    "pydantic-settings",
    "pyyaml",
)


def test_on_spark_3_5_the_engine_passes_its_tests_and_stores_the_same_rows(
    wheel: Path, tmp_path: Path
) -> None:
    """Databricks Runtime 15 and 16. pip installs the wheel, as on a cluster."""
    require(SAIL)
    ours = f"{wheel}[formats]"
    python = environment(tmp_path / "env", sys.executable, *SPARK_35, *TEST_PACKAGES, ours)
    tests = tmp_path / "work"
    shutil.copytree(REPO / "vidagg_dagster_tests", tests / "vidagg_dagster_tests")
    shutil.copy(REPO / "pyproject.toml", tests)

    def run(*arguments: str, **more: str) -> None:
        done = subprocess.run(
            [str(python), "-m", *arguments],
            cwd=tests,
            env={
                **_clean_environment(),
                "VIDAGG_TEST_ENGINES": "spark",
                "PYSPARK_PYTHON": str(python),
                **more,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]

    def pages(patterns: Sequence[str]) -> list[str]:
        found = [sorted((tests / "vidagg_dagster_tests").glob(pattern)) for pattern in patterns]
        assert all(found), "a pattern names no test"
        return [str(path) for some in found for path in some]

    run("pytest", "-q", "-k", "not connect and not catalog_state", *pages(ENGINE_TESTS))
    catalog = pages(CATALOG_TESTS)
    run("pytest", "-q", "-k", "catalog", *catalog, VIDAGG_TEST_CATALOG_SESSION="classic")

    out = tmp_path / "rows.json"
    site = write_site(tmp_path / "site", 2)
    jars = tmp_path / "jars"
    jars.mkdir()
    conf = delta_conf(jars_from_maven(DELTA_FOR_SPARK_35, jars), tmp_path / "warehouse")
    settings = [f"{name}={value}" for name, value in conf.items()]
    run("vidagg_dagster_tests.support.cluster_steps", str(site.folder), str(out), *settings)
    found = json.loads(out.read_text())
    with using(SAIL):
        sail = engine_session(SAIL)
        for step in StepName:
            run_step(sail, site.request(step, [day(0), day(1)]))
        local = TableStore(kind="local", location=str(site.tables))
        assert found == comparable(stored_rows(sail, local))


def test_on_python_3_12_the_wheel_computes_a_day(
    wheel: Path, delta_jars: list[Path], tmp_path: Path
) -> None:
    """Serverless environments 3 to 5."""
    python = interpreter("3.12")
    packages = ("pyspark[connect]==4.2.*", "pandas<3", "pyarrow>=17", str(wheel))
    installed = environment(tmp_path / "env", python, *packages)
    work = tmp_path / "work"
    shutil.copytree(REPO / "vidagg_dagster_tests", work / "vidagg_dagster_tests")
    out = tmp_path / "rows.json"
    site = write_site(tmp_path / "site", 1)
    conf = delta_conf(delta_jars, tmp_path / "warehouse")
    settings = [f"{name}={value}" for name, value in conf.items()]
    command = [str(installed), "-m", "vidagg_dagster_tests.support.cluster_steps"]
    subprocess.run(
        [*command, str(site.folder), str(out), *settings],
        cwd=work,
        env={**_clean_environment(), "PYSPARK_PYTHON": str(installed)},
        check=True,
    )
    rows = json.loads(out.read_text())["user_video_engagement"]
    assert {row["userId"]: row["totalWatchTime"] for row in rows if "001" in row["videoId"]} == {
        "peter": 130.0,
        "anna": 20.0,
    }
