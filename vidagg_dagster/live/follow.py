"""What is new is taken in; then the page is written, and the tables are kept small."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from vidagg_dagster.live.alone import alone
from vidagg_dagster.live.batch import LiveTables, Taken
from vidagg_dagster.live.folder import take_new_files
from vidagg_dagster.live.page import write_live_page
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.live.upkeep import keep_live_tables_small

Report = Callable[[Taken], None]


def take_what_is_there(spark: SparkSession, request: LiveRequest, report: Report) -> int:
    """Take in all new files of the source, and say after each batch what became of its rows.

    Returns:
        How many batches there were.

    Raises:
        SourceError: The source is no folder of files, or a file cannot be read.
        StepError: The tables are not in a folder of this machine.
        TableConflictError: Another process takes in events.
    """
    with alone(request.root):
        return _take(spark, request, report, LiveTables(spark, request))


def follow(spark: SparkSession, request: LiveRequest, report: Report, interval_s: int) -> None:
    """Look for new files until the process ends.

    Raises:
        VidaggError: See `take_what_is_there`.
    """
    live = LiveTables(spark, request)
    with alone(request.root):
        while True:
            began = time.monotonic()
            _take(spark, request, report, live)
            time.sleep(max(0.0, interval_s - (time.monotonic() - began)))


def _take(spark: SparkSession, request: LiveRequest, report: Report, live: LiveTables) -> int:
    batches = 0
    for taken in take_new_files(spark, request, datetime.now(UTC), live):
        show(request)
        report(taken)
        batches += 1
    return batches


def show(request: LiveRequest) -> None:
    """Write the page of the tables as they are now, and keep the tables small."""
    now = datetime.now(UTC)
    write_live_page(request.root, request.timezone, now)
    keep_live_tables_small(request.root, now)
