"""The lane of a test: which part of `make test` runs it, or whether `make test-slow` does.

A folder of a lane's name decides, wherever it is below the tests: `runs`, `waits` or `slow`. All
other tests are in `jvm`, `sail` or `other`, by what they compute on and by their wing. Those with
the fixture `patient` have many small queries, and are in `slow` on JVM Spark.
"""

from collections.abc import Collection, Mapping
from itertools import product
from typing import Final

LANES: Mapping[str, str] = {
    "jvm": "computes on JVM Spark",
    "sail": "the arithmetic, the steps and the tables, without a JVM",
    "other": "everything else that needs no JVM",
    "runs": "starts whole runs through Dagster",
    "waits": "waits for jobs of a workspace, or needs PostgreSQL",
    "slow": "takes minutes: faults, backfills, large inputs, pages run as written",
}


_COMPUTING: Final = frozenset({"insight", "metrics", "pipeline", "tables"})
"""Wings whose tests compute most of the time: a lane of their own, so that two cores are used."""


def lane_of(
    folders: Collection[str],
    *,
    on_jvm: bool = False,
    on_postgres: bool = False,
    many_queries: bool = False,
) -> str:
    """The one lane of a test. JVM Spark plans and compiles each of `many_queries`: that is slow."""
    if "slow" in folders or (on_jvm and many_queries):
        return "slow"
    if "waits" in folders or on_postgres:
        return "waits"
    if "runs" in folders:
        return "runs"
    if on_jvm:
        return "jvm"
    return "other" if _COMPUTING.isdisjoint(folders) else "sail"


def lanes_below(folders: Collection[str]) -> set[str]:
    """Every lane that some test of a folder may be in."""
    return {
        lane_of(folders, on_jvm=on_jvm, on_postgres=on_postgres, many_queries=many_queries)
        for on_jvm, on_postgres, many_queries in product((False, True), repeat=3)
    }
