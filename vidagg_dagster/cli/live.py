"""The command `vidagg live`: today, as events arrive."""

import argparse
import json
from collections.abc import Callable
from contextlib import chdir
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from vidagg_dagster.cli.arguments import add_command, add_folder, folder_of, settings_of
from vidagg_dagster.core.contract import SPARK
from vidagg_dagster.core.errors import BadInputError

if TYPE_CHECKING:
    from vidagg_dagster.live.batch import Taken
    from vidagg_dagster.live.stream import Messages
    from vidagg_dagster.settings.model import Settings

_KAFKA: Final = "org.apache.spark:spark-sql-kafka-0-10_2.13"


def add_live(commands: Any) -> None:
    """Add `live` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "live",
        help="take in events as they arrive, and write the page of today",
        description="Take in new files of VIDAGG_SOURCE, or messages of Kafka, every few seconds; "
        "keep the live tables and a page that opens itself anew. Ctrl-C ends it at any moment: "
        "what was begun is completed at the next start. With VIDAGG_ENGINE=spark by Structured "
        "Streaming. See docs/live.md.",
        examples=("vidagg live", "vidagg live --once"),
    )
    add_folder(parser)
    parser.add_argument("--once", action="store_true", help="take in what is there, then end")
    parser.set_defaults(run=_live)


def _live(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    if not settings.tables_are_here:
        raise BadInputError(
            f"the tables are in {settings.store.location}; live tables are in a folder of this "
            "machine: set VIDAGG_DATA_ROOT to one"
        )
    if settings.estimate_missing_durations:
        raise BadInputError(
            "VIDAGG_ESTIMATE_MISSING_DURATIONS estimates from all users, and live rows are "
            "computed for some: switch it off"
        )
    with chdir(folder_of(options)):  # where its relative paths begin
        if settings.engine == SPARK:
            _stream(settings, once=options.once)
        else:
            _look(settings, once=options.once)
    return 0


def _look(settings: "Settings", *, once: bool) -> None:
    """By looking into the folder, on any engine."""
    from vidagg_dagster.cli.engine import engine_of_command
    from vidagg_dagster.live.follow import Pace, follow, show

    if settings.live_feed.kafka_topic is not None:
        raise BadInputError("messages of Kafka need VIDAGG_ENGINE=spark")
    request, told = settings.live_request, _teller(settings)
    _begin(settings)
    with engine_of_command(settings.engine) as spark:
        if not follow(spark, request, told, Pace(settings.live_feed.interval_seconds, once=once)):
            print("nothing is new")
        show(request)


def _stream(settings: "Settings", *, once: bool) -> None:
    """By Structured Streaming, on JVM Spark."""
    import pyspark

    from vidagg_dagster.cli.engine import engine_of_command
    from vidagg_dagster.live.follow import Pace
    from vidagg_dagster.live.stream import run_stream

    messages, conf = _messages(settings), {}
    if messages is not None:
        jars = settings.live_feed.kafka_jars
        conf = (
            {"spark.jars": ",".join(map(str, jars))}
            if jars
            else {"spark.jars.packages": f"{_KAFKA}:{pyspark.__version__}"}
        )
    _begin(settings)
    with engine_of_command(SPARK, conf) as spark:
        run_stream(
            spark,
            settings.live_request,
            _teller(settings),
            Pace(settings.live_feed.interval_seconds, once=once),
            messages=messages,
        )


def _messages(settings: "Settings") -> "Messages | None":
    from vidagg_dagster.live.stream import Messages

    options = settings.live_feed.kafka_options
    given = {} if options is None else json.loads(options.get_secret_value())
    return Messages.of(settings.live_feed.feed, given)


def _begin(settings: "Settings") -> None:
    from vidagg_dagster.live.page import PAGE

    print(f"the page: {settings.data_root / PAGE}", flush=True)


def _teller(settings: "Settings") -> "Callable[[Taken], None]":
    """Says each batch in one line."""
    zone = ZoneInfo(settings.timezone)

    def told(taken: "Taken") -> None:
        print(f"{datetime.now(UTC).astimezone(zone):%H:%M:%S} {taken.line}", flush=True)

    return told
