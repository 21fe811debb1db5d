"""Comparison of everything that is stored: logs, sizes of files, counts and sums. No engine.

It reads the logs of all tables, one `stat` a file, the two small tables of counts, and one column
of both engagement tables. Each finding comes with the command that heals it. While a run is on its
way tables differ: verify between runs.
"""

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from vidagg_dagster.core.contract import LIVE_NOTES
from vidagg_dagster.core.days import days_text, span_text, stretches
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    INGESTION_COUNTS,
    LIVE_TABLES,
    NOTED_READ,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    SOURCE_INVENTORY,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.pipeline.inventory import Entry, late_report
from vidagg_dagster.pipeline.lifetime import not_taken_in
from vidagg_dagster.tables.damage import asset_of, remedy
from vidagg_dagster.tables.delta_log import commit_id, days_replaced_since, written_days
from vidagg_dagster.tables.disk import is_address
from vidagg_dagster.tables.stored import Stored, look

Materialized = Mapping[str, Mapping[date, int | None]]
"""Asset -> its materialized days -> how many rows that run reported; None: it did not say."""

_MATERIALIZE: Final = "dagster asset materialize -m vidagg_dagster.definitions --select"
_LIFETIME: Final = AGGREGATED_ENGAGEMENT.name
_WATCHED: Final = "totalWatchTime"
_OF_LIVE: Final = (*LIVE_TABLES, LIVE_NOTES)


@dataclass(frozen=True)
class Finding:
    """Something stored that is wrong: where, what, of which days, and what heals it."""

    table: str
    text: str
    command: str
    days: tuple[date, ...] = ()

    @property
    def line(self) -> str:
        """The finding as a line for people."""
        of_days = f" of {days_text(self.days)}" if self.days else ""
        return f"{self.table}{of_days}: {self.text}. Heals it: {self.command}"


def verify(root: Path, materialized: Materialized | None = None) -> list[Finding]:
    """What is wrong with the tables below `root`; empty where all agrees.

    Args:
        root: The folder of the tables.
        materialized: What Dagster has of each asset; None where there is no history to ask.
    """
    stored = {name: look(root, table) for name, table in TABLES.items()}
    findings = [*_of_logs(stored, materialized or {}), *_of_files(stored)]
    if findings:
        # What follows compares tables, and would tell the same damage once more.
        return findings
    return [
        *_of_counts(stored),
        *_of_inventory(stored),
        *_of_days(stored, materialized or {}),
        *_of_upstream(stored),
        *_of_lifetime(stored),
    ]


def run_days(days: Collection[date]) -> str:
    """The command that computes all tables of some days."""
    commands = []
    for stretch in stretches(days):
        first, last = stretch[0].isoformat(), stretch[-1].isoformat()
        chosen = f"--partition {first}" if first == last else f"--partition-range {first}...{last}"
        prefix = "" if first == last else "VIDAGG_MAX_DAYS_PER_RUN=0 "
        commands.append(f"{prefix}{_MATERIALIZE} '*' {chosen}")
    return " && ".join(commands)


def _run_lifetime() -> str:
    return f"{_MATERIALIZE} {_LIFETIME}"


def _made_anew(stored: Stored) -> str | None:
    """The command for a table that is made anew as a whole; None: days are run."""
    table = stored.table
    if table.partitioned or table is SOURCE_INVENTORY:
        return _live_anew(stored)
    return f"{_MATERIALIZE} {asset_of(table)}"


def _live_anew(stored: Stored) -> str | None:
    """Removes all live tables, which the source fills again; None: it is another table."""
    if stored.table.name not in LIVE_TABLES:
        return None
    # Quoted: a blank in a path would have other folders removed.
    folders = shlex.join(str(stored.folder.parent / name) for name in _OF_LIVE)
    return f"rm -rf {folders} && vidagg live --once"


def _lifetime_anew(stored: Stored) -> str:
    """Moved away first: a run that knows of no change would leave it as it is."""
    return f"{_moved_away(stored.folder)} && {_run_lifetime()}"


def _moved_away(folder: Path) -> str:
    if is_address(folder):
        return f"(move all objects below {folder}/ to another place)"
    return f"mv {folder} {folder}.damaged"


def _removed(file: Path) -> str:
    return f"(remove {file})" if is_address(file) else f"rm {file}"


