"""How likely videos are completed, as an asset with checks, a job and a weekly schedule, where
VIDAGG_COMPLETION_FORECAST switches it on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, WATCH_INTERVALS
from vidagg_dagster.defs.code_references import code_references
from vidagg_dagster.defs.metadata import ROW_COUNT
from vidagg_dagster.defs.partitions import BESIDE_RANGES, with_backfill_policies
from vidagg_dagster.defs.schedules import after_deadline
from vidagg_dagster.defs.targets import POOL
from vidagg_dagster.insight.completion.names import FOLDER, PAGE, TABLE_NAME
from vidagg_dagster.settings.model import Settings

if TYPE_CHECKING:
    from vidagg_dagster.insight.completion.forecast import Evaluation
    from vidagg_dagster.insight.completion.run import Found

GROUP: Final = "completion"

BETTER: Final = "better_than_the_base_rate"
CALIBRATED: Final = "calibrated"
MAX_CALIBRATION_ERROR: Final = 0.1

_CHECKS: Final = {
    BETTER: "On later weeks the probabilities are better than the same share for everybody. If it "
    "fails, do not use them: viewers have changed, or there are too few.",
    CALIBRATED: "On later weeks as many complete as were told to, within 10 points on average. If "
    "it fails, look at the diagram on the page: viewers have changed.",
}


@with_backfill_policies()
def completion(settings: Settings) -> dg.Definitions:
    """All of it; nothing where it is switched off."""
    if settings.completion_forecast == "off":
        return dg.Definitions()
    return dg.Definitions(
        assets=[_survival(settings)], jobs=[completion_job], schedules=[_schedule(settings)]
    )


def forecast_of(settings: Settings) -> "Found":
    """The forecast on the stored tables, by the settings.

    Raises:
        StepError: A table is not there yet, or scikit-learn is not installed.
    """
    from vidagg_dagster.insight.completion.run import run

    return run(
        settings.data_root,
        settings.timezone,
        settings.parameters.completion_coverage_percent,
        try_learning=settings.completion_forecast == "learned",
    )


def _survival(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=TABLE_NAME,
        description="How likely each video is completed within 28 days, by how far the viewer has "
        "come, and whether a model is better than this table. It holds no id of a person.",
        deps=[WATCH_INTERVALS.name, AGGREGATED_ENGAGEMENT.name],
        group_name=GROUP,
        owners=settings.operations.owners,
        backfill_policy=BESIDE_RANGES,
        kinds={"deltalake"},
        pool=POOL,
        metadata=code_references("vidagg_dagster.insight.completion.run"),
        check_specs=[
            dg.AssetCheckSpec(name, asset=TABLE_NAME, description=said)
            for name, said in _CHECKS.items()
        ],
    )
    def materialize() -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        # Not imported where nobody asks for a forecast, and where the tables' packages are not.
        from vidagg_dagster.insight.completion.run import keep

        try:
            found = forecast_of(settings)
            keep(settings.data_root, found)
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error
        evaluation = found.evaluation
        yield dg.MaterializeResult(
            metadata={
                ROW_COUNT: found.rows.num_rows,
                "in force": evaluation.in_force,
                "why": evaluation.why,
                "scores": dg.MetadataValue.md(scores_table(evaluation)),
                "page": dg.MetadataValue.path(str(settings.data_root / FOLDER / PAGE)),
            }
        )
        yield from _outcomes(evaluation)

    return materialize


def _outcomes(found: "Evaluation") -> Iterator[dg.AssetCheckResult]:
    """What is not tested yet passes, and says so."""
    from vidagg_dagster.insight.completion.forecast import BASE

    by_name = {one.name: one for one in found.scores}
    used = by_name.get(found.in_force)
    better = used is None or used.brier < by_name[BASE].brier
    calibrated = used is None or used.calibration_error <= MAX_CALIBRATION_ERROR
    shown: dict[str, Any] = {"later moments": found.test_landmarks, "in force": found.in_force}
    for name, passed in ((BETTER, better), (CALIBRATED, calibrated)):
        yield dg.AssetCheckResult(
            passed=passed,
            check_name=name,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=shown,
        )


def scores_table(found: "Evaluation") -> str:
    """The scores as Markdown."""
    return "\n".join(
        [
            "| forecast | Brier | log loss | calibration error |",
            "|---|---|---|---|",
            *(
                f"| {one.name} | {one.brier:.4f} | {one.log_loss:.4f} "
                f"| {one.calibration_error:.4f} |"
                for one in found.scores
            ),
        ]
    )


completion_job = dg.define_asset_job(
    "completion",
    selection=dg.AssetSelection.assets(TABLE_NAME),
    description="Computes how likely videos are completed, without an engine.",
)


def _schedule(settings: Settings) -> dg.ScheduleDefinition:
    return after_deadline(
        settings,
        "completion_schedule",
        job=completion_job,
        minutes=60,
        weekday="1",
        description="On Mondays computes how likely videos are completed, and decides whether the "
        "table or the model is in force.",
    )
