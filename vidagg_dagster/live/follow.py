"""What is new is taken in; then the page is written, and the tables are kept small."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from vidagg_dagster.live.alone import only_writer
from vidagg_dagster.live.batch import LiveTables, Taken
from vidagg_dagster.live.folder import take_new_files
from vidagg_dagster.live.page import write_live_page
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.live.upkeep import keep_live_tables_small

Report = Callable[[Taken], None]


@dataclass(frozen=True)
class Pace:
    """How often what is new is looked for, and for how long.

    Attributes:
        interval_s: Seconds between two looks.
        once: End when everything that is there is taken in.
        seconds: End after so long, between two batches.
    """

    interval_s: float = 5
    once: bool = False
    seconds: float = math.inf

    def end(self) -> float:
        """When it ends, if it begins now, by the monotonic clock."""
        return time.monotonic() + self.seconds


def follow(spark: SparkSession, request: LiveRequest, report: Report, pace: Pace) -> int:
    """Take in new files of the source, and say after each batch what became of its rows.

    Returns:
        How many batches there were.

    Raises:
        SourceError: The source is no folder of files, or a file cannot be read.
        StepError: The tables are not in a folder of this machine.
        TableConflictError: Another process takes in events.
    """
    live = LiveTables(spark, request)
    end = pace.end()
    batches = 0
    with only_writer(request):
        while True:
            began = time.monotonic()
            for taken in take_new_files(spark, request, datetime.now(UTC), live):
                show(request)
                report(taken)
                batches += 1
            if pace.once or time.monotonic() >= end:
                return batches
            time.sleep(max(0.0, pace.interval_s - (time.monotonic() - began)))


def show(request: LiveRequest) -> None:
    """Write the page of the tables as they are now, and keep the tables small.

    A catalog's tables have no page, and their platform keeps them small.
    """
    if not request.is_here:
        return
    now = datetime.now(UTC)
    write_live_page(request.root, request.timezone, now)
    keep_live_tables_small(request.root, now)
