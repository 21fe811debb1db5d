"""The command `vidagg completion`."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidagg_dagster.cli.arguments import add_command, add_folder, settings_of
from vidagg_dagster.core.errors import BadInputError

if TYPE_CHECKING:
    from vidagg_dagster.insight.completion.forecast import Evaluation


def add_completion(commands: Any) -> None:
    """Add `completion` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "completion",
        help="how likely viewers complete what they have begun",
        description="Compute, on the stored tables and without an engine, how likely videos are "
        "completed within 28 days, and how good such forecasts were on later weeks. With --output "
        "the probability of every user and video that is begun and not complete.",
        examples=("vidagg completion", "vidagg completion --output viewers.parquet"),
    )
    add_folder(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write the probabilities: .csv, .jsonl or .parquet. It holds ids of users",
    )
    parser.set_defaults(run=_completion)


def _completion(options: argparse.Namespace) -> int:
    from vidagg_dagster.cli.output import check_output, write_output
    from vidagg_dagster.defs.completion import forecast_of
    from vidagg_dagster.insight.completion.run import keep

    settings = settings_of(options)
    if settings.completion_forecast == "off":
        raise BadInputError("set VIDAGG_COMPLETION_FORECAST to table or learned")
    if options.output is not None:
        check_output(options.output)
    found = forecast_of(settings)
    keep(settings.data_root, found)
    for line in _lines(found.evaluation):
        print(line)
    if options.output is not None:
        write_output(found.now, options.output)
        print(f"{options.output}: {found.now.num_rows} users and videos")
    return 0


def _lines(found: "Evaluation") -> Iterator[str]:
    yield f"{found.pairs} pairs of a user and a video whose 28 days are over"
    yield f"in force: {found.in_force}, because {found.why}"
    for one in found.scores:
        yield (
            f"  {one.name}: Brier {one.brier:.4f}, log loss {one.log_loss:.4f}, "
            f"calibration error {one.calibration_error:.4f}"
        )
