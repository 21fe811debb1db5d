"""The golden files of all vocabularies on JVM Spark, which plans some seconds for each."""

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster_tests.sources.mappings.test_vocabularies import NAMES, assert_golden


@pytest.mark.parametrize("name", NAMES)
def test_golden_files_are_read_by_spark_as_by_sail(jvm: SparkSession, name: str) -> None:
    assert_golden(jvm, name)
