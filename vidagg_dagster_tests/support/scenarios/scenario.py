"""What a scenario is: events, and the rows that they amount to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import NamedTuple

from vidagg_dagster_tests.support.event_tables import YEAR, parse_events
from vidagg_dagster_tests.support.reference import Event

Columns = Mapping[str, object]


class ExpectedSession(NamedTuple):
    """A row of the table `sessions`: day as `01-13`, duration in seconds."""

    day: str
    user: str
    session: str
    continues: bool
    events: int
    seconds: float
    videos: int


@dataclass(frozen=True)
class Scenario:
    """Some events and what they amount to.

    `rows` are the lifetime rows per (user, video); `days` the daily rows per (user, video, day),
    day as `01-13`, where the scenario is about days. `parameters` are changed thresholds by name,
    in the unit that the name says. `durations` are in seconds.
    """

    name: str
    events: str
    rows: Mapping[tuple[str, str], Columns]
    days: Mapping[tuple[str, str, str], Columns] | None = None
    sessions: Sequence[ExpectedSession] | None = None
    duplicates: int = 0
    durations: Mapping[str, float] = field(default_factory=lambda: {"v": 300})
    parameters: Mapping[str, object] = field(default_factory=dict)
    timezone: str = "UTC"

    def parsed(self) -> list[Event]:
        """Its events; the times of the table are wall times of its zone."""
        return parse_events(self.events, self.timezone)

    def durations_ms(self) -> dict[str, int]:
        return {video: round(seconds * 1000) for video, seconds in self.durations.items()}

    def __str__(self) -> str:
        return self.name


def day(text: str) -> date:
    """The date of a day as scenarios write it, for example `01-13`."""
    return datetime.strptime(f"{YEAR}-{text}", "%Y-%m-%d").date()


def set_apart(scenario: Scenario, prefix: str) -> Scenario:
    """The same scenario with its own users, videos and event ids, to run many of them at once."""
    lines = []
    for line in scenario.events.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        first = 1 if ":" in words[0] else 2
        words[first] = prefix + words[first]
        words[first + 2] = prefix + words[first + 2]
        words = [w.replace("id=", f"id={prefix}", 1) if w.startswith("id=") else w for w in words]
        lines.append("  ".join(words))
    return replace(
        scenario,
        events="\n".join(lines),
        rows={(prefix + user, prefix + video): row for (user, video), row in scenario.rows.items()},
        days=None
        if scenario.days is None
        else {(prefix + u, prefix + v, day): row for (u, v, day), row in scenario.days.items()},
        sessions=None
        if scenario.sessions is None
        else [session._replace(user=prefix + session.user) for session in scenario.sessions],
        durations={prefix + video: seconds for video, seconds in scenario.durations.items()},
    )


def _close(actual: object, expected: object) -> bool:
    if isinstance(expected, bool) or expected is None or isinstance(expected, str):
        return actual == expected
    if isinstance(expected, int | float):
        return (
            isinstance(actual, int | float)
            and not isinstance(actual, bool)
            and abs(actual - expected) <= 1e-9 * max(1.0, abs(expected))
        )
    return actual == expected


def differences(actual: Columns, expected: Columns) -> list[str]:
    """Every named column whose value is not the expected one, as readable lines."""
    return [
        f"{column}: expected {value!r}, got {actual.get(column, 'no such column')!r}"
        for column, value in expected.items()
        if column not in actual or not _close(actual[column], value)
    ]
