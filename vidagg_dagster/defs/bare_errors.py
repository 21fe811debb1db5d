"""What people are told on a terminal by `dagster asset` and `dagster job`: the error, no frames.

An error that nobody foresaw keeps its frames.
"""

import logging
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final
from zoneinfo import ZoneInfo

import dagster as dg

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.settings import load_settings

_COMMANDS: Final = ("dagster", "dg")
_NO_SUCH_DAY: Final = re.compile("partition key `(.*?)`")
_NO_PARTITION: Final = "no '--partition' option"
_FRAMES_OF_FAILURE: Final = re.compile(
    r"\n\ndagster\._core\.definitions\.events\.Failure: (.*?)\n\nStack Trace:\n.*", re.DOTALL
)
"""How Dagster's log ends where a step fails by `dagster.Failure`: with what we foresee."""


def errors_bare() -> None:
    """Let a command of Dagster print an error of ours, or a wrong day, without frames.

    Other programs that load the code location keep their hook and their loggers.
    """
    program = Path(sys.argv[0])
    if program.name not in _COMMANDS and program.parent.name not in _COMMANDS:
        return
    if not isinstance(sys.excepthook, _Hook):
        sys.excepthook = _Hook(sys.excepthook)
        # Dagster makes a logger of this class for the terminal of each run; a logger of the code
        # location counts only where the configuration of a run names it.
        logging.setLoggerClass(_WithoutFrames)


class _WithoutFrames(logging.Logger):
    """Says of a failure only what failed. What the UI shows of it has other handlers."""

    def handle(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, str):
            record.msg = _FRAMES_OF_FAILURE.sub(r" \1", record.msg)
        super().handle(record)


class _Hook:
    def __init__(
        self,
        usual: Callable[[type[BaseException], BaseException, TracebackType | None], object],
    ) -> None:
        self.usual = usual

    def __call__(
        self, kind: type[BaseException], error: BaseException, frames: TracebackType | None
    ) -> None:
        said = _bare(error)
        if said is None:
            self.usual(kind, error, frames)
        else:
            print(f"Error: {said}", file=sys.stderr)


def _bare(error: BaseException) -> str | None:
    if isinstance(error, VidaggError):
        return str(error)
    no_day = _NO_SUCH_DAY.search(str(error))
    if no_day and isinstance(error, dg.DagsterInvalidSubsetError):
        return f"There is no day {no_day[1]} to run. {_days()}"
    if _NO_PARTITION in str(error):
        return f"Say which day: --partition YYYY-MM-DD. {_days()}"
    return None


def _days() -> str:
    settings = load_settings()
    today = datetime.now(ZoneInfo(settings.timezone)).date()
    last = today - timedelta(days=1)
    if last < settings.start_date:
        return f"The first day, {settings.start_date} (VIDAGG_START_DATE), has not ended yet."
    return (
        f"The days are {settings.start_date} (VIDAGG_START_DATE) to {last}, the last that has "
        f"ended ({settings.timezone})."
    )
