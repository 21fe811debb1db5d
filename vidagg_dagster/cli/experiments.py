"""The commands `vidagg assign` and `vidagg experiments`."""

import argparse
import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from vidagg_dagster.cli.arguments import add_command, add_folder, settings_of
from vidagg_dagster.cli.exit_codes import FAILED
from vidagg_dagster.core.errors import BadInputError, OutputError
from vidagg_dagster.insight.experiments.allocation import Allocation, bucket

if TYPE_CHECKING:
    from vidagg_dagster.insight.experiments.run import Evaluated

_COLUMNS: Final = ("experiment", "unitId", "variant", "exposedAt")


def add_assign(commands: Any) -> None:
    """Add `assign` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "assign",
        help="give units their variants, by a hash that a front end can compute too",
        description="Print an assignment table (CSV) of the units, which come as arguments or, one "
        "a line, from standard input. The variant follows from SHA-256 of the salt and the unit; "
        "docs/experiments.md has the same in JavaScript. Units that the shares leave out are not "
        "printed.",
        examples=(
            "vidagg assign --experiment player-2 --variants control=50,new=50 peter anna",
            "vidagg assign --experiment player-2 --variants control=90,new=10 "
            "--exposed-at 2026-01-05T08:00:00Z < users.txt > assignments.csv",
        ),
    )
    parser.add_argument("units", nargs="*", metavar="UNIT", help="a user, or a cluster")
    parser.add_argument("--experiment", required=True, metavar="NAME", help="its name")
    parser.add_argument(
        "--variants",
        required=True,
        type=_allocation,
        metavar="NAME=PERCENT,...",
        help="the variants and their shares; what is left over is in no arm",
    )
    parser.add_argument("--salt", help="what is hashed with each unit (the experiment's name)")
    parser.add_argument(
        "--exposed-at",
        type=_instant,
        metavar="TIME",
        help="when they are exposed, as ISO 8601; without a zone it is UTC (now)",
    )
    parser.set_defaults(run=_assign)


def add_experiments(commands: Any) -> None:
    """Add `experiments` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "experiments",
        help="evaluate the experiments, and write a page of each",
        description="Evaluate every experiment of VIDAGG_EXPERIMENTS_ASSIGNMENTS on the stored "
        "tables, without an engine. Prints what differs, and writes a page and the numbers (JSON) "
        "into the folder `experiments` below the tables. The exit code is 1 if the effects of an "
        "experiment are not shown.",
        examples=("vidagg experiments", "vidagg experiments --excluded two-arms.csv"),
    )
    add_folder(parser)
    parser.add_argument(
        "--excluded",
        type=Path,
        metavar="FILE",
        help="write the units that were exposed to two variants, as CSV",
    )
    parser.set_defaults(run=_experiments)


def _allocation(text: str) -> Allocation:
    try:
        return Allocation.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time as ISO 8601") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _assign(options: argparse.Namespace) -> int:
    salt = options.experiment if options.salt is None else options.salt
    exposed = (options.exposed_at or datetime.now(UTC)).isoformat(timespec="seconds")
    units = options.units or (line.strip() for line in sys.stdin)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for unit in units:
        variant = options.variants.variant(bucket(salt, unit)) if unit else None
        if variant is not None:
            writer.writerow((options.experiment, unit, variant, exposed))
    return 0


def _experiments(options: argparse.Namespace) -> int:
    from vidagg_dagster.defs.experiments import evaluated

    settings = settings_of(options)
    if settings.experiments.assignments is None:
        raise BadInputError("set VIDAGG_EXPERIMENTS_ASSIGNMENTS to the table of assignments")
    found = evaluated(settings)
    for line in _lines(found):
        print(line)
    if options.excluded is not None:
        _write_excluded(found, options.excluded)
    return FAILED if any(result.refused for result in found.results) else 0


def _lines(found: "Evaluated") -> Iterator[str]:
    for reason, rows in found.assignments.unusable.items():
        yield f"{rows} rows of the assignment table left out: {reason}"
    for result in found.results:
        arms = ", ".join(f"{arm.variant} {arm.units} of {arm.exposed}" for arm in result.arms)
        yield f"{result.experiment}: {arms}; {result.in_two_arms} in two arms"
        for why in result.refused:
            yield f"  not shown: {why}"
        for one in result.effects:
            yield (
                f"  {one.title}, {one.variant}: {one.effect:+.4g} "
                f"[{one.lower:+.4g}, {one.upper:+.4g}], at every look "
                f"[{one.always_lower:+.4g}, {one.always_upper:+.4g}]"
                + ("" if one.detectable is None else f"; could be seen: {one.detectable:.3g}")
            )


def _write_excluded(found: "Evaluated", path: Path) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            _excluded_rows(found, file)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _excluded_rows(found: "Evaluated", file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("experiment", "unitId"))
    for one in found.assignments.experiments:
        writer.writerows((one.experiment, unit) for unit in one.in_two_arms)
