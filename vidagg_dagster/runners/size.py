"""How large the days of a step are, as far as it is known before it starts."""

from typing import Final

from vidagg_dagster.core.contract import StepRequest
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.sources.listing import estimated_rows
from vidagg_dagster.tables.open import largest_day

_FEW_ROWS: Final = 100_000
"""Up to so many events JVM Spark is faster without generated code, on two cores."""


def few_rows(request: StepRequest) -> bool:
    """Whether the days have few events, and the tables that are read as a whole few rows."""
    events = _events_of_a_day(request)
    if events is None or events * max(1, len(request.days)) > _FEW_ROWS:
        return False
    return (largest_day(request.store, AGGREGATED_ENGAGEMENT) or 0) <= _FEW_ROWS


def _events_of_a_day(request: StepRequest) -> int | None:
    """About how many events the largest day has that is stored; None where that is unknown.

    Where no day is stored yet, all files of the source are taken for a day.
    """
    rows = largest_day(request.store, RAW_EVENTS)
    if rows is None and request.store.kind == "local" and request.source is not None:
        rows = estimated_rows(request.source)
    return rows
