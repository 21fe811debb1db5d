"""Jobs: what is run together."""

import dagster as dg

from vidagg_dagster.assets import GROUP

daily_engagement = dg.define_asset_job(
    "daily_engagement",
    selection=dg.AssetSelection.groups(GROUP),
    description="Every table of one day or a range of days, then the lifetime table.",
)
