"""Who was exposed to what: rows of an assignment table become units, each in one arm or in none.

Every row is accounted for: it exposes a unit, repeats an exposure, or cannot be used.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pyarrow as pa

COLUMNS: Final = ("experiment", "unitId", "variant", "exposedAt")
CLUSTER: Final = "clusterId"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What an experiment may be called: its name becomes the name of its page."""

UNITS: Final = pa.schema(
    [
        ("unitId", pa.string()),
        ("variant", pa.string()),
        ("exposedAt", pa.timestamp("us", tz="UTC")),
        (CLUSTER, pa.string()),
    ]
)
"""One row per unit of an experiment. `clusterId` is null where units were assigned one by one."""


@dataclass(frozen=True)
class Assigned:
    """One experiment.

    Attributes:
        experiment: Its name.
        units: See `UNITS`; sorted by `unitId`. `exposedAt` is the first exposure.
        rows: Rows of the assignment table that name it.
        repeated: Rows that repeat an exposure of a unit to its variant.
        in_two_arms: Units that were exposed to more than one variant, or whose cluster was. They
            are in no arm, because nobody knows what worked on them.
    """

    experiment: str
    units: pa.Table
    rows: int
    repeated: int
    in_two_arms: tuple[str, ...]

    @property
    def clustered(self) -> bool:
        """Whether whole clusters were assigned."""
        return bool(self.units.num_rows and not self.units[CLUSTER].null_count)


@dataclass(frozen=True)
class Assignments:
    """All experiments of a table, and what could not be used of it: reason -> rows."""

    experiments: tuple[Assigned, ...]
    unusable: dict[str, int]


@dataclass
class _Unit:
    """What the rows of a unit say."""

    exposed: dict[str, datetime] = field(default_factory=dict)
    clusters: set[str] = field(default_factory=set)
    rows: int = 0


def assignments(table: pa.Table) -> Assignments:
    """The experiments of an assignment table, in the order of their names.

    Args:
        table: `COLUMNS`, and `clusterId` if there is one. `exposedAt` is a timestamp with a zone.
            Null is a value that cannot be read.
    """
    unusable: dict[str, int] = defaultdict(int)
    found: dict[str, dict[str, _Unit]] = defaultdict(lambda: defaultdict(_Unit))
    for row in _rows(table):
        fault = _fault(row)
        if fault is not None:
            unusable[fault] += 1
            continue
        unit = found[str(row["experiment"])][str(row["unitId"])]
        variant, at = str(row["variant"]), row["exposedAt"]
        assert isinstance(at, datetime)
        unit.rows += 1
        unit.exposed[variant] = min(at, unit.exposed.get(variant, at))
        if row[CLUSTER]:
            unit.clusters.add(str(row[CLUSTER]))
    return Assignments(
        tuple(_assigned(name, units) for name, units in sorted(found.items())),
        dict(sorted(unusable.items())),
    )


def _rows(table: pa.Table) -> Iterator[dict[str, object]]:
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            texts = {
                name: value.strip() if isinstance(value, str) else value
                for name, value in row.items()
            }
            yield {CLUSTER: None, **texts}


def _fault(row: dict[str, object]) -> str | None:
    for name in COLUMNS:
        if not row[name]:
            return f"no usable {name}"
    if not _NAME.fullmatch(str(row["experiment"])):
        return "a name of an experiment with other characters than letters, digits, dot, _ and -"
    return None


def _assigned(name: str, units: dict[str, _Unit]) -> Assigned:
    arms_of: dict[str, set[str]] = defaultdict(set)
    for unit in units.values():
        for cluster in unit.clusters:
            arms_of[cluster].update(unit.exposed)
    clustered = bool(arms_of)
    rows, excluded = [], []
    for unit_id, unit in sorted(units.items()):
        alone = len(unit.exposed) == 1
        if clustered:
            # A unit without a cluster, or in two of them, belongs to no arm for certain.
            alone = len(unit.clusters) == 1 and len(arms_of[next(iter(unit.clusters))]) == 1
        if not alone:
            excluded.append(unit_id)
            continue
        (variant, exposed) = next(iter(unit.exposed.items()))
        of = next(iter(unit.clusters), None)
        rows.append({"unitId": unit_id, "variant": variant, "exposedAt": exposed, CLUSTER: of})
    counted = sum(unit.rows for unit in units.values())
    exposures = sum(len(unit.exposed) for unit in units.values())
    return Assigned(
        experiment=name,
        units=pa.Table.from_pylist(rows, schema=UNITS),
        rows=counted,
        repeated=counted - exposures,
        in_two_arms=tuple(excluded),
    )
