"""Exact video engagement from raw player events, orchestrated by Dagster and computed by Spark.

The names in `__all__` are the public ones, beside `vidagg_dagster.definitions` and the commands
`vidagg` and `vidagg-step`. Everything else may change. They are imported when they are first used,
so that importing the package starts nothing and needs no Spark.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from vidagg_dagster.core.version import __version__

if TYPE_CHECKING:
    from vidagg_dagster.aggregator import VideoEngagementAggregator
    from vidagg_dagster.core.contract import SourceSpec
    from vidagg_dagster.core.errors import VidaggError
    from vidagg_dagster.core.parameters import EngagementParameters
    from vidagg_dagster.pipeline.batch import aggregate_files

__all__ = [
    "EngagementParameters",
    "SourceSpec",
    "VidaggError",
    "VideoEngagementAggregator",
    "__version__",
    "aggregate_files",
]

_HOMES: Final = {
    "EngagementParameters": "vidagg_dagster.core.parameters",
    "SourceSpec": "vidagg_dagster.core.contract",
    "VidaggError": "vidagg_dagster.core.errors",
    "VideoEngagementAggregator": "vidagg_dagster.aggregator",
    "aggregate_files": "vidagg_dagster.pipeline.batch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
