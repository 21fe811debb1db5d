"""The command of each finding really heals what it is about."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.pipeline.verify import verify
from vidagg_dagster_tests.support.stored_site import SPOILS, computed_site, heal, told
from vidagg_dagster_tests.support.whole_tables import stored

MAX_ROUNDS = 3
"""A log without its last entry says only then which days it lacks."""


@pytest.mark.parametrize("name", SPOILS)
def test_the_command_of_a_finding_heals_it(sail: SparkSession, tmp_path: Path, name: str) -> None:
    site = computed_site(sail, tmp_path)
    history = told(site)
    table, spoil = SPOILS[name]
    spoil(sail, site)
    if name == "source changed":
        history = {}  # it rightly has other rows than before
    findings = verify(site.tables, history)
    assert table.name in {finding.table for finding in findings}
    for _ in range(MAX_ROUNDS):
        for command in dict.fromkeys(finding.command for finding in findings):
            heal(sail, site, command)
        findings = verify(site.tables, history)
    assert findings == []
    (tmp_path / "expected").mkdir()
    expected = computed_site(sail, tmp_path / "expected") if name != "source changed" else None
    if expected is not None:
        same = stored(sail, expected.request(StepName.SESSIONS, []).store)
        found = stored(sail, site.request(StepName.SESSIONS, []).store)
        del same["source_inventory"], found["source_inventory"]
        assert found == same
