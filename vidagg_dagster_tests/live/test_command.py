"""`vidagg live`: what it takes in, and what it refuses."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from vidagg_dagster.cli.main import main
from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.live.page import PAGE
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.small_site import Site, peter


def test_paths_in_the_settings_of_a_project_begin_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require(SAIL)
    site, today = Site(tmp_path / "site"), datetime.now(UTC).date()
    site.write_day(today, peter(today))
    said = "VIDAGG_SOURCE=events\nVIDAGG_DATA_ROOT=tables\nVIDAGG_ENGINE=sail\n"
    (site.folder / ".env").write_text(said)
    monkeypatch.chdir(tmp_path)
    command = ["live", "--folder", "site", "--once"]
    assert main(command) == 0
    assert capsys.readouterr().out.endswith(" 6 events\n")
    assert main(command) == 0
    assert capsys.readouterr().out.endswith("nothing is new\n")
    assert (site.tables / PAGE).is_file()
    assert not (tmp_path / "tables").exists()


def test_tables_elsewhere_are_refused_with_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDAGG_SOURCE", "events")
    monkeypatch.setenv("VIDAGG_DATA_ROOT", "s3://bucket/tables")
    assert main(["live", "--once"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "s3://bucket/tables" in line
    assert "set VIDAGG_DATA_ROOT" in line
