"""Queries to Azure Data Explorer by Microsoft's SDK."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from vidagg_dagster.azure.answers import SERVER_TIMEOUT_S, Answer, AnswerTooLargeError
from vidagg_dagster.azure.source import EventColumns, KustoSource, columns_of
from vidagg_dagster.core.errors import SourceBusyError, SourceError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.kusto.data.exceptions import KustoServiceError

_TRIES: Final = 3
_BUSY: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_TOO_LARGE: Final = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.GATEWAY_TIMEOUT)
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class KustoEvents:
    """Asks one table.

    Args:
        source: The table.
        credential: Who asks; None: `DefaultAzureCredential`, so environment, managed identity or
            the Azure CLI.
        wait_s: The wait before the second try where the service does not say how long.
    """

    def __init__(
        self,
        source: KustoSource,
        credential: "TokenCredential | None" = None,
        wait_s: float = 1.0,
    ) -> None:
        try:
            from azure.identity import DefaultAzureCredential
            from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
        except ModuleNotFoundError as error:
            raise SourceError(
                f"Events in Azure Data Explorer need the package {error.name}: pip install "
                "'vidagg_dagster[azure]'"
            ) from error
        from urllib3.util import Retry

        self._source = source
        self._client = KustoClient(
            KustoConnectionStringBuilder.with_azure_token_credential(
                f"https://{source.cluster}", credential or DefaultAzureCredential()
            )
        )
        # Its signature says a number; requests takes both, and a number alone waits for nobody.
        retries: Any = Retry(
            total=_TRIES,
            status_forcelist=_BUSY,
            allowed_methods=["POST"],
            backoff_factor=wait_s,
            raise_on_status=False,
        )
        self._client.set_http_retries(retries)

    def columns(self, dimensions: Mapping[str, str]) -> EventColumns:
        """How the table calls what an event has, by the columns that it has.

        Raises:
            SourceError: The table lacks what an event needs, or cannot be asked.
        """
        table = self._table(f"{self._source.table}\n| take 0")
        types = {column.column_name: column.column_type for column in table.columns}
        try:
            return columns_of(self._source.table, types, dimensions)
        except ValueError as error:
            raise SourceError(f"{self._source.target}: {error}") from error

    def ask(self, text: str) -> Answer:
        """The whole answer to a query.

        Raises:
            AnswerTooLargeError: The answer exceeds a limit of the service.
            SourceBusyError: The service does not answer now.
            SourceError: The service refuses.
        """
        table = self._table(text)
        return Answer(
            [column.column_name for column in table.columns], [row.to_list() for row in table]
        )

    def _table(self, text: str) -> Any:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.kusto.data import ClientRequestProperties
        from azure.kusto.data.exceptions import (
            KustoAuthenticationError,
            KustoMultiApiError,
            KustoNetworkError,
            KustoServiceError,
            KustoThrottlingError,
        )

        options: Any = ClientRequestProperties()  # type: ignore[no-untyped-call]
        options.set_option(
            ClientRequestProperties.request_timeout_option_name, timedelta(seconds=SERVER_TIMEOUT_S)
        )
        try:
            found = self._client.execute_query(self._source.database, text, options)
        except (KustoAuthenticationError, ClientAuthenticationError) as error:
            raise self._refused(str(error)) from error
        except KustoMultiApiError as error:
            # The rows break off with what was wrong.
            raise AnswerTooLargeError(error.message_text) from error
        except (KustoThrottlingError, KustoNetworkError, AzureError) as error:
            raise SourceBusyError(f"{self._source.target} is busy: {error}") from error
        except KustoServiceError as error:
            raise self._fault(error) from error
        if found.errors_count:
            raise AnswerTooLargeError("; ".join(found.get_exceptions()))
        return found.primary_results[0]

    def _refused(self, message: str) -> SourceError:
        return SourceError(
            f"{self._source.target} refuses: {message}. Log in (az login, or a managed identity) "
            f"as someone who is a viewer of the database {self._source.database}."
        )

    def _fault(self, error: "KustoServiceError") -> Exception:
        status: int | None = getattr(error.http_response, "status_code", None)
        if status in _TOO_LARGE:
            return AnswerTooLargeError(error.message_text)
        if status in _REFUSED:
            return self._refused(error.message_text)
        if status is None or status < 300 or status >= 500:
            return SourceBusyError(
                f"{self._source.target} gives no readable answer ({status}): {error.message_text}"
            )
        return SourceError(f"{self._source.target} does not take the query: {error.message_text}")
