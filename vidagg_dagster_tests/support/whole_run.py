"""A whole run of a day through Dagster in a process of its own, to be killed at any moment.

`python -m vidagg_dagster_tests.support.whole_run SITE DAY`
"""

import sys
from datetime import date
from pathlib import Path

import dagster as dg

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.runners.local import LocalSteps
from vidagg_dagster.settings import Settings
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site

STARTED = "started"
"""Said when the engine is up and the run begins."""


def main() -> None:
    """Materialize every asset of the day; ends with 1 if the run failed."""
    site, when = Site(Path(sys.argv[1])), date.fromisoformat(sys.argv[2])
    settings = Settings(
        source=str(site.events),
        video_metadata=str(site.videos),
        data_root=site.tables,
        start_date=FIRST_DAY,
        engine=SAIL,
    )
    engine_session(SAIL)
    assets = build_assets(settings)
    print(STARTED, flush=True)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            assets,
            instance=instance,
            resources={"steps": LocalSteps(engine=SAIL)},
            partition_key=when.isoformat(),
            raise_on_error=False,
        )
    sys.exit(not done.success)


if __name__ == "__main__":
    main()
