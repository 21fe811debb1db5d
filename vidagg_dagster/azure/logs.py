"""Queries to Azure Monitor by Microsoft's SDK.

The SDK itself asks three times more where the service is busy, and waits as long as it is told.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vidagg_dagster.azure.answers import SERVER_TIMEOUT_S, Answer, AnswerTooLargeError
from vidagg_dagster.azure.source import EventColumns, LogSource
from vidagg_dagster.core.errors import SourceBusyError, SourceError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_TOO_LARGE: Final = frozenset({413, 504})
_REFUSED: Final = frozenset({401, 403})
_THROTTLED: Final = 429
_NO_CONTENT: Final = 204


class LogsClient:
    """Asks one source.

    Args:
        source: What is asked.
        credential: Who asks; None: `DefaultAzureCredential`, so environment, managed identity or
            the Azure CLI.
        options: For the SDK's client, such as `endpoint`, `audience` and `connection_verify`.
    """

    def __init__(
        self, source: LogSource, credential: "TokenCredential | None" = None, **options: Any
    ) -> None:
        try:
            from azure.identity import DefaultAzureCredential
            from azure.monitor.query import LogsQueryClient
        except ModuleNotFoundError as error:
            raise SourceError(
                f"Events in Azure need the package {error.name}: pip install "
                "'vidagg_dagster[azure]'"
            ) from error
        self._source = source
        self._client = LogsQueryClient(credential or DefaultAzureCredential(), **options)

    def columns(self, dimensions: Mapping[str, str]) -> EventColumns:
        """How the table calls what an event has: the same everywhere."""
        del dimensions
        return self._source.columns

    def ask(self, text: str) -> Answer:
        """The whole answer to a query.

        Raises:
            AnswerTooLargeError: The answer exceeds a limit of the service.
            SourceBusyError: The service does not answer now.
            SourceError: The service refuses.
        """
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
        from azure.monitor.query import LogsQueryStatus

        statuses: list[int] = []
        try:
            result = self._query(text, lambda response: statuses.append(_status(response)))
        except ClientAuthenticationError as error:
            raise self._refused(str(error)) from error
        except HttpResponseError as error:
            raise self._fault(error.status_code, str(error)) from error
        except json.JSONDecodeError as error:
            if statuses and statuses[-1] == _NO_CONTENT:
                # Nothing was ever sent to this workspace.
                return Answer([], [])
            raise self._fault(_last_fault(statuses), "there is no readable answer") from error
        except AzureError as error:
            raise SourceBusyError(f"{self._source.target} cannot be reached: {error}") from error
        if result.status is not LogsQueryStatus.SUCCESS:
            raise AnswerTooLargeError(str(result.partial_error))
        table = result.tables[0]
        return Answer(list(table.columns), [list(row) for row in table.rows])

    def _query(self, text: str, hook: Any) -> Any:
        client = self._client
        ask = client.query_workspace if self._source.is_workspace else client.query_resource
        return ask(
            self._source.target,
            text,
            timespan=None,
            server_timeout=SERVER_TIMEOUT_S,
            raw_response_hook=hook,
        )

    def _refused(self, message: str) -> SourceError:
        return SourceError(
            f"{self._source.target} refuses: {message}. Log in (az login, or a managed identity) "
            "as someone who has the role Log Analytics Reader there."
        )

    def _fault(self, status: int | None, message: str) -> Exception:
        if status in _TOO_LARGE:
            return AnswerTooLargeError(message)
        if status in _REFUSED:
            return self._refused(message)
        if status is None or status >= 500 or status == _THROTTLED:
            return SourceBusyError(f"{self._source.target} is busy ({status}): {message}")
        return SourceError(f"{self._source.target} does not take the query: {message}")


def _last_fault(statuses: list[int]) -> int | None:
    """The status of an answer that says what is wrong by its status only."""
    return statuses[-1] if statuses and statuses[-1] >= 400 else None


def _status(response: Any) -> int:
    return int(response.http_response.status_code)
