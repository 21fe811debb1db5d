"""A site of three days with a Dagster instance."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster_tests.support.dagster_project import Project
from vidagg_dagster_tests.support.small_site import write_site


@pytest.fixture
def project(tmp_path: Path, sail: SparkSession) -> Iterator[Project]:
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Project(write_site(tmp_path / "site", 3), instance, sail)
