"""`vidagg databricks deploy --try`: one short job, by the same way as the job of a step."""

import logging
from collections.abc import Iterator

import dagster as dg

from vidagg_dagster.databricks.deploy import Finding
from vidagg_dagster.databricks.runner import DatabricksSteps
from vidagg_dagster.databricks.trial import TRIAL, Trial, TrialFinding


def try_out(steps: DatabricksSteps, trial: Trial) -> Iterator[Finding]:
    """Run the trial on the compute of the steps; gives what it found.

    A job that cannot even begin is a finding too.
    """
    found: list[TrialFinding] = []

    @dg.asset(name=TRIAL)
    def asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        found.extend(steps.try_out(context, trial))
        return dg.MaterializeResult()

    # What it found is told instead of the run's log.
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([asset], instance=instance, raise_on_error=False)
    if not result.success:
        failed = result.failure_data_for_node(TRIAL)
        told = failed.error.message if failed is not None and failed.error is not None else ""
        # Dagster puts the class of the error before its message.
        _, _, message = told.strip().partition(": ")
        remedy = (
            "Look at the job's page, if there is one. VIDAGG_DATABRICKS_COMPUTE chooses others."
        )
        yield Finding("job", False, message, remedy)
        return
    yield Finding("job", True, "a job on this compute ran, and its report came back")
    for one in found:
        yield Finding(one.subject, one.passed, one.found, one.remedy)
