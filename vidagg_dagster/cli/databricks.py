"""The command `vidagg databricks deploy`, and what `vidagg maintain` does on Databricks.

The parts for Databricks are imported only when a command needs them: they take seconds, and are
not installed everywhere.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidagg_dagster.cli.arguments import add_command
from vidagg_dagster.cli.exit_codes import FAILED
from vidagg_dagster.core.errors import CommandFailedError

if TYPE_CHECKING:
    from vidagg_dagster.databricks.leftovers import Leftovers
    from vidagg_dagster.databricks.runner import DatabricksSteps
    from vidagg_dagster.settings import Settings


def add_databricks(commands: Any) -> None:
    """Add `databricks deploy` to the subcommands of `vidagg`."""
    group = commands.add_parser(
        "databricks",
        help="put the wheel onto Databricks and check the set-up",
        description="What VIDAGG_TARGET=databricks needs in the workspace.",
        allow_abbrev=False,
    )
    actions = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    deploy = add_command(
        actions,
        "deploy",
        help="upload the wheel of this version and check what steps will need",
        description="Build the wheel of this version, upload it to VIDAGG_DATABRICKS_VOLUME, and "
        "check credentials, volume, schema, privileges and compute. Settings and credentials come "
        "from where Dagster takes them.",
        examples=("vidagg databricks deploy", "vidagg databricks deploy --wheel dist/*.whl"),
    )
    deploy.add_argument(
        "--wheel", type=Path, help="a wheel that is built already; else it is built from here"
    )
    deploy.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a wheel of the same version that has another content",
    )
    deploy.add_argument(
        "--try",
        dest="try_out",
        action="store_true",
        help="then run one short job on the chosen compute, which tries what steps will need",
    )
    deploy.set_defaults(run=_deploy)


def _deploy(options: argparse.Namespace) -> int:
    from vidagg_dagster.core.errors import SettingsError
    from vidagg_dagster.core.unity_catalog import is_table_name
    from vidagg_dagster.databricks.wheel import PIPES, build_wheel, pack_installed, require_wheel
    from vidagg_dagster.defs.targets import databricks_steps
    from vidagg_dagster.settings import load_settings

    settings = load_settings()
    if settings.target != "databricks":
        raise SettingsError("VIDAGG_TARGET is not databricks. Set it, here or in .env.")
    # Names a missing package before anything imports it.
    steps = databricks_steps(settings)

    from databricks.sdk import WorkspaceClient

    from vidagg_dagster.databricks.deploy import Deployment
    from vidagg_dagster.databricks.workspace import usable_config

    with tempfile.TemporaryDirectory() as folder:
        client = WorkspaceClient(config=usable_config())
        wheel = require_wheel(options.wheel) if options.wheel else build_wheel(Path(folder))
        deployment = Deployment(
            client=client,
            volume=settings.databricks.volume or "",
            schema=settings.databricks.schema_name or "",
            compute=steps.compute,
            wheel=wheel,
            pipes_wheel=pack_installed(PIPES, Path(folder)),
            sources=tuple(filter(is_table_name, _read_by_steps(settings))),
            overwrite=options.overwrite,
        )
        passed = deployment.run(print)
    if passed and options.try_out:
        passed = _try_out(settings, steps)
    return 0 if passed else FAILED


def _try_out(settings: "Settings", steps: "DatabricksSteps") -> bool:
    from vidagg_dagster.databricks.trial import Trial
    from vidagg_dagster.databricks.trying import try_out

    print("     one job tries the compute; this takes as long as it needs to start", flush=True)
    trial = Trial(
        table_schema=settings.databricks.schema_name or "",
        source=settings.source_spec,
        video_metadata=settings.video_metadata,
        video_columns=settings.video_columns,
    )
    passed = True
    for finding in try_out(steps, trial):
        print(finding, flush=True)
        passed = passed and finding.passed is not False
    return passed


def _read_by_steps(settings: "Settings") -> tuple[str, ...]:
    return tuple(filter(None, (settings.source, settings.video_metadata)))


def remove_leftovers(settings: "Settings", retention_hours: int, *, dry_run: bool) -> None:
    """`vidagg maintain` where the tables are on Databricks.

    Raises:
        SettingsError: The parts for Databricks are not installed.
        CredentialsError: There are no credentials, or they do not work.
        CommandFailedError: A request to Databricks failed.
    """
    from vidagg_dagster.defs.targets import databricks_steps

    # Names a missing package before anything imports it.
    databricks_steps(settings)

    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors.base import DatabricksError

    from vidagg_dagster.databricks.leftovers import Leftovers
    from vidagg_dagster.databricks.workspace import usable_config

    try:
        leftovers = Leftovers(
            client=WorkspaceClient(config=usable_config()),
            schema=settings.databricks.schema_name or "",
            volume=settings.databricks.volume or "",
            before_ms=round(time.time() * 1000) - retention_hours * 3_600_000,
        )
        _remove(leftovers, dry_run=dry_run)
    except DatabricksError as error:
        raise CommandFailedError(str(error)) from error
    print(
        "Compaction and vacuum of the tables are Databricks' own: switch predictive optimization "
        f"on for {settings.databricks.schema_name}."
    )


def _remove(leftovers: "Leftovers", *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    tables, files = list(leftovers.tables()), list(leftovers.files())
    for name in tables:
        if not dry_run:
            leftovers.remove_table(name)
        print(f"{name}: {would}dropped, left by a step that was killed", flush=True)
    if not dry_run:
        for path in files:
            leftovers.remove_file(path)
    print(f"{leftovers.volume}: {len(files)} old files {would}removed")