def _of_logs(stored: Mapping[str, Stored], materialized: Materialized) -> Iterator[Finding]:
    """Logs that cannot be read, and tables that are gone."""
    known = {day for days in materialized.values() for day in days}
    for entry in stored.values():
        known.update(entry.rows)
    for name, entry in stored.items():
        if entry.broken_entry is not None:
            again = "vidagg verify (it names the days that are to be run)"
            command = _live_anew(entry) or f"{_removed(entry.broken_entry)} && {again}"
            yield Finding(name, f"the last entry of its log is cut: {entry.broken_entry}", command)
        elif entry.unreadable is not None:
            again = run_days(known) if known else "vidagg verify"
            command = _live_anew(entry) or f"{_moved_away(entry.folder)} && {again}"
            yield Finding(name, f"its log cannot be read: {entry.unreadable}", command)
        elif entry.version < 0 and (entry.folder.exists() or materialized.get(name)):
            days = tuple(sorted(materialized.get(name) or known))
            text = "the table is gone, or its log"
            anew = _made_anew(entry)
            if anew is not None:
                yield Finding(name, text, anew)
            elif days:
                yield Finding(name, text, run_days(days), days)


def _of_files(stored: Mapping[str, Stored]) -> Iterator[Finding]:
    """Data files that are missing, or have another size than the log says."""
    for name, entry in stored.items():
        if not entry.damage:
            continue
        more = f" and {len(entry.damage) - 1} more" if len(entry.damage) > 1 else ""
        days = {found.file.day for found in entry.damage if found.file.day is not None}
        text = f"{entry.damage[0].text}{more}; {remedy(entry.table, entry.damage).rstrip('.')}"
        anew = _made_anew(entry)
        if anew is not None:
            command = anew
        elif days:
            command = run_days(days)
        else:
            # Every day counts as late then, so all of them are run at once.
            command = run_days(stored[INGESTION_COUNTS.name].rows)
        yield Finding(name, text, command, tuple(sorted(days)))


def _counts(stored: Stored) -> dict[date, dict[str, int]]:
    """Day -> measure -> rows, of `ingestion_counts`."""
    counts: dict[date, dict[str, int]] = {}
    for day, rows in stored.columns("measure", "value"):
        if day is not None:
            pairs = zip(rows["measure"].to_pylist(), rows["value"].to_pylist(), strict=True)
            counts.setdefault(day, {}).update(pairs)
    return counts


def _of_counts(stored: Mapping[str, Stored]) -> Iterator[Finding]:
    """What reading counted, against what is stored: input = accepted + ... + rejected."""
    counts = _counts(stored[INGESTION_COUNTS.name])
    accepted = stored[RAW_EVENTS.name].rows
    rejected = stored[REJECTED_EVENTS.name].rows
    for day in sorted({*counts, *accepted, *rejected}):
        counted = counts.get(day, {})
        outcomes = ("accepted", "duplicates", "ignored", "rejected")
        rows = [counted.get(name, 0) for name in ("input", *outcomes)]
        if rows[0] != sum(rows[1:]):
            text = f"input {rows[0]} is not the sum of its outcomes, {sum(rows[1:])}"
            yield Finding(INGESTION_COUNTS.name, text, run_days([day]), (day,))
        for name, table_rows, of_counts in (
            (RAW_EVENTS.name, accepted.get(day, 0), counted.get("accepted", 0)),
            (REJECTED_EVENTS.name, rejected.get(day, 0), counted.get("rejected", 0)),
        ):
            if table_rows != of_counts:
                text = f"{table_rows} rows are stored, {of_counts} were counted"
                yield Finding(name, text, run_days([day]), (day,))


def _entries(stored: Stored) -> dict[tuple[str, date], Entry]:
    columns = ("sourceFile", EVENT_DATE, "rows", "checksum", "state", "inventory")
    return {
        (row["sourceFile"], row[EVENT_DATE]): Entry(
            row["rows"], row["checksum"], row["state"], row["inventory"]
        )
        for _, rows in stored.columns(*columns)
        for row in rows.to_pylist()
    }


