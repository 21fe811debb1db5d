"""How large the days of a step are, as far as it is known before it starts."""

from typing import Final

from vidagg_dagster.core.contract import StepRequest
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.sources.listing import estimated_rows

_FEW_ROWS: Final = 100_000
"""Up to so many events JVM Spark is faster without generated code, on two cores."""


def few_rows(request: StepRequest) -> bool:
    """Whether the days have few events, and the tables that are read as a whole few rows.

    A day is taken for as large as the largest that is stored; where none is stored yet, for all
    files of the source. Of a catalog nothing is known.
    """
    if request.store.kind != "local":
        return False
    # deltalake is an extra, and is not installed where all steps run on Databricks.
    from vidagg_dagster.tables.delta_log import rows_by_day

    root = request.store.location
    events = max(rows_by_day(root, RAW_EVENTS).values(), default=None)
    if events is None and request.source is not None:
        events = estimated_rows(request.source)
    if events is None or events * max(1, len(request.days)) > _FEW_ROWS:
        return False
    return rows_by_day(root, AGGREGATED_ENGAGEMENT).total() <= _FEW_ROWS
