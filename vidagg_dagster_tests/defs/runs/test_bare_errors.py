"""What Dagster's own commands print where a setting or a day is wrong: the error, no frames."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.defs.bare_errors import errors_bare
from vidagg_dagster.settings.project import make_home

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
DAYS = f"The days are 2026-01-05 (VIDAGG_START_DATE) to {YESTERDAY}, the last that has ended (UTC)."


def said_by_dagster(partition: str, folder: Path, **settings: str) -> str:
    """What `dagster asset materialize` prints as it fails, without its warning of itself."""
    make_home(folder / "home")
    command = ["asset", "materialize", "--select", "raw_events", "--partition", partition]
    command += ["-m", "vidagg_dagster.definitions"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dagster", *command],
        cwd=folder,
        env=os.environ | {"DAGSTER_HOME": str(folder / "home"), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.strip()


def test_a_wrong_setting_is_told_without_frames(tmp_path: Path) -> None:
    assert said_by_dagster("2026-01-05", tmp_path, VIDAGG_ENGINE="duckdb").splitlines() == [
        "Error: 1 setting is wrong:",
        "  VIDAGG_ENGINE='duckdb': unknown engine; allowed: auto, spark, sail or sc://host:port",
    ]


def test_a_wrong_day_is_told_with_the_days_there_are(tmp_path: Path) -> None:
    said = said_by_dagster("2099-01-01", tmp_path, VIDAGG_START_DATE="2026-01-05")
    assert said == f"Error: There is no day 2099-01-01 to run. {DAYS}"


def test_a_wrong_source_is_told_without_frames(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.jsonl"
    said = said_by_dagster(
        "2026-01-05",
        tmp_path,
        VIDAGG_ENGINE="sail",
        VIDAGG_START_DATE="2026-01-05",
        VIDAGG_SOURCE=str(nowhere),
        VIDAGG_DATA_ROOT=str(tmp_path / "tables"),
    )
    *_, of_run, last = said.splitlines()
    # Dagster ends the `tail` that shows a step's log on the terminal without waiting for it: on a
    # busy machine the step's last line is in the step's log alone.
    (log,) = (tmp_path / "home").glob("storage/*/compute_logs/*.err")
    of_step = log.read_text(encoding="utf-8").splitlines()[-1]
    reason = f"Source not found: there is no file or folder {nowhere}. Correct the location."
    assert of_step.endswith(f'Execution of step "raw_events" failed. {reason}')
    assert of_run.endswith(f"Steps failed: ['raw_events']. {reason}")
    assert last == "Error: Materialization failed."
    assert "Stack Trace" not in said + log.read_text(encoding="utf-8")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """What Python's own hook still gets where a command of Dagster has loaded the definitions."""
    rest: list[BaseException] = []
    logger_class = logging.getLoggerClass()
    monkeypatch.setattr(sys, "argv", ["/usr/bin/dagster", "asset", "materialize"])
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _frames: rest.append(error))
    monkeypatch.setenv("VIDAGG_START_DATE", "2026-01-05")
    errors_bare()
    errors_bare()
    yield rest
    logging.setLoggerClass(logger_class)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("Asset has partitions, but no '--partition' option was provided"),
            f"Say which day: --partition YYYY-MM-DD. {DAYS}",
        ),
        (SourceError("Do this."), "Do this."),
    ],
)
def test_only_the_error_is_said(
    error: Exception, said: str, hook: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    sys.excepthook(type(error), error, None)
    assert (capsys.readouterr().err, hook) == (f"Error: {said}\n", [])


def test_an_unexpected_error_keeps_its_frames(
    hook: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    error = LookupError("unexpected")
    sys.excepthook(LookupError, error, None)
    assert (capsys.readouterr().err, hook) == ("", [error])


@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("dagster._core.definitions.events.Failure", "It failed. Do this."),
        ("LookupError", "It failed.\n\nLookupError: Do this.\n\nStack Trace:\n  File x, line 1"),
    ],
)
def test_the_log_on_a_terminal_has_frames_of_unexpected_errors_alone(
    kind: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLoggerClass()("dagster")
    log.addHandler(caplog.handler)
    log.error(f"It failed.\n\n{kind}: Do this.\n\nStack Trace:\n  File x, line 1")
    assert caplog.messages == [shown]


def test_other_programs_keep_their_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    before = sys.excepthook, logging.getLoggerClass()
    errors_bare()
    assert (sys.excepthook, logging.getLoggerClass()) == before
