"""The code location: settings -> assets with checks, job, schedule, sensors, step runner."""

import dagster as dg

from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.bare_errors import errors_bare
from vidagg_dagster.defs.completion import completion
from vidagg_dagster.defs.experiments import experiments
from vidagg_dagster.defs.export import export_assets, export_resources
from vidagg_dagster.defs.jobs import daily_engagement
from vidagg_dagster.defs.landing import landing_assets, landing_resources
from vidagg_dagster.defs.live import live
from vidagg_dagster.defs.page import page
from vidagg_dagster.defs.schedules import daily_schedule
from vidagg_dagster.defs.sensors.alerts import alerts
from vidagg_dagster.defs.sensors.late_events import late_events
from vidagg_dagster.defs.targets import executor, step_resources
from vidagg_dagster.defs.verification import verification
from vidagg_dagster.settings import load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that Dagster shows; reads the settings and starts no engine."""
    errors_bare()
    settings = load_settings()
    daily = dg.Definitions(
        assets=[*build_assets(settings), *landing_assets(settings), *export_assets(settings)],
        jobs=[daily_engagement],
        schedules=[daily_schedule(settings)],
        sensors=[late_events(settings), alerts(settings)],
        resources={
            **step_resources(settings),
            **landing_resources(settings),
            **export_resources(settings),
        },
        executor=executor(settings),
    )
    return dg.Definitions.merge(
        daily,
        verification(settings),
        page(settings),
        experiments(settings),
        completion(settings),
        live(settings),
    )
