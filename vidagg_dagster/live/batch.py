"""One batch: its rows are kept, and the users that they touch are computed again.

What is kept are rows of the source, judged as the daily run judges them. Everything else follows
from all that is kept of a user. So neither the order of batches nor where they are cut matters, and
a batch that is taken twice changes nothing.
"""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.days import ONE_DAY, with_day_before
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    LIVE_EVENTS,
    LIVE_TABLES,
    LIVE_USER_VIDEO,
    LIVE_VIDEOS,
    TableSpec,
)
from vidagg_dagster.core.text import spaced
from vidagg_dagster.live.minutes import minutes_of_pairs, videos_by_minute
from vidagg_dagster.live.request import LiveRequest, require_no_sequence
from vidagg_dagster.metrics import ingestion
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.metrics.timeline import name_rank
from vidagg_dagster.sources.faults import naming_faults
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import videos_of_steps
from vidagg_dagster.spark.compat import union
from vidagg_dagster.tables.open import open_tables

_DAYS_BACK: Final = 31
"""How far before the oldest day rows are looked for that have grown too old."""

_NO_RUN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Live rows tell what they know of, and not when they were written."""


@dataclass(frozen=True)
class Batch:
    """Some files of the source.

    Attributes:
        writer: Who numbers the batches.
        number: Rises from batch to batch; the rows of a number are kept once.
        files: Names of files, relative to the source.
    """

    writer: str
    number: int
    files: Sequence[str]


@dataclass(frozen=True)
class Taken:
    """What became of the rows of a batch: input = events + ignored + rejected + too old.

    Attributes:
        input: Rows of its files.
        events: Events of the last few days; some of them may have been there already.
        ignored: Rows that a mapping of names says are no events.
        rejected: Rows that are rejected.
        too_old: Events of days before, which only the daily run takes in.
        days: The days that were computed again.
    """

    input: int = 0
    events: int = 0
    ignored: int = 0
    rejected: int = 0
    too_old: int = 0
    days: tuple[date, ...] = ()

    @property
    def line(self) -> str:
        """The counts that are not 0, for people."""
        counts = {
            "events": self.events,
            "ignored": self.ignored,
            "rejected": self.rejected,
            "of days before": self.too_old,
        }
        said = ", ".join(f"{spaced(rows)} {name}" for name, rows in counts.items() if rows)
        return said or "no rows"


class LiveTables:
    """The live tables of a site: they take batches in.

    Args:
        spark: The engine.
        request: The source, the tables and the rules.

    Raises:
        SettingsError: The source's vocabulary is not for batches.
    """

    def __init__(self, spark: SparkSession, request: LiveRequest) -> None:
        require_no_sequence(request.source)
        self.request = request
        self._spark = spark
        self._tables = open_tables(spark, request.store, request.scratch)
        self._chain = EngagementChain(
            parameters=request.parameters, timezone=request.timezone, run_time=_NO_RUN
        )
        self._tidied: date | None = None

    def take(self, batch: Batch, now: datetime) -> Taken:
        """Keep the rows of a batch once, and compute anew what they touch.

        Args:
            batch: The files.
            now: Tells which days are kept.

        Raises:
            SourceError: A file cannot be read. Nothing was kept.
            TableConflictError: Another process writes the live tables as well.
        """
        oldest = self.request.oldest(now)
        self._remove_before(oldest)
        if not batch.files:
            return Taken()
        with ExitStack() as until_taken, naming_faults(self.request.source):
            # Computed once: the rows are counted, are kept, and tell who is touched.
            rows = until_taken.enter_context(
                self._tables.computed(LIVE_EVENTS, self._judged(batch.files))
            )
            counts = _counts(rows, oldest - ONE_DAY)
            recent = rows.where(F.col(EVENT_DATE) >= F.lit(oldest - ONE_DAY))
            self._tables.append_once(LIVE_EVENTS, recent, batch.writer, batch.number)
            days = self._compute_touched(_events(recent), oldest)
        return Taken(*counts, days=days)

    def compute_all(self, now: datetime) -> None:
        """Compute the rows of all kept events anew: after the rules have changed."""
        oldest = self.request.oldest(now)
        days = _days_of(self._tables.read(LIVE_EVENTS), oldest)
        if days:
            self._compute(days, None)

    def _judged(self, files: Collection[str]) -> DataFrame:
        """The rows of files in the columns of `live_events`."""
        request = self.request
        source = read_source(self._spark, request.source, request.scratch, only=files)
        judged = self._chain.judged(source, request.source, request.start_date)
        return _as_table(judged.withColumn("ignored", F.col("_ignored")), LIVE_EVENTS)

    def _compute_touched(self, events: DataFrame, oldest: date) -> tuple[date, ...]:
        """Compute the users of `events` anew, on their days and on those right after."""
        days = _days_of(events, oldest)
        if days:
            self._compute(days, F.broadcast(events.select("userId").distinct()))
        return days

    def _compute(self, days: Sequence[date], users: DataFrame | None) -> None:
        """Replace the rows of some users, or of all, on some days."""
        events = _events(self._tables.read(LIVE_EVENTS, with_day_before(days)))
        others: list[DataFrame] = []
        if users is not None:
            events = events.join(users, on="userId", how="left_semi")
            stored = self._tables.read(LIVE_USER_VIDEO, days)
            others = [_as_table(stored.join(users, on="userId", how="left_anti"), LIVE_USER_VIDEO)]
        with ExitStack() as until_written:
            pairs = self._pairs(events, days, until_written)
            self._tables.replace_days(LIVE_USER_VIDEO, union([*others, pairs]), days)
        minutes = videos_by_minute(self._tables.read(LIVE_USER_VIDEO, days))
        self._tables.replace_days(LIVE_VIDEOS, minutes, days)

    def _pairs(self, events: DataFrame, days: Sequence[date], until: ExitStack) -> DataFrame:
        """The rows of `live_user_video` of all events of some users."""
        request = self.request
        videos = videos_of_steps(
            self._spark, request.video_metadata, request.scratch, request.video_columns
        )
        accepted = until.enter_context(
            self._tables.computed(LIVE_USER_VIDEO, self._accepted(events))
        )
        sessions = until.enter_context(
            self._tables.computed(LIVE_VIDEOS, self._chain.sessions(accepted, videos, days))
        )
        daily = self._chain.daily(sessions, videos)
        of_days = accepted.where(F.col(EVENT_DATE).isin([F.lit(day) for day in days]))
        minutes = minutes_of_pairs(sessions, of_days)
        known = daily.join(minutes, on=[EVENT_DATE, "userId", "videoId"], how="left").withColumn(
            # A row of a tail alone, of the evening before, has none.
            "minutes",
            F.coalesce("minutes", F.array().cast(LIVE_USER_VIDEO.struct["minutes"].dataType)),
        )
        return _as_table(
            known.join(_as_of(accepted, days), on=[EVENT_DATE, "userId"], how="left"),
            LIVE_USER_VIDEO,
        )

    def _accepted(self, events: DataFrame) -> DataFrame:
        """The rows of `raw_events`: without those that were delivered or sent again."""
        judged = events.select(
            "*",
            F.lit(None).cast("string").alias("payload"),
            F.lit(None).cast("string").alias(ingestion.UNKNOWN_NAME),
            F.lit(False).alias("_broken"),
            F.lit(False).alias("_ignored"),
            F.lit(0).cast("bigint").alias("_hash"),
            name_rank(events).alias("_rank"),
        )
        return ingestion.accepted(self._chain.classified(judged))

    def _remove_before(self, oldest: date) -> None:
        """Remove the days that have grown too old; once for each day."""
        if self._tidied == oldest:
            return
        for table in LIVE_TABLES.values():
            first = oldest - ONE_DAY if table is LIVE_EVENTS else oldest
            before = [first - ONE_DAY * back for back in range(1, _DAYS_BACK + 1)]
            rows = self._tables.day_counts(table, before)
            old = [day for day in before if rows[day]]
            if old:
                empty = self._spark.createDataFrame([], table.struct)
                self._tables.replace_days(table, empty, old)
        self._tidied = oldest


def _events(rows: DataFrame) -> DataFrame:
    """Rows of `live_events` that are events."""
    return rows.where((F.size("reasons") == 0) & ~F.col("ignored"))


def _days_of(events: DataFrame, oldest: date) -> tuple[date, ...]:
    """The days that events change, from the oldest one on: their own and those right after."""
    found = [row[0] for row in events.select(EVENT_DATE).distinct().collect()]
    return tuple(sorted({day for one in found for day in (one, one + ONE_DAY) if day >= oldest}))


def _counts(rows: DataFrame, first: date) -> tuple[int, int, int, int, int]:
    event = (F.size("reasons") == 0) & ~F.col("ignored")
    recent = F.col(EVENT_DATE) >= F.lit(first)
    [row] = rows.agg(
        F.count(F.lit(1)).alias("input"),
        F.count_if(event & recent).alias("events"),
        F.count_if("ignored").alias("ignored"),
        F.count_if(F.size("reasons") > 0).alias("rejected"),
        F.count_if(event & ~recent).alias("tooOld"),
    ).collect()
    return (row["input"], row["events"], row["ignored"], row["rejected"], row["tooOld"])


def _as_of(accepted: DataFrame, days: Sequence[date]) -> DataFrame:
    """For each user and day the newest event of the day, or else of the day before."""
    newest = accepted.groupBy(EVENT_DATE, "userId").agg(F.max("timestamp").alias("asOf"))
    reached = newest.select(
        F.explode(F.array(EVENT_DATE, F.date_add(EVENT_DATE, 1))).alias(EVENT_DATE),
        "userId",
        "asOf",
    )
    of_days = reached.where(F.col(EVENT_DATE).isin([F.lit(day) for day in days]))
    return of_days.groupBy(EVENT_DATE, "userId").agg(F.max("asOf").alias("asOf"))


def _as_table(rows: DataFrame, table: TableSpec) -> DataFrame:
    return rows.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns])
