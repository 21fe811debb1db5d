"""A step in a process that kills itself at a named point of writing a table.

`python -m vidagg_dagster_tests.support.killed_step POINT TABLE < request.json`

It patches the libraries below the project, so that the project itself is unchanged.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from pyspark.sql.connect.readwriter import DataFrameWriter

from vidagg_dagster.core.contract import StepRequest
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session

POINTS = ("before_stage", "mid_stage", "after_stage", "mid_move", "before_commit", "after_commit")


def main() -> None:
    """Run the step; ends by SIGKILL, or with 0 if the point was never reached."""
    point, table = sys.argv[1:]
    request = StepRequest.model_validate_json(sys.stdin.read())
    folder = Path(request.store.location) / table
    spark = engine_session("sail")
    _arm(point, folder)
    run_step(spark, request)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _arm(point: str, folder: Path) -> None:
    if point in ("before_stage", "mid_stage", "after_stage"):
        staged = DataFrameWriter.parquet

        def parquet(self: Any, path: str, *arguments: Any, **more: Any) -> None:
            # `computed` stages files too, but that is not a write of the table.
            ours = Path(path).parent.parent == folder
            if ours and point == "before_stage":
                _die()
            if ours and point == "mid_stage":
                threading.Thread(target=_die_at_first_file, args=(Path(path),)).start()
            staged(self, path, *arguments, **more)
            if ours:
                time.sleep(1 if point == "mid_stage" else 0)
                _die()

        DataFrameWriter.parquet = parquet  # type: ignore[method-assign]
    elif point == "mid_move":
        _wrap(Path, "rename", lambda source: folder in source.parents, after=True)
    else:
        _wrap(
            DeltaTable,
            "create_write_transaction",
            lambda delta: Path(delta.table_uri.removeprefix("file://").rstrip("/")) == folder,
            after=point == "after_commit",
        )


def _wrap(kind: type, name: str, ours: Callable[[Any], bool], *, after: bool) -> None:
    original = getattr(kind, name)

    def wrapped(self: Any, *arguments: Any, **more: Any) -> Any:
        mine = ours(self)
        if mine and not after:
            _die()
        result = original(self, *arguments, **more)
        if mine:
            _die()
        return result

    setattr(kind, name, wrapped)


def _die_at_first_file(folder: Path) -> None:
    while not any(folder.glob("**/*.parquet")):
        time.sleep(0.0002)
    _die()


if __name__ == "__main__":
    main()
