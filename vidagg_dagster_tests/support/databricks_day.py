"""One day on the workspace that the environment's credentials name."""

import io
import uuid
from pathlib import Path

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
from vidagg_dagster_tests.support.small_site import FIRST_DAY, day, write_site


def deploy_and_materialize(folder: Path, wheel: Path, schema: str, volume: str) -> None:
    """Upload events and the wheel, run every asset for a day, and check what was reported."""
    site = write_site(folder / "site", 1)
    source = f"{volume}/test-{uuid.uuid4().hex}"
    client = WorkspaceClient()
    uploads = {
        f"{source}/events/{FIRST_DAY}.jsonl": site.events / f"{FIRST_DAY}.jsonl",
        f"{source}/videos.jsonl": site.videos,
    }
    findings: list[Finding] = []
    compute = Compute(kind="serverless", environment_version="4")
    deployment = Deployment(
        client=client,
        volume=volume,
        schema=schema,
        compute=compute,
        wheel=wheel,
        pipes_wheel=pack_installed(PIPES, folder),
        overwrite=True,
    )
    assert deployment.run(findings.append), [str(finding) for finding in findings]
    client.files.create_directory(f"{source}/events")
    try:
        for path, file in uploads.items():
            client.files.upload(path, io.BytesIO(file.read_bytes()), overwrite=True)
        settings = Settings(
            target="databricks",
            source=f"{source}/events",
            video_metadata=f"{source}/videos.jsonl",
            start_date=FIRST_DAY,
            databricks=DatabricksSettings(
                schema=schema, volume=volume, poll_seconds=1.0, retries=0
            ),
        )
        result = dg.materialize(
            build_assets(settings),
            resources={"steps": databricks_steps(settings)},
            partition_key=day(0).isoformat(),
        )
        events = {
            event.asset_key.to_user_string(): event.materialization.metadata
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }
        assert set(events) == {str(step) for step in StepName}
        assert events["raw_events"]["dagster/partition_row_count"].value == 13
        assert events["user_video_engagement"]["dagster/partition_row_count"].value == 3
        assert all(JOB_PAGE in metadata for metadata in events.values())
        assert all(check.passed for check in result.get_asset_check_evaluations())
    finally:
        for path in uploads:
            client.files.delete(path)
        client.files.delete_directory(f"{source}/events")
        client.files.delete_directory(source)
