"""The engine against the sequential reference, over other users."""

from pyspark.sql import SparkSession

from vidagg_dagster.spark.arrow import Spread
from vidagg_dagster_tests.support.against_reference import assert_equals_reference, however_parted
from vidagg_dagster_tests.support.strategies import DURATIONS, random_events


@however_parted
def test_many_users_equal_the_reference_to_the_last_digit(
    spark: SparkSession, spread: Spread
) -> None:
    assert_equals_reference(spark, random_events(2, n_users=600), DURATIONS, spread=spread)
