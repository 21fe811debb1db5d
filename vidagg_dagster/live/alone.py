"""One process at a time writes live tables: a lock that ends with its process, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.core.schemas import LIVE_NOTES
from vidagg_dagster.tables.disk import make_private

_FILE: Final = "lock"


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """The only one who writes the live tables below `root`, as long as the block runs.

    Raises:
        TableConflictError: Another process is.
    """
    folder = root / LIVE_NOTES
    make_private(folder)
    with (folder / _FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TableConflictError(
                f"another process writes the live tables in {root}: `vidagg live`, or a run of the "
                "job `live`. Let one of them run, or end it."
            ) from error
        yield
