"""How large the days of a step are, as far as it is known before it starts."""

from typing import Final

from vidagg_dagster.core.contract import StepRequest
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.sources.listing import estimated_rows

FEW_ROWS: Final = 100_000
"""Up to so many events JVM Spark is faster without generated code, on two cores."""


def at_most(request: StepRequest, rows: int) -> bool:
    """Whether neither the days have more events, nor the tables that are read as a whole more rows.

    A day is taken for as large as the largest that is stored; where none is stored yet, all days
    for the files of the source. Of a catalog nothing is known.
    """
    if request.store.kind != "local":
        return False
    # deltalake is an extra, and is not installed where all steps run on Databricks.
    from vidagg_dagster.tables.delta_log import rows_by_day

    root = request.store.location
    stored = rows_by_day(root, RAW_EVENTS)
    events = max(stored.values()) * max(1, len(request.days)) if stored else None
    if events is None and request.source is not None:
        events = estimated_rows(request.source)
    if events is None or events > rows:
        return False
    return rows_by_day(root, AGGREGATED_ENGAGEMENT).total() <= rows
