"""Opt-in: a day on a real workspace. docs/databricks.md says how; CI never runs it.

The same story runs against the loopback workspace in test_databricks_end_to_end.py.
"""

import os
from pathlib import Path

import pytest

from vidagg_dagster_tests.support.databricks_day import deploy_and_materialize

SCHEMA = "VIDAGG_TEST_DATABRICKS_SCHEMA"
VOLUME = "VIDAGG_TEST_DATABRICKS_VOLUME"


@pytest.mark.skipif(
    not (os.environ.get(SCHEMA) and os.environ.get(VOLUME)),
    reason=f"needs a real workspace: credentials of the SDK, {SCHEMA} and {VOLUME}",
)
def test_a_day_on_a_real_workspace(tmp_path: Path, wheel: Path) -> None:
    deploy_and_materialize(tmp_path, wheel, os.environ[SCHEMA], os.environ[VOLUME])
