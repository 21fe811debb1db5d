"""The protocol between an asset and the resource that runs its step."""

from typing import Protocol

import dagster as dg

from vidagg_dagster.core.contract import StepRequest, StepResult


class StepRunner(Protocol):
    """Runs one step somewhere and returns its result.

    Returning means that the days were replaced; the result may have days more. Without a result,
    also after a cancellation, an implementation raises.
    """

    def run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        """Run the step; progress goes to `context.log`.

        Raises:
            dagster.Failure: There is no result; its `allow_retries` says whether a retry may help.
            dagster.DagsterExecutionInterruptedError: The run was terminated.
        """
        ...
