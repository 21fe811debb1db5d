"""Questions to a service of Azure: an answer is whole, or it is an error."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from vidagg_dagster.azure.source import EventColumns

SERVER_TIMEOUT_S: Final = 600
"""The longest that a service works on a query."""


class AnswerTooLargeError(Exception):
    """The service gave a part of the answer, or none, because it is too much: ask for less."""


class Answer(NamedTuple):
    """A whole answer; times are aware datetimes, dynamic values are texts."""

    columns: list[str]
    rows: list[list[Any]]


class EventsClient(Protocol):
    """Asks one source of events."""

    def columns(self, dimensions: Mapping[str, str]) -> EventColumns:
        """How the table calls what an event has; `dimensions` are those with other names."""

    def ask(self, text: str) -> Answer:
        """The whole answer to a query.

        Raises:
            AnswerTooLargeError: The answer exceeds a limit of the service.
            SourceBusyError: The service does not answer now.
            SourceError: The service refuses.
        """


def literal(instant: datetime) -> str:
    """An instant in KQL."""
    return f"datetime({instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z)"
