"""Structured Streaming of JVM Spark: it finds new files or messages, and numbers the batches.

Its checkpoint keeps what each batch has. A batch that is not complete when the process ends comes
again with the same number and the same content; the tables keep its rows once. No watermark: late
events are late, and not lost.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.errors import SourceError, VidaggError
from vidagg_dagster.live.alone import only_writer
from vidagg_dagster.live.batch import Batch, LiveTables
from vidagg_dagster.live.contract import Feed
from vidagg_dagster.live.folder import by_the_rules, recent_files
from vidagg_dagster.live.follow import Pace, Report, show
from vidagg_dagster.live.notes import read_notes
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.sources.files import local_path, root_of

if TYPE_CHECKING:
    from pyspark.sql.streaming.query import StreamingQuery

_CHECKPOINT: Final = "checkpoint"
_FILES: Final = "path string, modificationTime timestamp, length bigint, content binary"
_LINE_ENDS: Final = re.compile(r"[\r\n]+")
_POLL_S: Final = 1
_REASON: Final = re.compile(r"terminated with exception: (?:[\w.]+\.)?(.+?)(?: SQLSTATE| ===|$)")
_TO_CHECK: Final = {
    "Authentication": "VIDAGG_LIVE_KAFKA_OPTIONS",
    "Authorization": "VIDAGG_LIVE_KAFKA_OPTIONS",
    "UnknownTopic": "VIDAGG_LIVE_KAFKA_TOPIC",
    "": "VIDAGG_LIVE_KAFKA_SERVERS, and what VIDAGG_LIVE_KAFKA_OPTIONS say of encryption",
}
"""What a reason of Kafka has in it -> what to check."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Messages:
    """Where messages of Kafka come from.

    Attributes:
        servers: `host:port`, separated by commas.
        topic: The topic; each message is an event as a JSON object.
        options: Further options of Spark's Kafka source. They may hold secrets.
        at_once: Most messages of a batch.
    """

    servers: str
    topic: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    at_once: int = 200_000

    @classmethod
    def of(cls, feed: Feed | None, options: Mapping[str, str]) -> "Messages | None":
        """Those of a feed, if there is one, with the options that do not travel with it."""
        if feed is None:
            return None
        return cls(feed.servers, feed.topic, options=options, at_once=feed.at_once)


def run_stream(
    spark: SparkSession,
    request: LiveRequest,
    report: Report,
    pace: Pace,
    *,
    messages: Messages | None = None,
    clock: Callable[[], datetime] = _utc_now,
) -> None:
    """Take in what is new.

    Args:
        spark: JVM Spark of this process.
        request: The source, the tables and the rules.
        report: Is told of each batch.
        pace: How often, and for how long.
        messages: Kafka; None: the files of the source.
        clock: Tells which days are kept.

    Raises:
        VidaggError: A batch could not be taken in, the source cannot be read, or another process
            takes in events.
    """
    with only_writer(request):
        _run(spark, request, report, pace, messages, clock)


def _run(
    spark: SparkSession,
    request: LiveRequest,
    report: Report,
    pace: Pace,
    messages: Messages | None,
    clock: Callable[[], datetime],
) -> None:
    live = LiveTables(spark, request)
    by_the_rules(read_notes(request.notes_folder), live, clock())
    found = _Batches(live, report, messages, clock)
    rows = _files(spark, request, clock()) if messages is None else _messages(spark, messages)
    kind = "files" if messages is None else f"kafka-{messages.topic}"
    writer = rows.writeStream.foreachBatch(found.take).option(
        "checkpointLocation", str(request.notes_folder / _CHECKPOINT / kind)
    )
    writer = (
        writer.trigger(availableNow=True)
        if pace.once
        else writer.trigger(processingTime=f"{pace.interval_s} seconds")
    )
    try:
        query = writer.start()
        found.of(query)
        _wait(query, found, pace.end())
    except PySparkException as error:
        raise found.fault or SourceError(_said(error, messages)) from error


def _wait(query: "StreamingQuery", found: "_Batches", end: float) -> None:
    """Wait until the query ends by itself, or end it between two batches after `end`."""
    taken_by_end = None
    while not query.awaitTermination(_POLL_S):  # in steps, so that Ctrl-C gets through
        if time.monotonic() < end:
            continue
        if taken_by_end is None:
            taken_by_end = found.taken
        # Where batches follow each other without a pause, the next one may have begun: it comes
        # again, and is kept once.
        if not query.status["isTriggerActive"] or found.taken > taken_by_end:
            query.stop()


