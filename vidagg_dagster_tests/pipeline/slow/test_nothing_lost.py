"""More of the random histories of a source."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster_tests.support.comings_and_goings import unfold


@pytest.mark.parametrize("seed", range(100, 120))
def test_in_any_order_the_tables_end_as_after_one_undisturbed_run(
    sail: SparkSession, tmp_path: Path, seed: int
) -> None:
    unfold(sail, tmp_path, seed, moves=14)
