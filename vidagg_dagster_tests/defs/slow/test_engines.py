"""A whole run of a day on JVM Spark leaves the rows of one on Sail."""

from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, SPARK, StepName
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster_tests.support.dagster_project import Project
from vidagg_dagster_tests.support.small_site import day


def test_the_same_day_on_jvm_spark_gives_the_same_rows(
    project: Project, tmp_path: Path, jvm: SparkSession
) -> None:
    project.engine = SPARK
    project.spark = jvm
    assert project.run(day(0)).success
    on_jvm = {table: project.rows(TABLES[table]) for table in StepName}
    project.engine = SAIL
    project.changed["data_root"] = tmp_path / "other"
    assert project.run(day(0)).success
    project.spark = engine_session(SAIL)
    assert {table: project.rows(TABLES[table]) for table in StepName} == on_jvm
