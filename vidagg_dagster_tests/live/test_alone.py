"""Two processes never write the live tables at once."""

from pathlib import Path

import pytest

from vidagg_dagster.cli.main import main
from vidagg_dagster.core.contract import LIVE_NOTES
from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.live.alone import alone
from vidagg_dagster_tests.support.small_site import write_site


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(TableConflictError, match="vidagg live"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_nobody_is_forgotten_while_events_are_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = write_site(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDAGG_DATA_ROOT", str(site.tables))
    monkeypatch.setenv("VIDAGG_SOURCE", str(site.events))
    with alone(site.tables / LIVE_NOTES):
        assert main(["forget", "peter"]) == 2
        assert "vidagg live" in capsys.readouterr().err
        assert main(["forget", "peter", "--dry-run"]) == 2  # there is no table yet
        assert "there are no tables" in capsys.readouterr().err
