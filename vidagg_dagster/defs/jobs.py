"""The job of a day."""

import dagster as dg

from vidagg_dagster.defs.assets import GROUP, INSIGHTS_GROUP

daily_engagement = dg.define_asset_job(
    "daily_engagement",
    selection=dg.AssetSelection.groups(GROUP, INSIGHTS_GROUP),
    description="Every table of one day or a range of days, then those over all days. A day that "
    "follows them and was computed before is settled again where they change it.",
)
