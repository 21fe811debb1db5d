"""Dagster's history: its files stay open while a run writes them, and a new one begins quietly."""

import logging
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from vidagg_dagster.runners.history import begin_retries, history_open
from vidagg_dagster.runners.local import LocalSteps


def logs(home: Path) -> set[str]:
    """The databases that someone holds open: SQLite removes a log when its file is closed."""
    return {path.name.removesuffix("-wal") for path in home.glob("**/*.db-wal")}


def test_a_run_holds_its_files_open_until_it_ends(tmp_path: Path) -> None:
    during: set[str] = set()

    @dg.asset
    def looks(steps: LocalSteps) -> None:
        del steps
        during.update(logs(tmp_path))

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        done = dg.materialize([looks], instance=instance, resources={"steps": LocalSteps()})
        assert done.success
        files = {"index.db", f"{done.run_id}.db"}
        assert files <= during
        assert not files & logs(tmp_path)


def test_a_history_that_is_not_in_files_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance, history_open(instance, "no run"):
        pass


def warnings_of_the_daemon(instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture) -> int:
    """How often the daemon that starts dead runs again warns, when it looks once."""
    caplog.clear()
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context:
        list(EventLogConsumerDaemon().run_iteration(context))
    return len([record for record in caplog.records if record.levelno >= logging.WARNING])


def test_the_daemon_has_nothing_to_warn_of_in_a_new_history(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("dagster"), "propagate", True)
    for name, begun, warnings in (("dagsters", False, 2), ("ours", True, 0)):
        (tmp_path / name).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / name)) as instance:
            if begun:
                begin_retries(instance)
            assert warnings_of_the_daemon(instance, caplog) == warnings


def test_retries_that_have_begun_go_on_where_they_were(tmp_path: Path) -> None:
    cursor = {"EVENT_LOG_CONSUMER_CURSOR-PIPELINE_FAILURE": "7"}
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.daemon_cursor_storage.set_cursor_values(cursor)
        begin_retries(instance)
        assert instance.daemon_cursor_storage.get_cursor_values(set(cursor)) == cursor
