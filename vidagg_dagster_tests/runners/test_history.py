"""The files of Dagster's history stay open while a run writes them, and no longer."""

from pathlib import Path

import dagster as dg

from vidagg_dagster.runners.history import history_open
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
