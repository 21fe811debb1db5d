"""A lock on a file that ends with the processes that hold it, however they end."""

import fcntl
from typing import IO


def locked(file: IO[str]) -> bool:
    """Lock an open file, unless another process has. A process that inherits it keeps it, too."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
