"""The real wheel tries the compute of the loopback workspace, with real Spark and Delta."""

import re
from pathlib import Path

import pytest

from vidagg_dagster.cli.main import main
from vidagg_dagster_tests.support.fake_databricks.site import Databricks
from vidagg_dagster_tests.support.small_site import write_site


def test_one_job_tries_the_compute_and_tells_all_that_is_wrong_at_once(
    place: Databricks,
    schema: str,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = write_site(tmp_path / "site", 1)
    settings = {
        "VIDAGG_TARGET": "databricks",
        "VIDAGG_SOURCE": str(site.folder / "nowhere"),
        "VIDAGG_VIDEO_METADATA": str(site.videos),
        "VIDAGG_DATABRICKS_SCHEMA": schema,
        "VIDAGG_DATABRICKS_VOLUME": place.volume,
        "VIDAGG_DATABRICKS_POLL_SECONDS": "0.5",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert main(["databricks", "deploy", "--wheel", str(wheel), "--try"]) == 1
    told = capsys.readouterr().out
    assert "ok   job: a job on this compute ran" in told
    assert re.search(r"ok   versions: Python 3\.\d+\.\d+, Spark \d", told)
    assert f"ok   table: created, merged and dropped a table in {schema}" in told
    assert "ok   arithmetic: 10 events give 90 s watched" in told
    assert f"ok   videos: {site.videos} can be read" in told
    assert "FAIL source: SourceError: Source not found" in told
    assert "-> See VIDAGG_SOURCE" in told
    assert place.leftovers() == []
