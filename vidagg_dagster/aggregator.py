"""The notebook front door: events in a table, one row per user and video in another.

aggregator = VideoEngagementAggregator(spark, "raw_video_events",
                                       video_metadata_table="video_metadata")
result = aggregator.run_aggregation()
aggregator.save_results(result)
"""

import os
import tempfile
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.column_mapping import require_event_names, require_video_columns
from vidagg_dagster.core.contract import AUTO, DEFAULT_MAX_POSITION_S, SourceSpec, TimestampUnit
from vidagg_dagster.core.dimensions import require_dimensions
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.core.time_format import require_time_formats
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.metrics.ingestion import accepted
from vidagg_dagster.pipeline.lifetime import update_lifetime
from vidagg_dagster.quality.summary import readable_rows, summary_stats
from vidagg_dagster.sources.dimensions import absent_dimensions, told
from vidagg_dagster.sources.mappings.vocabularies import find_mapping
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import read_videos
from vidagg_dagster.spark.engines import SETTING
from vidagg_dagster.tables.collected import collected_days
from vidagg_dagster.tables.session_tables import SessionTables

SaveMode = Literal["overwrite", "append", "merge"]

UTC_NAMES = ("UTC", "Etc/UTC", "GMT", "Z", "+00:00")


_scratch: Final[list["tempfile.TemporaryDirectory[str]"]] = []
"""Where `VideoEngagementAggregator.local` keeps results."""


@dataclass(frozen=True)
class _Days:
    """Days from `first` up to, not including, `end`; None is open."""

    first: date | None
    end: date | None

    def contain(self, day: Column) -> Column:
        bounds = []
        if self.first is not None:
            bounds.append(day >= F.lit(self.first))
        if self.end is not None:
            bounds.append(day < F.lit(self.end))
        return reduce(and_, bounds, F.lit(True))

    def may_hold(self, instant: Column) -> Column:
        """Whether the days, in any zone and with the day before as context, may hold a time.

        What a table stores as a timestamp is so left unread. Without one the row may be needed.
        """
        day, margin = F.to_date(instant), timedelta(days=2)
        wide = _Days(
            self.first - margin if self.first is not None else None,
            self.end + margin if self.end is not None else None,
        )
        return instant.isNull() | wide.contain(day)


@dataclass(frozen=True)
class _Run:
    """What a frame of `run_aggregation` was made from; needed to save it exactly."""

    daily: DataFrame
    days: _Days
    run_time: datetime


