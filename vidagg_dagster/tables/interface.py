"""The tables behind one interface: read days, replace days, upsert.

Two kinds pass the same contract tests: `LocalTables` (Delta tables in a folder, written by any
engine and committed without a JVM) and `CatalogTables` (Spark's own Delta in a catalog).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final, Protocol

from pyspark.sql import DataFrame

from vidagg_dagster.core.schemas import TableSpec

DAYS_ENTRY: Final = "vidagg.days"
"""Entry of a commit's metadata: the days that the commit replaced, as a JSON list."""

NOTE_ENTRY: Final = "vidagg.note"
"""Entry of a commit's metadata: the note of an upsert, as a JSON object of strings."""

ERASED_ENTRY: Final = "vidagg.erased"
"""Entry of a commit's metadata: a user was erased from every table, so all of them still fit."""

FROM_ENTRY: Final = "vidagg.from"
"""Entry of a commit's metadata: the `Versions` that its rows were computed from, as JSON."""

Versions = Mapping[str, int]
"""Table -> its version."""

NO_VERSIONS: Final[Versions] = MappingProxyType({})

Frames = DataFrame | Sequence[DataFrame]
"""The rows of one write: a frame, or several that are computed one after the other."""


@dataclass(frozen=True)
class Replaced:
    """The days that were replaced since a version, up to `version`."""

    version: int
    days: frozenset[date] | None
    """None: unknown, so every day must be taken as replaced."""


class Tables(Protocol):
    """Where the declared tables live.

    A frame from `read` gives the rows of that moment, even if it is evaluated after later writes.
    Every write is one commit: readers see all of it or nothing.
    """

    def read(self, table: TableSpec, days: Sequence[date] | None = None) -> DataFrame:
        """The rows of `days` (None: of every day) in the declared columns, types and order.

        Empty where nothing was written yet.

        Raises:
            DamagedTableError: A file of these rows is missing or cut.
        """
        ...

    def rows(self, table: TableSpec, days: Sequence[date] | None = None) -> list[dict[str, Any]]:
        """The rows of a table that has few, in memory: column -> value, in no order.

        Where files lie on this machine they are read without the engine, which takes longer to
        plan a query than to read some hundred rows.

        Args:
            table: Any; for `days` it needs a column `event_date`.
            days: Whose rows. None: all.
        """
        ...

    def replace_days(
        self,
        table: TableSpec,
        frames: Frames,
        days: Sequence[date],
        *,
        if_changed: Sequence[date] = (),
        computed_from: Versions = NO_VERSIONS,
    ) -> tuple[date, ...]:
        """Make the rows of exactly these days the rows of `frames`, in one commit.

        Without rows the days become empty.

        Args:
            table: A table that is kept by days.
            frames: The rows of `days` and of `if_changed`.
            days: The days to replace.
            if_changed: Further days, each replaced in the same commit where its rows differ from
                the stored ones in more than the time of the run.
            computed_from: Kept with the commit, so that it can be told later whether the days
                were replaced there since.

        Returns:
            The days of `if_changed` that were replaced.

        Raises:
            TableError: A row belongs to another day, or the columns are not the declared ones.
                Nothing was written.
            TableConflictError: Another writer kept replacing the same days.
        """
        ...

    def upsert(
        self,
        table: TableSpec,
        rows: Frames,
        deleted: DataFrame | None,
        note: Mapping[str, str],
        *,
        based_on: int | None = None,
    ) -> tuple[int, int]:
        """Update, insert and delete rows by `table.key`, in one commit, and keep `note`.

        Args:
            table: A table without days.
            rows: New states of rows, each key at most once.
            deleted: Keys of rows to delete; a key that is also in `rows` stays.
            note: Returned by `note` from now on, even if no row changes.
            based_on: The `version` that `rows` and `note` follow from.

        Returns:
            How many rows were written, and how many deleted.

        Raises:
            TableConflictError: Rows have changed since `based_on`, or change meanwhile.
            TableError: A key is repeated or null.
        """
        ...

    def replace_all(self, table: TableSpec, rows: DataFrame) -> None:
        """Make the rows of a table without days those of `rows`, in one commit.

        For a table that is computed anew from others each time.

        Raises:
            TableConflictError: Another writer changed the table meanwhile. Nothing was written.
        """
        ...

    def computed(
        self, table: TableSpec, frames: Frames, *by: str
    ) -> AbstractContextManager[DataFrame]:
        """The rows of `frames`, computed once and kept beside `table` until the block ends.

        They are kept apart by the columns `by`, so that a query for some values reads no others.
        Several writes that use them see the same rows, even if the source changes in between.
        Readers of `table` do not see them.
        """
        ...

    def version(self, table: TableSpec) -> int:
        """The number of the latest commit; -1 where there is no table yet."""
        ...

    def commit_id(self, table: TableSpec, version: int) -> str | None:
        """Tells a commit from others of its number: those of a table made anew or restored.

        None where the history does not tell.
        """
        ...

    def discard_damaged(self, table: TableSpec) -> bool:
        """Empty a table without days, and forget its note, if a file of it is missing or cut.

        Returns:
            Whether it was: every row then has to be written again.
        """
        ...

    def days_replaced_since(self, table: TableSpec, version: int | None) -> Replaced:
        """Which days were replaced after `version`, up to the latest one.

        The days are unknown (None) without a version, and where the history does not tell: commits
        of other programs, a history that was cleaned up, a table that was created again.
        """
        ...

    def note(self, table: TableSpec) -> dict[str, str]:
        """The note of the latest upsert; empty if there is none."""
        ...

    def day_counts(self, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
        """Rows of each of `days`, 0 included."""
        ...

    def days_with_rows(self, table: TableSpec) -> set[date]:
        """Every day of which the table has a row."""
        ...


class LandingTables(Tables, Protocol):
    """Tables to which rows are also appended, each delivery once."""

    def append_once(self, table: TableSpec, rows: DataFrame, writer: str, batch: int) -> bool:
        """Append rows of any days, in one commit that keeps the writer and the batch.

        Args:
            table: A table that is kept by days.
            rows: The rows of the batch.
            writer: Who numbers the batches.
            batch: The number; those of a writer only rise.

        Returns:
            Whether the rows were appended: not if this batch of the writer was before, or a later
            one.

        Raises:
            TableError: A row has no day, or the columns are not the declared ones. Nothing was
                written.
            TableConflictError: Another process appends the batches of the same writer.
        """
        ...
