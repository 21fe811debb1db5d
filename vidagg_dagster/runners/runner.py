"""What an asset needs of whatever runs its steps."""

from typing import Protocol

import dagster as dg

from vidagg_dagster.core.contract import StepRequest, StepResult


class StepRunner(Protocol):
    """Runs one step somewhere and brings back its result.

    An implementation raises `dagster.Failure` when there is no result to bring back, also when it
    was cancelled: returning means that the days were replaced.
    """

    def run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        """Run the step; progress goes to `context.log`."""
        ...
