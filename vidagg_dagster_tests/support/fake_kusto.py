"""Azure Data Explorer on this machine: over TLS, executing the KQL, misbehaving."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import duckdb_kql

from vidagg_dagster_tests.support.fake_azure_logs import FakeLogs, Handler, Reply, shown
from vidagg_dagster_tests.support.kql_engine import Azure
from vidagg_dagster_tests.support.loopback_tls import serving

DATABASE: Final = "videos"
_COMPLETION: Final = ("Level", "ClientRequestId", "Payload")
_TOO_LARGE: Final = (
    "Query execution lacks memory resources or exceeds a limit: the result set has exceeded the "
    "internal record count limit (E_QUERY_RESULT_SET_TOO_LARGE)"
)


@dataclass
class FakeKusto(FakeLogs):
    """The running server."""

    late_errors: list[str] = field(default_factory=list)
    """Errors that the next answer tells after all of its rows."""

    @property
    def cluster(self) -> str:
        return self.url.removeprefix("https://")

    def query_of(self, path: str, asked: Mapping[str, str]) -> str | None:
        right = path == "/v2/rest/query" and asked["db"] == DATABASE
        return asked["csl"] if right else None

    def _answer(self, query: str) -> Reply:
        try:
            columns, rows = self.tables.columns_and_rows(query)
        except (duckdb_kql.KqlError, duckdb.Error) as error:
            return Reply(
                400, body={"error": _error("General_BadRequest", f"Semantic error: {error}")}
            )
        values: list[object] = [
            [shown(value) for value in row.values()] for row in rows[: self.max_rows]
        ]
        if len(rows) > self.max_rows:
            values.append({"OneApiErrors": [{"error": _error("LimitsExceeded", _TOO_LARGE)}]})
        completion = [[2, "id", text] for text in self.late_errors] or [[4, "id", "{}"]]
        self.late_errors.clear()
        return Reply(
            200,
            body=[
                {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"},
                _table("PrimaryResult", columns, values),
                _table(
                    "QueryCompletionInformation",
                    list(zip(_COMPLETION, ("int", "string", "string"), strict=True)),
                    completion,
                ),
                {"FrameType": "DataSetCompletion", "HasErrors": len(rows) > self.max_rows},
            ],
        )


def _table(kind: str, columns: Sequence[tuple[str, str]], rows: Sequence[object]) -> object:
    return {
        "FrameType": "DataTable",
        "TableId": 0,
        "TableKind": kind,
        "TableName": kind,
        "Columns": [{"ColumnName": name, "ColumnType": type_} for name, type_ in columns],
        "Rows": rows,
    }


def _error(code: str, message: str) -> dict[str, object]:
    return {"code": code, "message": message, "@message": message, "@permanent": False}


@contextmanager
def fake_kusto(tables: Azure, folder: Path) -> Iterator[FakeKusto]:
    """The server, on a port of its own. Its certificate must be in REQUESTS_CA_BUNDLE."""
    with serving(folder) as (server, url, certificate):
        logs = FakeKusto(url, certificate, tables)
        server.RequestHandlerClass = type("Handler", (_Handler,), {"logs": logs})
        yield logs


class _Handler(Handler):
    def do_GET(self) -> None:  # noqa: N802 - inherited name
        """What cloud this is: the client asks first, and takes a 404 for the public one."""
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
