"""The lifetime table at millions of pairs: what it takes to bring in a small day."""

import time
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from benchmarks.contestants.ours import DailyRun
from vidagg_dagster.core.contract import DEFAULT_EVENTS_AT_ONCE
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import USER_VIDEO_ENGAGEMENT
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.pipeline.lifetime import update_lifetime
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster.spark.slices import Slicing
from vidagg_dagster.tables.delta_folder import LocalTables

MILLIONS: Final = (1, 10, 50)
"""Of how many pairs the table has about so many million, one after the other."""

_ONE_IN: Final = 500
"""Which share of the pairs of a large day the small one has: about two thousand."""


def updates(site: Path, root: Path, day: date, run_time: datetime) -> dict[str, float]:
    """Seconds of an update by a new day of two thousand pairs, half of them known, and by its end.

    The table has the pairs of the site's only day, of ten million events, and copies of them with
    other users on earlier days.
    """
    DailyRun("sail", site, root, start=day).run(day)
    spark = engine_session("sail")
    tables = LocalTables(spark, root / "tables")
    chain = EngagementChain(EngagementParameters(), "UTC", run_time)
    cut = partial(Slicing.of, spark, at_once=DEFAULT_EVENTS_AT_ONCE // 2)
    one = tables.read(USER_VIDEO_ENGAGEMENT, [day])
    share = F.pmod(F.hash("userId", "videoId"), F.lit(2 * _ONE_IN))
    found = {}
    for so_far, millions in zip((1, *MILLIONS), MILLIONS, strict=False):
        for number in range(so_far, millions):
            before = day - timedelta(days=number)
            tables.replace_days(USER_VIDEO_ENGAGEMENT, _copy(one, before, number), [before])
        update_lifetime(tables, chain, cut)
        new = day + timedelta(days=millions)
        known, others = one.where(share == 0), one.where(share == 1)
        rows = [_copy(known, new), _copy(others, new, -millions)]
        for name, frames in (("at", rows), ("a day deleted at", [one.limit(0)])):
            tables.replace_days(USER_VIDEO_ENGAGEMENT, frames, [new])
            started = time.monotonic()
            update_lifetime(tables, chain, cut)
            found[f"{name} {millions} M pairs"] = time.monotonic() - started
    return found


def _copy(rows: DataFrame, day: date, of: int | None = None) -> DataFrame:
    """The rows as those of another day, and with `of` as those of other users."""
    user: Column = F.col("userId")
    if of is not None:
        user = F.concat(user, F.lit(f" {of}"))
    return rows.withColumns({"userId": user, "event_date": F.lit(day)})
