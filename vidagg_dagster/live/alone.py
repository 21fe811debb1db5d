"""One process at a time writes live tables: a lock that ends with its process, however it ends."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.core.lock import locked
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.tables.disk import make_private

_FILE: Final = "lock"


def only_writer(request: LiveRequest) -> AbstractContextManager[None]:
    """The only one who writes the live tables of a request, until the block ends.

    Where tables are in a catalog, whoever starts the writer sees to it: machines of a cluster have
    no lock in common.

    Raises:
        TableConflictError: Another process does.
    """
    return alone(request.notes_folder) if request.is_here else nullcontext()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The only one who writes the live tables whose notes are in `folder`, until the block ends.

    Raises:
        TableConflictError: Another process is.
    """
    make_private(folder)
    with (folder / _FILE).open("w") as lock:
        if not locked(lock):
            raise TableConflictError(
                f"another process writes the live tables of {folder}: `vidagg live`, or a run of "
                "the job `live`. Let one of them run, or end it."
            )
        yield
