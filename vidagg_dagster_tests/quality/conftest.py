"""Tables that the real steps have computed, shared by the tests of rules and report."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import SAIL, engine_session, use
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.quality_lab import DAYS, Lab
from vidagg_dagster_tests.support.small_site import Site, write_site


@pytest.fixture(scope="package")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """All steps over four days, on Sail."""
    require(SAIL)
    spark = engine_session(SAIL)
    use(SAIL)
    site = write_site(tmp_path_factory.mktemp("site"), len(DAYS))
    for step in StepName:
        run_step(spark, site.request(step, DAYS))
    return site


@pytest.fixture
def lab(computed: Site, tmp_path: Path, sail: SparkSession) -> Lab:
    shutil.copytree(computed.folder, tmp_path / "site")
    site = Site(tmp_path / "site")
    request = site.request(StepName.RAW_EVENTS, DAYS)
    return Lab(sail, site, open_tables(sail, request.store))
