"""Rows of the lifetime table to a custom table of Log Analytics, by Microsoft's SDK.

The table in Azure only grows: a row that has changed is sent again. `kql/views/engagement.kql`
shows the latest of each user and video, so that sending twice does no harm.
"""

import re
from collections.abc import Iterator, MutableMapping, Sequence
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from vidagg_dagster.core.errors import ExportBusyError, ExportError
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

ROWS_AT_ONCE: Final = 1_000
"""Rows held in memory; the SDK packs them into calls of at most 1 MB."""

TABLE: Final = "VidaggEngagement_CL"
"""The custom table, as view and workbook name it."""

_ADDRESS: Final = re.compile(r"(https://[^/]+)/(dcr-[^/]+)/(Custom-[^/]+)")
_REFUSED: Final = frozenset({401, 403})
_THROTTLED: Final = 429


class ExportTarget(NamedTuple):
    """Where rows go: a data collection endpoint, a rule by its immutable id, and its stream."""

    endpoint: str
    rule: str
    stream: str


def parse_export(address: str) -> ExportTarget:
    """The target behind `https://ENDPOINT/dcr-ID/Custom-STREAM`.

    Raises:
        ValueError: It is no such address; the message says what it must look like.
    """
    found = _ADDRESS.fullmatch(address.rstrip("/"))
    if found is None:
        raise ValueError(
            "it is https://NAME.REGION.ingest.monitor.azure.com/dcr-IMMUTABLE-ID/Custom-"
            f"{TABLE}: endpoint, rule and stream of a data collection rule"
        )
    return ExportTarget(*found.groups())


def view() -> str:
    """The KQL that shows one row per user and video of `TABLE`, to be saved as a function."""
    folder = files(__package__) / "kql" / "views"
    return (folder / "engagement.kql").read_text(encoding="utf-8")


class Exporter:
    """Sends rows to one target.

    Args:
        target: Where to.
        credential: Who sends; None: `DefaultAzureCredential`.
        options: For the SDK's client, such as `connection_verify`.
    """

    def __init__(
        self, target: ExportTarget, credential: "TokenCredential | None" = None, **options: Any
    ) -> None:
        try:
            from azure.identity import DefaultAzureCredential
            from azure.monitor.ingestion import LogsIngestionClient
        except ModuleNotFoundError as error:
            raise ExportError(
                f"Rows go to Azure by the package {error.name}: pip install 'vidagg_dagster[azure]'"
            ) from error
        self._target = target
        self._client = LogsIngestionClient(
            target.endpoint, credential or DefaultAzureCredential(), **options
        )

    def send(self, rows: Sequence[MutableMapping[str, Any]]) -> None:
        """Send rows. If it fails, some may have arrived; sending all again is safe.

        Raises:
            ExportBusyError: The service does not take them now.
            ExportError: The service refuses them.
        """
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        try:
            self._client.upload(self._target.rule, self._target.stream, list(rows))
        except ClientAuthenticationError as error:
            raise self._refused(str(error)) from error
        except HttpResponseError as error:
            raise self._fault(error.status_code, str(error)) from error
        except AzureError as error:
            raise ExportBusyError(f"{self._target.endpoint} cannot be reached: {error}") from error

    def _refused(self, message: str) -> ExportError:
        return ExportError(
            f"{self._target.rule} refuses: {message}. Give the identity that runs this the role "
            "Monitoring Metrics Publisher on the data collection rule."
        )

    def _fault(self, status: int | None, message: str) -> ExportError:
        if status in _REFUSED:
            return self._refused(message)
        if status is None or status >= 500 or status == _THROTTLED:
            return ExportBusyError(f"{self._target.endpoint} is busy ({status}): {message}")
        return ExportError(f"{self._target.rule} does not take the rows: {message}")


def changed_rows(data_root: Path, since: datetime | None) -> Iterator[list[dict[str, Any]]]:
    """The rows of the lifetime table that were computed after `since`, some at a time."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    stored = DeltaTable(str(data_root / AGGREGATED_ENGAGEMENT.name)).to_pyarrow_dataset()
    later = None if since is None else pc.field("processedAt") > pc.scalar(since)
    for batch in stored.to_batches(filter=later, batch_size=ROWS_AT_ONCE):
        if batch.num_rows:
            yield [_as_log(row) for row in batch.to_pylist()]


def _as_log(row: dict[str, Any]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in row.items()}
    return {"TimeGenerated": plain["processedAt"], **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
