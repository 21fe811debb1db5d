"""What people are told on a terminal by `dagster asset` and `dagster job`: the error, no frames.

A step that fails says its error first, but Dagster's log adds frames to it.
"""

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


def errors_bare() -> None:
    """Let a command of Dagster that ends by an error of ours, or by a wrong day, print only that.

    Other programs that load the code location keep their hook.
    """
    program = Path(sys.argv[0])
    if program.name not in _COMMANDS and program.parent.name not in _COMMANDS:
        return
    if not isinstance(sys.excepthook, _Hook):
        sys.excepthook = _Hook(sys.excepthook)


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
