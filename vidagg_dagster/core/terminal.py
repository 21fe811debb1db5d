"""What a long command does at the moment: one line that replaces itself, for people only.

It goes to standard error, and only where that is a terminal. Pipes and logs get nothing.
"""

import sys
import threading
import time
from typing import Final, Self

INTERVAL_S: Final = 0.2
_ERASE: Final = "\r\x1b[K"


class Status:
    """Shows a stage and the seconds since the start, as long as the `with` block runs."""

    def __init__(self, stage: str = "") -> None:
        self.stage = stage
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            sys.stderr.write(_ERASE)
            sys.stderr.flush()

    def print(self, line: str) -> None:
        """Print a line that stays, on standard output."""
        if self._thread is not None:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
        print(line, flush=True)

    def _show(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            elapsed = time.monotonic() - self._started
            sys.stderr.write(f"{_ERASE}{self.stage} {elapsed:.0f} s")
            sys.stderr.flush()