class _Batches:
    """What the stream calls with each batch, in a thread of its own."""

    def __init__(
        self,
        live: LiveTables,
        report: Report,
        messages: Messages | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.fault: VidaggError | None = None
        self.taken = 0
        self._live = live
        self._report = report
        self._messages = messages
        self._clock = clock
        self._writer = ""
        self._started = threading.Event()

    def of(self, query: "StreamingQuery") -> None:
        """Whose batches they are. The id of a query lasts as long as its checkpoint."""
        self._writer = str(query.id)
        self._started.set()

    def take(self, rows: DataFrame, number: int) -> None:
        """Take in one batch."""
        self._started.wait()
        now = self._clock()
        try:
            if self._messages is None:
                files = self._names(rows, now)
            else:
                files = self._kept(rows, number, self._messages.topic)
            taken = self._live.take(Batch(self._writer, number, files), now)
            show(self._live.request)
            self._report(taken)
            self.taken += 1
        except VidaggError as error:
            self.fault = error
            raise

    def _names(self, rows: DataFrame, now: datetime) -> list[str]:
        """The files of a batch, by their names in the source."""
        paths = {Path(unquote(urlsplit(row[0]).path)) for row in rows.select("path").collect()}
        if not all(path.exists() for path in paths):
            self._live.compute_all(now)  # a file is gone whose rows may be kept already
        recent = recent_files(self._live.request, now)
        root = root_of(local_path(self._live.request.source.location) or Path())
        # What is in an archive has a name below the archive's.
        return sorted(
            name for name in recent if not paths.isdisjoint([root / name, *(root / name).parents])
        )

    def _kept(self, rows: DataFrame, number: int, topic: str) -> list[str]:
        """The messages of a batch as a file of the source, which the daily run reads as well."""
        ordered = rows.orderBy("partition", "offset").select("value", "timestamp").collect()
        if not ordered:
            return []
        newest = max(row["timestamp"] for row in ordered).astimezone(UTC)
        folder = local_path(self._live.request.source.location) or Path()
        # The same for the same messages: a batch that comes again replaces its file.
        name = f"{topic}/{newest:%Y-%m-%d}/{self._writer[:8]}-{number:09d}.jsonl"
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.draft")
        draft.write_text("".join(f"{_line(row['value'])}\n" for row in ordered), "utf-8")
        draft.replace(target)
        return [name]


def _files(spark: SparkSession, request: LiveRequest, now: datetime) -> DataFrame:
    """One row per new file. Its content is not asked for, so it is not read here."""
    recent_files(request, now)  # is it a folder of files?
    folder = local_path(request.source.location) or Path()
    folder.mkdir(parents=True, exist_ok=True)
    return (
        spark.readStream.format("binaryFile")
        .schema(_FILES)
        .option("recursiveFileLookup", "true")
        .option("maxFilesPerTrigger", request.files_at_once)
        # A file is new however long ago the newest one was written.
        .option("maxFileAge", "36500d")
        .load(str(folder))
        .select("path")
    )


def _messages(spark: SparkSession, messages: Messages) -> DataFrame:
    reader = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", messages.servers)
        .option("subscribe", messages.topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", messages.at_once)
    )
    for name, value in messages.options.items():
        reader = reader.option(name, value)
    return reader.load().select(
        F.col("value").cast("string").alias("value"), "timestamp", "partition", "offset"
    )


def _line(message: str | None) -> str:
    """A message as one line. A line feed is white space in JSON, or no JSON."""
    return _LINE_ENDS.sub(" ", message or "null")


def _said(error: Exception, messages: Messages | None) -> str:
    """The reason, of a message of Spark that also has its state in it."""
    text = " ".join(str(error).split())
    found = _REASON.search(text)
    reason = (text if found is None else found[1])[:500].rstrip(".")
    if messages is None:
        return f"live events cannot be read: {reason}"
    [check, *_] = [setting for said, setting in _TO_CHECK.items() if said in reason]
    return (
        f"topic {messages.topic} of {messages.servers} cannot be read: {reason}. Check {check}. "
        "What was taken in stays; the next start goes on after it."
    )
