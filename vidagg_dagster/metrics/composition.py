"""From rows of a source to lifetime rows, in one place: raw -> sessions -> daily -> lifetime.

The steps take it one table at a time, `vidagg aggregate` and the notebook class all at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pyspark.sql import DataFrame

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics import ingestion, lifetime, timeline
from vidagg_dagster.metrics.engagement import user_video_engagement
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread


@dataclass(frozen=True)
class EngagementChain:
    """The four stages with the parameters that they share. Each turns frames into a frame.

    Attributes:
        parameters: The thresholds.
        timezone: The zone whose calendar days are the days.
        run_time: Becomes `processedAt`. Where everything is computed at once, an event may not be
            later by more than a day.
        estimate_missing_durations: Take the largest position seen where no duration is known.
        unique: Whether to unite the watched intervals. Without it, what follows from the union is
            null.
        dimensions: Further columns of the events that sessions and pairs carry.
        spread: How rows are spread over calls of the fold.
    """

    parameters: EngagementParameters
    timezone: str
    run_time: datetime
    estimate_missing_durations: bool = False
    unique: bool = True
    dimensions: tuple[str, ...] = ()
    spread: Spread = ANY_SIZE

    def judged(
        self, source: DataFrame, spec: SourceSpec, start_date: date | None = None
    ) -> DataFrame:
        """Rows of a source, each with its day and its reasons for rejection.

        With `start_date`, where days are run one by one, no clock decides about a row.
        """
        return ingestion.judge(
            source,
            spec=spec,
            start_date=start_date,
            timezone=self.timezone,
            run_time=self.run_time if start_date is None else None,
        )

    def classified(self, judged: DataFrame) -> DataFrame:
        """Judged rows, each accepted, duplicate, ignored or rejected."""
        return ingestion.find_duplicates(judged, spread=self.spread)

    def sessions(
        self, events: DataFrame, videos: DataFrame, days: Sequence[date] | None = None
    ) -> DataFrame:
        """Accepted events of the days and of the day before each -> one row per session and day."""
        return timeline.sessions(
            events,
            videos,
            days=days,
            parameters=self.parameters,
            timezone=self.timezone,
            dimensions=self.dimensions,
            spread=self.spread,
        )

    def daily(
        self, sessions: DataFrame, videos: DataFrame, estimates: DataFrame | None = None
    ) -> DataFrame:
        """Sessions -> one row per user, video and day."""
        return user_video_engagement(
            sessions,
            videos,
            parameters=self.parameters,
            run_time=self.run_time,
            estimates=estimates,
            unique=self.unique,
            dimensions=self.dimensions,
            spread=self.spread,
        )

    def daily_from_events(self, events: DataFrame, videos: DataFrame) -> DataFrame:
        """Accepted events of all days -> one row per user, video and day."""
        return self.daily(self.sessions(events, videos), videos)

    def lifetime(self, daily: DataFrame) -> DataFrame:
        """Daily rows -> one row per user and video."""
        return lifetime.merge_days(
            daily,
            parameters=self.parameters,
            run_time=self.run_time,
            estimate=self.estimate_missing_durations,
            unique=self.unique,
            dimensions=self.dimensions,
            spread=self.spread,
        )

    def merged(self, rows: DataFrame) -> DataFrame:
        """Rows in the columns of lifetime rows, several of a pair -> one row per user and video."""
        return lifetime.merge_rows(
            rows,
            parameters=self.parameters,
            run_time=self.run_time,
            unique=self.unique,
            dimensions=self.dimensions,
            spread=self.spread,
        )

    def lifetime_sums(self, judged: DataFrame, videos: DataFrame) -> DataFrame:
        """Judged rows of all days -> sums per user and video, all stages in one pass of the fold.

        The same stages in the same order. A pass moves each event once, not once for each stage.
        `published` turns the sums into lifetime rows.
        """
        return lifetime.lifetime_from_events(
            judged,
            videos,
            parameters=self.parameters,
            timezone=self.timezone,
            dimensions=self.dimensions,
            spread=self.spread,
        )

    def published(self, sums: DataFrame, videos: DataFrame) -> DataFrame:
        """What `lifetime_sums` gives, in the columns of the lifetime table."""
        return lifetime.publish_lifetime(
            sums,
            videos,
            parameters=self.parameters,
            run_time=self.run_time,
            estimate=self.estimate_missing_durations,
            dimensions=self.dimensions,
        )
