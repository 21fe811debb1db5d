"""One UI at a time on a Dagster home: a lock that ends with its processes, however they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vidagg_dagster.core.errors import BadInputError
from vidagg_dagster.core.lock import locked

_FILE: Final = "ui-is-open"


@contextmanager
def only_ui(home: Path, address: str) -> Iterator[int]:
    """The only UI on `home` until the block ends.

    A second one would have a second daemon, and Dagster's daemons must be alone on their history.

    Args:
        home: Dagster's home. It exists.
        address: Where the UI is; what a second one is told.

    Yields:
        The descriptor of the lock. A process that inherits it keeps the lock as well.

    Raises:
        BadInputError: Another UI is open.
    """
    with (home / _FILE).open("a+", encoding="utf-8") as lock:
        if not locked(lock):
            raise BadInputError(f"Dagster's UI of {home} is open already: {_told(home)}")
        lock.truncate(0)
        lock.write(address)
        lock.flush()
        yield lock.fileno()


def require_closed(home: Path) -> None:
    """Refuse to go on where a UI is open on `home`.

    Raises:
        BadInputError: It says where the UI is.
    """
    file = home / _FILE
    if file.is_file():
        with file.open(encoding="utf-8") as lock:
            if not locked(lock):
                raise BadInputError(
                    f"Dagster's UI of {home} is open, and what it shows is to be removed: end it "
                    f"first ({_told(home)})"
                )


def _told(home: Path) -> str:
    return (home / _FILE).read_text(encoding="utf-8") or "it is starting"
