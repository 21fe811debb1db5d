"""The job of a day."""

import dagster as dg

from vidagg_dagster.defs.assets import GROUP

daily_engagement = dg.define_asset_job(
    "daily_engagement",
    selection=dg.AssetSelection.groups(GROUP),
    description="Every table of one day or a range of days, then the lifetime table. A day looks "
    "back by one: after running days again, run the day that follows them again too. Backfills "
    "of assets add that day by themselves.",
)
