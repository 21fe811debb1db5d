"""The tables that a step reads must not change under it.

Two runs of the same days, of which one is past the pool: the slower one may have read a table that
the other replaced meanwhile, and would leave rows of the old one behind, which no check compares.
"""

from dataclasses import replace
from typing import Final

from vidagg_dagster.core.days import days_text, with_day_before
from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.tables.retry import retry_conflicts

MAX_TRIES: Final = 3
"""How often days are computed because another run replaced what they are computed from."""


def compute_current(step: Step, context: StepContext) -> StepOutput:
    """What the step's `compute` gives, computed again where its days were replaced upstream.

    Raises:
        TableConflictError: Another run kept replacing them.
    """

    def compute() -> StepOutput:
        versions = [(table, context.tables.version(table)) for table in step.reads]
        named = {table.name: version for table, version in versions}
        output = step.compute(replace(context, computed_from=named))
        # After the commit, so that no replacement escapes: a later one comes before the other run's
        # own commit of this table.
        needed = with_day_before(context.every_day)
        for table, version in versions:
            replaced = context.tables.days_replaced_since(table, version)
            if replaced.version == version:
                continue
            if replaced.days is None or replaced.days & set(needed):
                raise TableConflictError(
                    f"{table.name}: another run replaced {days_text(context.days)} or the day "
                    f"before while {step.table.name} was computed from version {version}. "
                    "Let one run at a time compute a day, then run it again."
                )
        return output

    return retry_conflicts(compute, attempts=MAX_TRIES)
