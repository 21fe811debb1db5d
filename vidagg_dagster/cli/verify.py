"""The command `vidagg verify`."""

import argparse
import os
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from vidagg_dagster.cli.exit_codes import FAILED
from vidagg_dagster.core.errors import BadInputError


def add_verify(commands: Any) -> None:
    """Add `verify` to the subcommands of `vidagg`."""
    parser = commands.add_parser(
        "verify",
        help="compare everything that is stored",
        description="Compare everything that is stored, without an engine: counts of reading, "
        "rows, rejected rows and inventory; every data file with its size; days that Dagster "
        "knows (where DAGSTER_HOME is set); the lifetime table with the daily one. One line a "
        "finding, with the command that heals it; then the exit code is 1. Days that were computed "
        "by other rules than those of now, before an upgrade or a changed setting, are a note. "
        "While a run is on its way tables differ: verify between runs.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_verify, command=parser.prog)


def _verify(options: argparse.Namespace) -> int:
    del options
    from vidagg_dagster.settings import load_settings

    settings = load_settings()
    if not settings.tables_in_files:
        raise BadInputError(
            f"the tables are in {settings.store.location}. Only those of a folder are verified."
        )
    # deltalake is an extra, and is not there where steps run on Databricks.
    from vidagg_dagster.pipeline.verify import summary, verify

    rows, others = _told_by_dagster(settings.rules)
    findings = verify(settings.data_root, rows)
    for finding in findings:
        print(finding.line)
    for line in others:
        print(f"note: {line}")
    print(summary(settings.data_root, findings))
    return FAILED if findings else 0


_Rows = Mapping[str, Mapping[date, int | None]]


def _told_by_dagster(rules: str) -> tuple[_Rows | None, Sequence[str]]:
    """The rows in Dagster's history (None where no DAGSTER_HOME says where it is), and what was
    computed by other rules.
    """
    if not os.environ.get("DAGSTER_HOME"):
        return None, ()
    import dagster as dg

    from vidagg_dagster.defs.verification import other_rules, rows_told

    with dg.DagsterInstance.get() as instance:
        return rows_told(instance), other_rules(instance, rules)
