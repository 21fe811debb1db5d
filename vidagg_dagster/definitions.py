"""The code location: settings -> assets with their checks, the job and what runs the steps."""

import dagster as dg

from vidagg_dagster.assets import build_assets
from vidagg_dagster.jobs import daily_engagement
from vidagg_dagster.settings import load_settings
from vidagg_dagster.steps.local import LocalSteps


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that Dagster shows; reads the settings and starts no engine."""
    settings = load_settings()
    return dg.Definitions(
        assets=build_assets(settings),
        jobs=[daily_engagement],
        resources={
            "steps": LocalSteps(engine=settings.engine, driver_memory=settings.driver_memory)
        },
        # Steps of one run share one engine, whose start costs more than a small day.
        executor=dg.in_process_executor,
    )
