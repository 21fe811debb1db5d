"""What the source holds of which day, so that events are noticed that arrive for days already read.

Every run of raw_events reads the files that are new or changed since the last one, counts their
rows per day, and compares with what was there of each day when it was last read. A file is counted
once, so the count must not depend on the clock: rows dated ahead count for the day that they name.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import LateDay, LateReport, SourceSpec, StepRequest
from vidagg_dagster.core.days import ONE_DAY, days_text
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    INGESTION_COUNTS,
    NOTED_READ,
    SOURCE_INVENTORY,
)
from vidagg_dagster.metrics.ingestion import rows_by_file
from vidagg_dagster.sources.catalog import TablePart
from vidagg_dagster.sources.error_text import first_line
from vidagg_dagster.sources.faults import require_without_rows
from vidagg_dagster.sources.listing import EMPTY_FILE, list_source
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.table_changes import table_changes
from vidagg_dagster.tables.interface import Tables
from vidagg_dagster.tables.retry import retry_conflicts

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 5
"""How often an inventory is taken while other runs write theirs."""

GONE: Final = "gone"

_SETTINGS, _LISTING = "settings", "listing"

_COUNTED: Final = "without a clock"
"""How rows are counted. Files that were counted otherwise are counted again."""

_MAX_NAMED: Final = 5
"""How many files a message names."""


@dataclass(frozen=True)
class Entry:
    """A row of `SOURCE_INVENTORY` beside its key."""

    rows: int
    checksum: int
    state: str | None
    inventory: int


Entries = Mapping[tuple[str, date], Entry]
Counts = Mapping[tuple[str, date], tuple[int, int]]
RowsRead = Mapping[tuple[str, date], int]
"""File (of a table: its location) and day -> how many rows were read."""


@dataclass(frozen=True)
class Inventory:
    """What the source holds. `known` is the part of it that is written already."""

    number: int
    entries: Entries
    known: Entries
    note: Mapping[str, str]
    based_on: int
    names: frozenset[str] | None
    """The files that are there; None where the source is read as a whole."""
    rows_read: int = 0
    """How many rows were read to count them: those of what is new or changed."""

    def names_of(self, days: Collection[date]) -> frozenset[str] | None:
        """The files that have rows of `days`; None where the source is read as a whole."""
        if self.names is None:
            return None
        return self.names & {
            name for (name, day), e in self.entries.items() if day in days and e.rows
        }

    def rows_of(self, days: Collection[date]) -> int:
        """How many rows the source has of `days`, duplicates included."""
        return sum(
            entry.rows
            for (name, day), entry in self.entries.items()
            if day in days and name != NOTED_READ
        )

    def lacking(self, read: RowsRead, days: Collection[date]) -> list[str]:
        """The files of which fewer rows of `days` were `read` than they hold."""
        return sorted(
            {
                name
                for (name, day), entry in self.entries.items()
                if day in days and name != NOTED_READ and read.get((name, day), 0) < entry.rows
            }
        )

    @property
    def known_number(self) -> int:
        """Number of the latest inventory that is written."""
        return latest(self.known)


def take_inventory(spark: SparkSession, tables: Tables, request: StepRequest) -> Inventory:
    """Look through the source; reads the rows of new and changed files only, and writes nothing.

    Take it before the events are read: what arrives in between is found late, and never missed.

    Raises:
        SourceError: The source cannot be read.
    """
    spec = _source(request)
    tables.discard_damaged(SOURCE_INVENTORY)
    based_on = tables.version(SOURCE_INVENTORY)
    known = _stored(tables) if based_on >= 0 else {}
    note = tables.note(SOURCE_INVENTORY) if based_on >= 0 else {}
    listing = list_source(spec, spark)
    present: Mapping[str, str | None] = {spec.location: None} if listing is None else listing
    counted_by = (_COUNTED, spec.model_dump_json(), str(request.start_date), request.timezone)
    settings = _digest(*counted_by)
    new_note = {
        _SETTINGS: settings,
        _LISTING: _digest(*sorted(f"{n}: {present[n]}" for n in present)),
    }
    if listing is not None and note == new_note:
        return Inventory(latest(known), known, known, note, based_on, frozenset(present))
    states = {name: entry.state for (name, _), entry in known.items()}
    trusted = listing is not None and note.get(_SETTINGS) == settings
    changed = {n for n, state in present.items() if not trusted or states.get(n) != state}
    counts, rows_read = _count_changed(spark, request, known if trusted else {}, changed, present)
    log.info(
        "source: %d new or changed, of %d; %d rows counted", len(changed), len(present), rows_read
    )
    number = latest(known) + 1
    entries = updated(known, counts, changed, present, number, request.start_date)
    if not any(name == NOTED_READ for name, _ in known):
        entries.update(_marks_of_tables(tables))
    names = None if listing is None else frozenset(listing)
    return Inventory(number, entries, known, new_note, based_on, names, rows_read)


def require_all_read(inventory: Inventory, read: RowsRead, days: Collection[date]) -> None:
    """Make sure that nothing is missing of what the inventory has counted.

    Engines differ: to some a file that is away holds no rows.

    Raises:
        SourceError: Fewer rows were read of some files; the message names them.
    """
    lacking = inventory.lacking(read, days)
    if lacking:
        named = ", ".join(lacking[:_MAX_NAMED])
        more = f" and {len(lacking) - _MAX_NAMED} more" if len(lacking) > _MAX_NAMED else ""
        found = sum(read.values())
        raise SourceError(
            f"Of {inventory.rows_of(days)} rows of {days_text(days)} only {found} could be read: "
            f"the source has changed meanwhile, twice. See to {named}{more}. Nothing was written. "
            "Run the day again when the files stay in their place."
        )


def record_inventory(
    spark: SparkSession,
    tables: Tables,
    request: StepRequest,
    inventory: Inventory,
    read: RowsRead,
) -> LateReport:
    """Write an inventory, and that the requested days hold what was `read`; gives the late days.

    Raises:
        TableConflictError: Other runs kept writing theirs.
    """

    def inventories() -> Iterator[Inventory]:
        """The given one, then a new one for each further attempt."""
        yield inventory
        while True:
            yield take_inventory(spark, tables, request)

    taken = inventories()

    def write() -> LateReport:
        now = next(taken)
        entries = {**now.entries, **_marks(request.days, inventory, now, read)}
        changed = {key: entry for key, entry in entries.items() if now.known.get(key) != entry}
        if changed or now.note != tables.note(SOURCE_INVENTORY):
            rows = [
                (name, day, e.rows, e.checksum, e.state, e.inventory)
                for (name, day), e in changed.items()
            ]
            frame = spark.createDataFrame(rows, SOURCE_INVENTORY.struct)
            tables.upsert(SOURCE_INVENTORY, frame, None, now.note, based_on=now.based_on)
        today = request.run_time.astimezone(ZoneInfo(request.timezone)).date()
        return late_report(entries, request.days, today, request.max_lateness_days)

    return retry_conflicts(write, attempts=MAX_ATTEMPTS)


def latest(entries: Entries) -> int:
    """Number of the latest inventory among entries; 0 without any."""
    return max((entry.inventory for entry in entries.values()), default=0)


def updated(
    known: Entries,
    counts: Counts,
    read: Collection[str],
    present: Mapping[str, str | None],
    number: int,
    start_date: date,
) -> dict[tuple[str, date], Entry]:
    """The entries after an inventory.

    Args:
        known: Those before it.
        counts: Rows and checksum per name and day, of the names in `read`.
        read: New and changed files, or the table.
        present: The state of all that is there.
        number: The number of this inventory; goes to what has changed.
        start_date: Day under which a file without rows is remembered.
    """

    def entry(key: tuple[str, date], rows: int, checksum: int, state: str | None) -> Entry:
        before = known.get(key)
        same = before is not None and (before.rows, before.checksum) == (rows, checksum)
        # Nothing was there and nothing is there now: no change of the day.
        same = same or (before is None and rows == 0)
        return Entry(rows, checksum, state, before.inventory if before and same else number)

    entries = dict(known)
    for (name, day), before in known.items():
        if name == NOTED_READ:
            continue
        if name not in present:
            entries[name, day] = entry((name, day), 0, 0, GONE)
        elif name in read and (name, day) not in counts:
            entries[name, day] = entry((name, day), 0, 0, present[name])
        else:
            entries[name, day] = before
    for key, (rows, checksum) in counts.items():
        entries[key] = entry(key, rows, checksum, present[key[0]])
    for name in set(read) - {name for name, _ in entries}:
        entries[name, start_date] = Entry(0, 0, present[name], 0)
    return entries


def late_report(
    entries: Entries, just_read: Collection[date], today: date, max_lateness_days: int
) -> LateReport:
    """The days that were read before and have changed since, or of which other rows were read.

    Lateness counts from the last complete day, the one before `today`: its own events may arrive
    until then without being late.
    """
    marks = {day: entry for (name, day), entry in entries.items() if name == NOTED_READ}
    rows = dict.fromkeys(marks, 0)
    changed = dict.fromkeys(marks, 0)
    for (name, day), entry in entries.items():
        if name != NOTED_READ and day in marks:
            rows[day] += entry.rows
            changed[day] = max(changed[day], entry.inventory)
    late = []
    for day, mark in sorted(marks.items()):
        differs = changed[day] > mark.inventory or rows[day] != mark.rows
        if differs and day not in just_read:
            days_late = (today - ONE_DAY - day).days
            late.append(
                LateDay(
                    day=day,
                    rows=rows[day] - mark.rows,
                    inventory=changed[day],
                    days_late=max(days_late, 0),
                    within_limit=days_late <= max_lateness_days,
                )
            )
    again = tuple(day.day for day in late if day.within_limit)
    return LateReport(days=tuple(late), follow_up=again, ahead=_ahead(entries, today))


def _ahead(entries: Entries, today: date) -> dict[date, int]:
    """Days after tomorrow -> rows that the source has of them."""
    rows: dict[date, int] = {}
    for (name, day), entry in sorted(entries.items()):
        if name != NOTED_READ and day > today + ONE_DAY and entry.rows:
            rows[day] = rows.get(day, 0) + entry.rows
    return dict(sorted(rows.items()))


def _marks(
    days: Iterable[date], first: Inventory, now: Inventory, read: RowsRead
) -> dict[tuple[str, date], Entry]:
    """That days are read: up to `now`, where it says the same of them as `first`.

    `first` was there before the events were read. Where another run has found more of a day in the
    meantime, the day counts as read only up to what was known before, and so as late. The rows are
    those that were `read`: of a file that grows they may be more than it had when it was counted.
    """
    rows = dict.fromkeys(days, 0)
    for (_, day), count in read.items():
        rows[day] += count
    marks = {}
    for day, count in rows.items():
        before, after = _of_day(first.entries, day), _of_day(now.entries, day)
        number = now.number if before == after else first.known_number
        marks[NOTED_READ, day] = Entry(count, 0, None, number)
    return marks


def _marks_of_tables(tables: Tables) -> dict[tuple[str, date], Entry]:
    """Marks for the days that are in the tables although no inventory says so: it was lost.

    What was read of them is known, but not which files that were: all count as late.
    """
    if tables.version(INGESTION_COUNTS) < 0:
        return {}
    counted = tables.rows(INGESTION_COUNTS)
    rows = {row[EVENT_DATE]: row["value"] for row in counted if row["measure"] == "input"}
    if not rows:
        return {}
    first = min(rows)
    # Days without rows have no counts.
    between = (first + n * ONE_DAY for n in range((max(rows) - first).days + 1))
    return {(NOTED_READ, day): Entry(rows.get(day, 0), 0, None, 0) for day in between}


def _of_day(entries: Entries, day: date) -> dict[str, tuple[int, int]]:
    return {
        name: (entry.rows, entry.checksum)
        for (name, at), entry in entries.items()
        if at == day and name != NOTED_READ and entry.rows
    }


def _stored(tables: Tables) -> dict[tuple[str, date], Entry]:
    return {
        (row["sourceFile"], row[EVENT_DATE]): Entry(
            row["rows"], row["checksum"], row["state"], row["inventory"]
        )
        for row in tables.rows(SOURCE_INVENTORY)
    }


def _count_changed(
    spark: SparkSession,
    request: StepRequest,
    known: Entries,
    changed: Collection[str],
    present: Mapping[str, str | None],
) -> tuple[Counts, int]:
    """The counts of what is new or changed, and how many rows were read for them."""
    if not changed:
        return {}, 0
    spec = _source(request)
    if list(changed) == [spec.location]:
        told = _count_changes_of_table(spark, request, known, present[spec.location])
        if told is not None:
            return told
    counts = _count(spark, request, changed)
    unseen = _without_rows(changed, counts, present)
    if unseen:
        # Perhaps they were away for a moment, and to some engines that means no rows.
        counts |= _count(spark, request, unseen)
        require_without_rows(spec, _without_rows(unseen, counts, present))
    return counts, _sum(counts)


def _count_changes_of_table(
    spark: SparkSession, request: StepRequest, known: Entries, state: str | None
) -> tuple[Counts, int] | None:
    """As `_count_changed`, by reading only what has come to a table of the catalog, and what went.

    None where the whole table has to be read. The number of rows that the table has by its own
    account decides: with it every known row and every row that was read must add up.
    """
    spec = _source(request)
    before = {key: (e.rows, e.checksum) for key, e in known.items() if key[0] == spec.location}
    states = {known[key].state for key in before}
    in_sequence = spec.mapping is not None and spec.mapping.in_sequence
    if len(states) != 1 or in_sequence:
        return None
    try:
        changes = table_changes(spark, spec.location.strip(), states.pop(), state)
        if changes is None:
            return None
        came = _count_part(spark, request, changes.added)
        went = _count_part(spark, request, changes.removed)
    # Time travel may be forbidden, files of the old version gone. What is wrong with the table
    # itself shows when it is read as a whole.
    except Exception as error:
        log.info("source: the changes of %s cannot be told: %s", spec.location, first_line(error))
        return None
    counts = _balance(before, came, went)
    if counts is None or _sum(counts) != changes.rows:
        return None
    return counts, _sum(came) + _sum(went)


def _balance(before: Counts, came: Counts, went: Counts) -> Counts | None:
    """What is there after rows came and went; None if more went than there were."""
    balance = {}
    for key in {*before, *came, *went}:
        rows, checksum = (
            before.get(key, (0, 0))[at] + came.get(key, (0, 0))[at] - went.get(key, (0, 0))[at]
            for at in (0, 1)
        )
        if rows < 0 or (rows == 0 and checksum):
            return None
        if rows:
            balance[key] = (rows, checksum)
    return balance


def _sum(counts: Counts) -> int:
    return sum(rows for rows, _ in counts.values())


def _count_part(spark: SparkSession, request: StepRequest, part: TablePart) -> Counts:
    if not part.files:
        return {}
    source = read_source(spark, _source(request), request.scratch, part=part)
    return _counts_of(source, request)


def _count(
    spark: SparkSession, request: StepRequest, names: Collection[str]
) -> dict[tuple[str, date], tuple[int, int]]:
    return _counts_of(read_source(spark, _source(request), request.scratch, only=names), request)


def _counts_of(source: DataFrame, request: StepRequest) -> dict[tuple[str, date], tuple[int, int]]:
    spec = _source(request)
    counted = rows_by_file(
        source,
        spec=spec,
        start_date=request.start_date,
        timezone=request.timezone,
    )
    # Rows of tables have no file.
    name = F.coalesce("sourceFile", F.lit(spec.location)).alias("sourceFile")
    return {
        (row["sourceFile"], row[EVENT_DATE]): (row["rows"], row["checksum"])
        for row in counted.select(name, EVENT_DATE, "rows", "checksum").collect()
    }


def _without_rows(
    names: Collection[str], counts: Counts, present: Mapping[str, str | None]
) -> set[str]:
    """The files that are not empty, and of which no row was counted."""
    counted = {name for name, _ in counts}
    return {
        name
        for name in names
        if name not in counted and not (present[name] or "").startswith(EMPTY_FILE)
    }


def _source(request: StepRequest) -> SourceSpec:
    if request.source is None:
        raise ValueError("an inventory needs a source")
    return request.source


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
