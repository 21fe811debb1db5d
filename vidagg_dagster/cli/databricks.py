"""The `vidagg databricks` commands."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidagg_dagster.settings.model import Settings

FAILED = 1
BAD_INPUT = 2


def add_commands(commands: Any) -> None:
    """Add `databricks deploy` to the subcommands of `vidagg`."""
    group = commands.add_parser(
        "databricks",
        help="put the wheel onto Databricks and check the set-up",
        description="What VIDAGG_TARGET=databricks needs in the workspace.",
        allow_abbrev=False,
    )
    actions = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    deploy = actions.add_parser(
        "deploy",
        help="upload the wheel of this version and check what steps will need",
        description="Build the wheel of this version, upload it to VIDAGG_DATABRICKS_VOLUME, and "
        "check credentials, volume, schema, privileges and compute. Settings and credentials come "
        "from where Dagster takes them.",
        allow_abbrev=False,
    )
    deploy.add_argument(
        "--wheel", type=Path, help="a wheel that is built already; else it is built from here"
    )
    deploy.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a wheel of the same version that has another content",
    )
    deploy.set_defaults(run=_deploy)


def _deploy(options: argparse.Namespace) -> int:
    from vidagg_dagster.core.errors import SettingsError, WheelError
    from vidagg_dagster.databricks.wheel import build_wheel, require_wheel
    from vidagg_dagster.defs.targets import databricks_steps
    from vidagg_dagster.settings.model import load_settings

    try:
        settings = load_settings()
        if settings.target != "databricks":
            raise SettingsError("VIDAGG_TARGET is not databricks. Set it, here or in .env.")
        steps = databricks_steps(settings)
    except SettingsError as error:
        return _refuse(error)

    from databricks.sdk import WorkspaceClient

    from vidagg_dagster.core.errors import CredentialsError
    from vidagg_dagster.databricks.deploy import Deployment
    from vidagg_dagster.databricks.workspace import usable_config

    with tempfile.TemporaryDirectory() as folder:
        try:
            client = WorkspaceClient(config=usable_config())
            wheel = require_wheel(options.wheel) if options.wheel else build_wheel(Path(folder))
        except (CredentialsError, WheelError) as error:
            return _refuse(error)
        deployment = Deployment(
            client=client,
            volume=settings.databricks_volume or "",
            schema=settings.databricks_schema or "",
            compute=steps.compute,
            wheel=wheel,
            overwrite=options.overwrite,
        )
        return 0 if deployment.run(print) else FAILED


def remove_leftovers(settings: "Settings", retention_hours: int, *, dry_run: bool) -> int:
    """`vidagg maintain` where the tables are on Databricks."""
    import time

    from vidagg_dagster.core.errors import SettingsError
    from vidagg_dagster.databricks.leftovers import Leftovers
    from vidagg_dagster.defs.targets import databricks_steps

    try:
        databricks_steps(settings)
    except SettingsError as error:
        return _refuse(error, "maintain")

    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors.base import DatabricksError

    from vidagg_dagster.core.errors import CredentialsError
    from vidagg_dagster.databricks.workspace import usable_config

    would = "would be " if dry_run else ""
    try:
        left = Leftovers(
            client=WorkspaceClient(config=usable_config()),
            schema=settings.databricks_schema or "",
            volume=settings.databricks_volume or "",
            before_ms=round(time.time() * 1000) - retention_hours * 3_600_000,
        )
        tables, files = list(left.tables()), list(left.files())
        for name in tables:
            if not dry_run:
                left.remove_table(name)
            print(f"{name}: {would}dropped, left by a step that was killed", flush=True)
        if not dry_run:
            for path in files:
                left.remove_file(path)
        print(f"{settings.databricks_volume}: {len(files)} old files {would}removed")
    except CredentialsError as error:
        return _refuse(error, "maintain")
    except DatabricksError as error:
        print(f"vidagg maintain: {error}", file=sys.stderr)
        return FAILED
    print(
        "Compaction and vacuum of the tables are Databricks' own: switch predictive optimization "
        f"on for {settings.databricks_schema}."
    )
    return 0


def _refuse(error: Exception, command: str = "databricks deploy") -> int:
    print(f"vidagg {command}: {error}", file=sys.stderr)
    return BAD_INPUT
