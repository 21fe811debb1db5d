"""A run of the demo that fails."""

from pathlib import Path

import dagster as dg
import pytest

from vidagg_dagster.core.errors import DayFailedError
from vidagg_dagster.demo.launch import materialize
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.small_site import FIRST_DAY, write_site


def test_a_failed_step_is_told_with_its_day_and_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("sail")
    site = write_site(tmp_path / "site", 1)
    site.write_day(FIRST_DAY, [{"when": "2026-01-05T10:00:00Z", "who": "peter"}])
    settings = {
        "SOURCE": str(site.events),
        "DATA_ROOT": str(site.tables),
        "START_DATE": FIRST_DAY.isoformat(),
        "ENGINE": "sail",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"VIDAGG_{name}", value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    with (
        dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance,
        pytest.raises(DayFailedError) as failed,
    ):
        materialize([[FIRST_DAY]], instance)
    assert str(failed.value).startswith(f"{FIRST_DAY}: raw_events: Missing columns: ")
    assert "userId" in str(failed.value)
    assert "who" in str(failed.value)