class VideoEngagementAggregator:
    """Aggregates raw player events to one row per user and video.

    Args:
        spark: a session: Databricks, local Spark, Spark Connect or Sail.
        input_table: the events: a table or view name, a frame, or a path of files. Needed are
            `timestamp`, `userId`, `sessionId`, `videoId`, `eventName` and `currentTime`.
        output_table: the table that `save_results` writes. Beside it `<output_table>_daily` keeps
            the rows per day, from which days can be replaced without counting anything twice.
        video_metadata_table: `videoId`, `duration` in seconds, `title`: likewise a name, a frame
            or a path. Without it there are no percentages, scores and tiers.
        parameters: thresholds that differ from the published ones.
        timezone: the zone whose calendar days are the days.
        source_timezone: the zone of times that are text and carry none.
        timestamp_unit: the unit of numeric times (`s`, `ms`, `us`, `ns`).
        time_formats: patterns of times that are text, such as `%d.%m.%Y %H:%M:%S`, beside the
            notations that are known.
        columns: our column name -> the input's, where they differ.
        video_columns: likewise of `video_metadata_table`; `durationMs` there means milliseconds.
        event_names: the input's name of an event -> ours, or `ignore`, where we do not know it.
        max_position: positions above this many seconds are invalid.
        mapping: the vocabulary of the input: a known one by its name, or a file of YAML. Names in
            `columns` are then paths into its records.
        dimensions: further columns of the input, of whose values rows have sets: their names, or
            the name of each -> the input's column or a path to it.
        estimate_missing_durations: take the largest position seen where no duration is known.
        table_format: format of the saved tables; the session's default if None.
        keep_in: a folder that the engine's machines see, in which each result is computed once. By
            default a result is computed at each use.

    Raises:
        ValueError: `event_names` maps to a name that is neither ours nor `ignore`, `video_columns`
            from a name that is no column of a catalogue, a time format is no pattern, or a
            dimension has an impossible name.
        SourceError: `mapping` is neither a known vocabulary nor a file of one.

    Saving replaces whole tables. With Delta each one is replaced in one commit; with Parquet a
    crash while saving can leave a table to be saved again.
    """

    def __init__(
        self,
        spark: SparkSession,
        input_table: str | Path | DataFrame,
        output_table: str = AGGREGATED_ENGAGEMENT.name,
        video_metadata_table: str | Path | DataFrame | None = None,
        *,
        parameters: EngagementParameters | None = None,
        timezone: str = "UTC",
        source_timezone: str = "UTC",
        timestamp_unit: TimestampUnit | None = None,
        time_formats: Sequence[str] = (),
        columns: Mapping[str, str] | None = None,
        video_columns: Mapping[str, str] | None = None,
        event_names: Mapping[str, str] | None = None,
        max_position: float = DEFAULT_MAX_POSITION_S,
        mapping: str | Path | None = None,
        dimensions: Sequence[str] | Mapping[str, str | None] = (),
        estimate_missing_durations: bool = False,
        table_format: str | None = None,
        keep_in: str | Path | None = None,
    ) -> None:
        self.spark = spark
        self.input_table = input_table
        self.output_table = output_table
        self.video_metadata_table = video_metadata_table
        self.parameters = parameters or EngagementParameters()
        self.timezone = timezone
        self.source_timezone = source_timezone
        self.timestamp_unit = timestamp_unit
        self.time_formats = require_time_formats(tuple(time_formats))
        self.columns = dict(columns or {})
        self.video_columns = dict(video_columns or {})
        require_video_columns(self.video_columns)
        self.event_names = require_event_names(event_names or {})
        self.max_position = max_position
        self.mapping = None if mapping is None else find_mapping(str(mapping))
        named = dimensions if isinstance(dimensions, Mapping) else dict.fromkeys(dimensions)
        self.dimensions = require_dimensions(named)
        self.estimate_missing_durations = estimate_missing_durations
        self.table_format = table_format
        self.keep_in = None if keep_in is None else str(keep_in)
        self._runs: WeakKeyDictionary[DataFrame, _Run] = WeakKeyDictionary()

    @classmethod
    def local(
        cls,
        events: str | Path,
        videos: str | Path | None = None,
        *,
        engine: str | None = None,
        **options: Any,
    ) -> Self:
        """For files on this machine: starts a session, and computes each result once.

        Args:
            events: a file or folder of events.
            videos: a file of `videoId`, `duration` in seconds, `title`.
            engine: what computes: `sail`, or `spark`, which needs Java. By default what
                VIDAGG_ENGINE says, else Sail.
            options: what the class itself takes by name, such as `columns`.

        Raises:
            EngineError: the engine cannot run here.
        """
        from vidagg_dagster.spark.session import engine_session

        spark = engine_session(engine or os.environ.get(SETTING) or AUTO)
        scratch = tempfile.TemporaryDirectory(prefix="vidagg-")
        # Results may outlive the aggregator, so the folder goes when the process ends.
        _scratch.append(scratch)
        return cls(
            spark,
            Path(events),
            video_metadata_table=None if videos is None else Path(videos),
            **{"keep_in": scratch.name} | options,
        )

    @property
    def daily_table(self) -> str:
        """The companion of the output table: one row per user, video and day."""
        return f"{self.output_table}_daily"

    def run_aggregation(
        self,
        start_date: date | datetime | str | None = None,
        end_date: date | datetime | str | None = None,
        calculate_unique_seconds: bool = True,
        *,
        include_end: bool = False,
    ) -> DataFrame:
        """One row per user and video over the days in [start_date, end_date).

        The end is not part of the range, unless `include_end` says so.

        What happens on a day may have begun the day before: the events of the day before
        `start_date` are read as context, and counted nowhere.

        Args:
            start_date: the first day, as a date or `YYYY-MM-DD`; a datetime has to be a midnight of
                `timezone`. None: all.
            end_date: the day after the last one, likewise. None: up to the newest event.
            calculate_unique_seconds: False spares the union of the watched intervals, and leaves
                null what follows from it: unique seconds and percentage, rewatched seconds, the
                intervals, score, tier and the flags.

        Returns:
            A frame with the columns of `aggregated_user_video_engagement`. Without `keep_in` it is
            computed when it is used, and again at each use; save it and read the table to use it
            often.

        Raises:
            ValueError: a boundary is not a whole day, the range is empty, or the session does not
                work in UTC.
            SourceError: the events cannot be read, or lack a column.
        """
        self._require_utc()
        end = self._day(end_date, "end_date")
        if include_end and end is not None:
            end += timedelta(days=1)
        days = _Days(self._day(start_date, "start_date"), end)
        if days.first is not None and days.end is not None and days.first >= days.end:
            raise ValueError(
                f"start_date {days.first} is not before end_date {days.end}; the end is not part "
                "of the range, so one day is start_date=day, end_date=day + 1, or both the same "
                "day with include_end=True"
            )
        run_time = datetime.now(UTC)
        chain = self._chain(run_time, unique=calculate_unique_seconds)
        daily = self._kept(self._daily_rows(days, chain))
        result = self._kept(chain.lifetime(daily))
        self._runs[result] = _Run(daily, days, run_time)
        return result

    def save_results(self, df: DataFrame, mode: SaveMode = "overwrite") -> None:
        """Write a result to the output table.

        Args:
            df: what `run_aggregation` returned. With `overwrite`, any frame of such rows.
            mode: `overwrite` replaces the table. `merge` replaces the days that were aggregated
                and keeps all others, so that a day may be saved late, again, or in any order.
                `append` does the same as `merge`, because appended rows would be a second row of
                a user and video, and says so in a warning.

        Raises:
            ValueError: unknown mode; or a merge that could not be exact, because the frame is not
                the one that `run_aggregation` returned, or the table was not saved with its days.
        """
        if mode not in get_args(SaveMode):
            raise ValueError(f"unknown mode {mode!r}; use overwrite, merge or append")
        run = self._runs.get(df)
        if mode == "append":
            warnings.warn(
                f"append would give {self.output_table} a second row of the same user and video; "
                "the days are merged into it instead, as with mode='merge'",
                stacklevel=2,
            )
        if run is not None:
            self._save(run, whole=mode == "overwrite")
        elif mode == "overwrite":
            # Rows that were changed after aggregation: their days are not known any more.
            self._tables.overwrite(AGGREGATED_ENGAGEMENT, df)
            self._tables.drop(USER_VIDEO_ENGAGEMENT)
        else:
            raise ValueError(
                "only the frame that run_aggregation returned can be merged: saving it also saves "
                "its rows per day. Merge that frame and filter the saved table, or use "
                "mode='overwrite'"
            )

    def show(self, df: DataFrame, rows: int = 20) -> None:
        """Print the most watched users and videos of a result, in the columns that people read.

        Args:
            df: what `run_aggregation` returned, or rows of the saved table.
            rows: how many.
        """
        print("\n".join(readable_rows(df, rows)))

    def generate_summary_stats(self, df: DataFrame) -> dict[str, Any]:
        """Counts, totals, averages and signs of wrong data of a result.

        `negative_watch_time`, `null_keys`, `duplicate_keys` and `not_finite` count rows that must
        not exist: alert on anything above 0. `tiers` and `quality_flags` hold rows by name.
        """
        return summary_stats(df)

    @property
    def _tables(self) -> SessionTables:
        names = {
            AGGREGATED_ENGAGEMENT.name: self.output_table,
            USER_VIDEO_ENGAGEMENT.name: self.daily_table,
        }
        return SessionTables(self.spark, names, self.table_format, tuple(self.dimensions))

    def _chain(self, run_time: datetime, *, unique: bool = True) -> EngagementChain:
        return EngagementChain(
            parameters=self.parameters,
            timezone=self.timezone,
            run_time=run_time,
            estimate_missing_durations=self.estimate_missing_durations,
            unique=unique,
            dimensions=tuple(self.dimensions),
        )

    def _require_utc(self) -> None:
        zone = self.spark.conf.get("spark.sql.session.timeZone", "UTC")
        if zone not in UTC_NAMES:
            raise ValueError(
                f"the session's time zone is {zone}, in which Spark would shift the days. Call "
                "spark.conf.set('spark.sql.session.timeZone', 'UTC') first; the zone whose days "
                "are counted is this class's own argument, timezone"
            )

    def _kept(self, frame: DataFrame) -> DataFrame:
        """The frame as it is, or its rows from disk, so that they are computed once."""
        if self.keep_in is None:
            return frame
        folder = f"{self.keep_in}/{uuid.uuid4().hex}"
        frame.write.parquet(folder)
        return self.spark.read.schema(frame.schema).parquet(folder)

    def _day(self, boundary: date | datetime | str | None, name: str) -> date | None:
        if isinstance(boundary, str):
            try:
                return date.fromisoformat(boundary)
            except ValueError:
                raise ValueError(f"{name} {boundary!r} is not a day; write YYYY-MM-DD") from None
        if not isinstance(boundary, datetime):
            return boundary
        local = boundary
        if boundary.tzinfo is not None:
            local = boundary.astimezone(ZoneInfo(self.timezone))
        if local.time() != datetime.min.time():
            raise ValueError(
                f"{name} {boundary.isoformat()} is not a midnight of {self.timezone}, and days "
                f"are computed whole. Use {local.date()!r} or the day after"
            )
        return local.date()

    def _daily_rows(self, days: _Days, chain: EngagementChain) -> DataFrame:
        spec = SourceSpec(
            **self._place(self.input_table),
            columns=self.columns,
            timezone=self.source_timezone,
            timestamp_unit=self.timestamp_unit,
            time_formats=self.time_formats,
            event_names=self.event_names,
            max_position_s=self.max_position,
            mapping=self.mapping,
        )
        frame = self.input_table if isinstance(self.input_table, DataFrame) else None
        seen: set[str] = set()
        source = read_source(self.spark, spec, frame=frame, dimensions=self.dimensions, seen=seen)
        absent = absent_dimensions(self.dimensions if seen else {}, self.mapping, seen)
        if absent:
            warnings.warn(f"not in the input: {told(absent)}", stacklevel=3)
        source = source.where(days.may_hold(F.col("typedTimestamp")))
        classified = chain.classified(chain.judged(source, spec))
        # Behind an explode no engine moves the filter down to where the day is spelled out as the
        # whole parsing of a timestamp: Sail would plan for minutes.
        events = accepted(classified).withColumn(EVENT_DATE, F.explode(F.array(EVENT_DATE)))
        context = days.first - timedelta(days=1) if days.first else None
        of_days = events.where(_Days(context, days.end).contain(F.col(EVENT_DATE)))
        daily = chain.daily_from_events(of_days, self._videos())
        return daily.where(days.contain(F.col(EVENT_DATE)))

    def _videos(self) -> DataFrame:
        given = self.video_metadata_table
        location = str(given) if isinstance(given, Path) else given
        return read_videos(self.spark, location, columns=self.video_columns)

    def _place(self, given: str | Path | DataFrame) -> dict[str, Any]:
        """Where to read from, in the words of `SourceSpec`."""
        if isinstance(given, DataFrame):
            return {"location": "a frame"}
        if isinstance(given, Path) or not self.spark.catalog.tableExists(given):
            return {"location": str(given), "format": "auto"}
        return {"location": given, "format": "table"}

    def _save(self, run: _Run, *, whole: bool) -> None:
        """Replace the rows per day, then bring the output up to date with them.

        The output follows from the daily table alone, so saving again heals a broken save.
        """
        tables = self._tables
        if not whole and tables.exists(AGGREGATED_ENGAGEMENT):
            self._require_daily_rows()
        with tables.computed(USER_VIDEO_ENGAGEMENT, run.daily) as new:
            days = [] if whole else self._days_to_replace(run.days, new)
            if whole or not tables.exists(USER_VIDEO_ENGAGEMENT):
                tables.overwrite(USER_VIDEO_ENGAGEMENT, new)
            elif days:
                tables.replace_days(USER_VIDEO_ENGAGEMENT, new, days)
        chain = self._chain(run.run_time)
        if whole:
            rows = chain.lifetime(tables.read(USER_VIDEO_ENGAGEMENT))
            tables.overwrite(AGGREGATED_ENGAGEMENT, rows)
        else:
            update_lifetime(tables, chain)

    def _require_daily_rows(self) -> None:
        if not self._tables.exists(USER_VIDEO_ENGAGEMENT):
            raise ValueError(
                f"{self.output_table} was saved without its rows per day ({self.daily_table} "
                "does not exist), so no day of it can be replaced. Save once with "
                "mode='overwrite' over all days, then merge"
            )

    def _days_to_replace(self, asked: _Days, new: DataFrame) -> list[date]:
        """Days that were asked for and have rows, before or now; an open end is the rows' own."""
        now = collected_days(new)
        begin = asked.first or min(now, default=None)
        end = asked.end or (max(now) + timedelta(days=1) if now else None)
        if begin is None or end is None:
            return []
        stored = self._tables.read(USER_VIDEO_ENGAGEMENT)
        before = collected_days(stored.where(_Days(begin, end).contain(F.col(EVENT_DATE))))
        return sorted({*now, *before})
