"""Opt-in: two days on a real workspace. docs/databricks.md says how; CI never runs it.

The same story runs against the loopback workspace in end_to_end/slow/test_databricks_clients.py.
"""

import os
from pathlib import Path

import pytest

from vidagg_dagster_tests.support.databricks_day import (
    TWO_AND_THE_FIRST_AGAIN,
    Place,
    deploy_and_run,
)

SCHEMA = "VIDAGG_TEST_DATABRICKS_SCHEMA"
VOLUME = "VIDAGG_TEST_DATABRICKS_VOLUME"


@pytest.mark.skipif(
    not (os.environ.get(SCHEMA) and os.environ.get(VOLUME)),
    reason=f"needs a real workspace: credentials of the SDK, {SCHEMA} and {VOLUME}",
)
def test_two_days_and_the_first_again_on_a_real_workspace(tmp_path: Path, wheel: Path) -> None:
    place = Place(os.environ[SCHEMA], os.environ[VOLUME])
    deploy_and_run(tmp_path, wheel, place, TWO_AND_THE_FIRST_AGAIN)