def _of_inventory(stored: Mapping[str, Stored]) -> Iterator[Finding]:
    """What the inventory has noted as read, against what was counted; and what it holds beside."""
    entries = _entries(stored[SOURCE_INVENTORY.name])
    read = {day: entry.rows for (name, day), entry in entries.items() if name == NOTED_READ}
    counts = _counts(stored[INGESTION_COUNTS.name])
    for day, counted in sorted(counts.items()):
        if day not in read:
            text = "the day is stored, and the inventory does not know that it was read"
            yield Finding(SOURCE_INVENTORY.name, text, run_days([day]), (day,))
        elif read[day] != counted.get("input", 0):
            text = f"{read[day]} rows were noted as read, {counted.get('input', 0)} were counted"
            yield Finding(SOURCE_INVENTORY.name, text, run_days([day]), (day,))
    last = max((day for _, day in entries), default=date.min)
    for found in late_report(entries, [], last, 0).days:
        text = f"the source has changed since it was read ({found.rows:+} rows)"
        yield Finding(SOURCE_INVENTORY.name, text, run_days([found.day]), (found.day,))


def _of_days(stored: Mapping[str, Stored], materialized: Materialized) -> Iterator[Finding]:
    """Days that have events and nothing built on them, or that Dagster knows with other rows."""
    events = stored[RAW_EVENTS.name].rows
    told: set[tuple[str, date]] = set()
    for table in (SESSIONS, QUALITY_REPORT):
        rows = stored[table.name].rows
        if stored[table.name].version >= 0:
            empty = sorted(set(events) - set(rows))
            for day in empty:
                told.add((table.name, day))
                text = f"no row is stored, of {events[day]} events"
                yield Finding(table.name, text, run_days([day]), (day,))
    for name, days in materialized.items():
        rows = stored[name].rows
        for day, reported in sorted(days.items()):
            if reported is not None and reported != rows.get(day, 0) and (name, day) not in told:
                text = f"{rows.get(day, 0)} rows are stored, Dagster was told of {reported}"
                yield Finding(name, text, run_days([day]), (day,))


def _of_upstream(stored: Mapping[str, Stored]) -> Iterator[Finding]:
    """Days that were replaced in a table after another one was computed from them."""
    written = {
        name: written_days(entry.folder)
        for name, entry in stored.items()
        if entry.table.partitioned and entry.version >= 0
    }
    for name, days in written.items():
        for day, own in sorted(days.items()):
            for upstream, version in own.computed_from.items():
                last = written.get(upstream, {}).get(day)
                if last is not None and last.version > version:
                    text = (
                        f"it was computed from version {version} of {upstream}, which replaced "
                        f"the day in version {last.version}"
                    )
                    yield Finding(name, text, run_days([day]), (day,))


def _of_lifetime(stored: Mapping[str, Stored]) -> Iterator[Finding]:
    """The lifetime table against the daily one: what was taken in, and the sums."""
    daily, lifetime = stored[USER_VIDEO_ENGAGEMENT.name], stored[_LIFETIME]
    if daily.version < 0:
        return
    if lifetime.version < 0:
        yield Finding(_LIFETIME, "there is no such table yet", _run_lifetime())
        return
    pending = not_taken_in(
        lifetime.note,
        lambda version: commit_id(daily.folder, version),
        lambda version: days_replaced_since(daily.folder, version),
    )
    if pending is None:
        text = "it was made of another daily table: that was made anew or restored"
        yield Finding(_LIFETIME, text, _run_lifetime())
    elif pending:
        text = "the days were replaced after it took them in"
        yield Finding(_LIFETIME, text, _run_lifetime(), tuple(sorted(pending)))
    else:
        days, life = _watched_ms(daily), _watched_ms(lifetime)
        if days != life:
            text = f"{_WATCHED} is {life / 1000:.3f} s, and that of all days {days / 1000:.3f} s"
            yield Finding(_LIFETIME, text, _lifetime_anew(lifetime))


def _watched_ms(stored: Stored) -> int:
    """The sum of the watch time, in exact milliseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for _, rows in stored.columns(_WATCHED):
        ms = pc.cast(pc.round(pc.multiply(rows[_WATCHED], 1000.0)), pa.int64())
        total += pc.sum(ms).as_py() or 0
    return total


def summary(root: Path, findings: Collection[Finding]) -> str:
    """One line: how many findings, or what was compared."""
    if findings:
        return f"{len(findings)} finding{'s' if len(findings) > 1 else ''} in {root}"
    days = sorted(look(root, RAW_EVENTS).rows)
    return f"all agrees in {root}: {span_text(days[0], days[-1]) if days else 'no events'}"
