"""Events from Azure to one file a day, which steps then read like any other source.

A day is asked for in slices, each small enough for the limits of the service. Its file appears
when all of them are there. What arrives later changes the counts of its day; the day is then landed
anew.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from vidagg_dagster.azure.answers import Answer, AnswerTooLargeError, EventsClient, literal
from vidagg_dagster.azure.source import EventColumns, quoted
from vidagg_dagster.core.contract import EVENT_COLUMNS
from vidagg_dagster.core.days import ONE_DAY
from vidagg_dagster.core.errors import SourceBusyError, SourceError
from vidagg_dagster.core.vocabulary import ALIASES, RANK_OF

ROWS_AT_ONCE: Final = 50_000
"""What a slice should have at most, for the memory of both sides; the service allows 500 000."""

MIN_SLICE: Final = timedelta(milliseconds=10)

_STATE: Final = b"vidagg.state"


class DayState(NamedTuple):
    """What the service holds of a day: rows, the events they stand for, and the last arrival."""

    rows: int
    items: int
    ingested: str

    @property
    def sampled(self) -> int:
        """Events that the service did not keep."""
        return self.items - self.rows


NOTHING: Final = DayState(0, 0, "")


class LandedDay(NamedTuple):
    """A day whose file was written; `slices` is how many answers it took."""

    day: date
    state: DayState
    slices: int


@dataclass(frozen=True)
class Landing:
    """How a source is landed.

    Attributes:
        client: Whom to ask.
        columns: How the table calls what an event has.
        folder: The folder of the files.
        timezone: The zone whose days are the files.
        dimensions: Our column name -> the dimension with it, where they differ.
        event_names: Further names of events, as the source has them.
        rows_at_once: Rows of a slice.
    """

    client: EventsClient
    columns: EventColumns
    folder: Path
    timezone: str = "UTC"
    dimensions: Mapping[str, str] | None = None
    event_names: Collection[str] = ()
    rows_at_once: int = ROWS_AT_ONCE

    def land(self, days: Collection[date], look_back_to: date) -> list[LandedDay]:
        """Land days, and those landed before, from `look_back_to` on, that have changed since.

        Raises:
            SourceError: The service refuses, or an instant holds more than it gives at once.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        before = {day: state for day, state in self.landed().items() if day >= look_back_to}
        asked = sorted({*days, *before})
        found = self.states(asked) if asked else {}
        wanted = [day for day in asked if day in days or found[day] != before[day]]
        return [self._land(day, found[day]) for day in wanted]

    def landed(self) -> dict[date, DayState]:
        """The days that have a file, and what the service held of each when it was written."""
        import pyarrow.parquet as pq

        states = {}
        for path in self.folder.glob("[0-9]*.parquet"):
            said = json.loads(pq.read_metadata(path).metadata[_STATE])
            states[date.fromisoformat(path.stem)] = DayState(*said)
        return states

    def states(self, days: Sequence[date]) -> dict[date, DayState]:
        """What the service holds of each day.

        Raises:
            SourceError: The service refuses, or cannot count a day.
        """
        found = dict.fromkeys(days, NOTHING)
        try:
            counted = self.client.ask(self.states_text(days)).rows
        except AnswerTooLargeError as error:
            if len(days) == 1:
                raise SourceBusyError(
                    f"{days[0]}: its events could not be counted: {error}"
                ) from error
            half = len(days) // 2
            return {**self.states(days[:half]), **self.states(days[half:])}
        for row in counted:
            day, rows, items, ingested = row
            found[date.fromisoformat(day)] = DayState(rows, items, _text(ingested))
        return found

    def states_text(self, days: Sequence[date]) -> str:
        """The query of `states`."""
        bounds = [self._bounds(day) for day in days]
        of_day = " or ".join(
            f"({self.columns.time} >= {literal(begin)} and {self.columns.time} < {literal(end)})"
            for begin, end in bounds
        )
        names = "".join(
            f"{self.columns.time} < {literal(end)}, {quoted(day.isoformat())}, "
            for day, (_, end) in zip(days, bounds, strict=True)
        )
        return (
            f"{self.columns.table}\n| where {of_day}\n{self._player_events()}"
            f'| extend landing_day = case({names}"")\n'
            f"| summarize held = count(), items = {self.columns.items}, "
            "ingested = max(ingestion_time()) by landing_day\n"
            "| project landing_day, held, items, ingested"
        )

    def events_text(self, begin: datetime, end: datetime) -> str:
        """The query for the events from `begin` up to `end`, in our columns."""
        time = self.columns.time
        shown = [f"{name} = {self._shown(name)}" for name in EVENT_COLUMNS]
        return (
            f"{self.columns.table}\n"
            f"| where {time} >= {literal(begin)} and {time} < {literal(end)}\n"
            f"{self._player_events()}| project {', '.join(shown)}"
        )

    def _shown(self, column: str) -> str:
        return self.columns.shown(column, self.dimensions or {})

    def _player_events(self) -> str:
        """A table has the events of a whole site: those of a player have its name, or a video."""
        known = sorted({*RANK_OF, *ALIASES, *(name.lower() for name in self.event_names)})
        names = ", ".join(map(quoted, known))
        return (
            f'| where tolower(trim(@"\\s+", {self.columns.name})) in ({names})\n'
            f"    or isnotempty({self._shown('videoId')})\n"
        )

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        zone = ZoneInfo(self.timezone)
        # In UTC, because days on which the clocks change are not of 24 hours.
        begin, end = (
            datetime.combine(at, time.min, zone).astimezone(UTC) for at in (day, day + ONE_DAY)
        )
        return begin, end

    def _land(self, day: date, state: DayState) -> LandedDay:
        """Write the file of a day; it takes the place of an older one in one step."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / f"{day.isoformat()}.parquet"
        draft = self.folder / f".{path.name}.{os.getpid()}"
        schema = self._schema()
        rows = slices = 0
        try:
            with pq.ParquetWriter(draft, schema) as writer:
                for answer in self._answers(*self._bounds(day), state.rows):
                    slices += 1
                    rows += len(answer.rows)
                    writer.write_table(_as_table(answer, schema, pa))
                if rows < state.rows:
                    raise SourceError(
                        f"{day}: the service counted {state.rows} events and gave {rows}. Nothing "
                        "was written; run the day again."
                    )
                # More may have arrived since the count: the next look finds that they differ.
                writer.add_key_value_metadata({_STATE: json.dumps(state).encode()})
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return LandedDay(day, state, slices)

    def _schema(self) -> Any:
        import pyarrow as pa

        is_time = self.columns.has_instants(self.dimensions or {})
        instant = pa.timestamp("us", "UTC") if is_time else pa.string()
        return pa.schema(
            [(name, instant if name == "timestamp" else pa.string()) for name in EVENT_COLUMNS]
        )

    def _answers(self, begin: datetime, end: datetime, rows: int) -> Iterator[Answer]:
        """The events of a stretch of time in slices, each a whole answer."""
        parts = max(1, -(-rows // self.rows_at_once))
        edges = [begin + (end - begin) * number / parts for number in range(parts)]
        for first, last in zip(edges, [*edges[1:], end], strict=True):
            yield from self._halves(first, last)

    def _halves(self, begin: datetime, end: datetime) -> Iterator[Answer]:
        """One slice; where its answer is too large, its halves."""
        try:
            answer = self.client.ask(self.events_text(begin, end))
        except AnswerTooLargeError as error:
            if end - begin <= MIN_SLICE:
                raise SourceError(
                    f"Between {begin} and {end} lie more events than the service gives at once: "
                    f"{error}"
                ) from error
            middle = begin + (end - begin) / 2
        else:
            yield answer
            return
        yield from self._halves(begin, middle)
        yield from self._halves(middle, end)


def _as_table(answer: Answer, schema: Any, pa: Any) -> Any:
    values = zip(*answer.rows, strict=True) if answer.rows else [[] for _ in answer.columns]
    by_name = dict(zip(answer.columns, values, strict=True))
    return pa.table(
        [pa.array(by_name.get(one.name, []), one.type) for one in schema], schema=schema
    )


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else ""
