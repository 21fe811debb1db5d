"""Days, one after the other, on the workspace that the environment's credentials name."""

import io
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import dagster as dg
from databricks.sdk import WorkspaceClient

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.databricks.compute import Compute
from vidagg_dagster.databricks.deploy import Deployment, Finding
from vidagg_dagster.databricks.failures import JOB_PAGE
from vidagg_dagster.databricks.wheel import PIPES, pack_installed
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.targets import databricks_steps
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.databricks import DatabricksSettings
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site, day, write_site


@dataclass(frozen=True)
class Place:
    """Where the story takes place."""

    schema: str
    volume: str
    environment_version: str = "4"


TWO_AND_THE_FIRST_AGAIN: Final = (0, 1, 0)


def deploy_and_run(
    folder: Path,
    wheel: Path,
    place: Place,
    numbers: Sequence[int],
    steps: Sequence[StepName] = tuple(StepName),
) -> Site:
    """Upload the wheel, then the events of each day before the assets of `steps` run for it.

    Checks what is reported. Gives the events.
    """
    _deploy(folder, wheel, place)
    site = write_site(folder / "site", len({*numbers}))
    client = WorkspaceClient()
    with _source(client, site, place) as source:
        settings = Settings(
            target="databricks",
            source=f"{source}/events",
            video_metadata=f"{source}/videos.jsonl",
            start_date=FIRST_DAY,
            databricks=DatabricksSettings(
                schema=place.schema,
                volume=place.volume,
                environment_version=place.environment_version,
                poll_seconds=1.0,
                retries=0,
            ),
        )
        for number, when in enumerate(day(number) for number in numbers):
            name = f"events/{when}.jsonl"
            client.files.upload(
                f"{source}/{name}", io.BytesIO((site.folder / name).read_bytes()), overwrite=True
            )
            told = _run(settings, when, steps)
            (taken_in,) = re.findall(r"days_taken_in (\w+)", told)
            # Later updates are told by the commits of the daily table what is new. At the first
            # one the tables may be there from before.
            assert taken_in == "1" or number == 0, told
    return site


def _deploy(folder: Path, wheel: Path, place: Place) -> None:
    findings: list[Finding] = []
    deployment = Deployment(
        client=WorkspaceClient(),
        volume=place.volume,
        schema=place.schema,
        compute=Compute(kind="serverless", environment_version=place.environment_version),
        wheel=wheel,
        pipes_wheel=pack_installed(PIPES, folder),
        overwrite=True,
    )
    assert deployment.run(findings.append), [str(finding) for finding in findings]


@contextmanager
def _source(client: WorkspaceClient, site: Site, place: Place) -> Iterator[str]:
    """A folder of the volume with the videos and no events yet; gone afterwards."""
    folder = f"{place.volume}/test-{uuid.uuid4().hex}"
    events = f"{folder}/events"
    client.files.create_directory(events)
    client.files.upload(f"{folder}/videos.jsonl", io.BytesIO(site.videos.read_bytes()))
    try:
        yield folder
    finally:
        for file in [*client.files.list_directory_contents(events)]:
            client.files.delete(str(file.path))
        client.files.delete(f"{folder}/videos.jsonl")
        client.files.delete_directory(events)
        client.files.delete_directory(folder)


def _run(settings: Settings, when: date, steps: Sequence[StepName]) -> str:
    """Run the assets of `steps` for one day, check what is reported; gives the lines of the log."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            build_assets(settings),
            instance=instance,
            selection=[str(step) for step in steps],
            resources={"steps": databricks_steps(settings)},
            partition_key=when.isoformat(),
        )
        told = " ".join(entry.user_message for entry in instance.all_logs(result.run_id))
    assert re.search(rf"1/1 {when} 13 events \d+\.\d s", told), told
    events = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    assert set(events) == {str(step) for step in steps}
    assert events["raw_events"]["dagster/partition_row_count"].value == 13
    assert events["user_video_engagement"]["dagster/partition_row_count"].value == 3
    assert events["aggregated_user_video_engagement"]["dagster/row_count"].value == 3
    assert all(JOB_PAGE in metadata for metadata in events.values())
    assert all(check.passed for check in result.get_asset_check_evaluations())
    return told
