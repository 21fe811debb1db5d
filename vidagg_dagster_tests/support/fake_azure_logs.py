"""Azure Monitor's API for queries on this machine: over TLS, executing the KQL, misbehaving."""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import duckdb_kql
from azure.core.credentials import AccessToken

from vidagg_dagster_tests.support.kql_engine import Azure
from vidagg_dagster_tests.support.loopback_tls import serving

WORKSPACE_ID = "00000000-1111-2222-3333-444444444444"
RESOURCE_ID = "subscriptions/s/resourceGroups/g/providers/microsoft.insights/components/videos"
_PATHS = (
    re.compile(rf"/v1/workspaces/{WORKSPACE_ID}/query"),
    re.compile(rf"/v1/{RESOURCE_ID}/query"),
)


class Reply(NamedTuple):
    """What the server says instead of the answer."""

    status: int
    headers: Mapping[str, str] = {}
    body: object = None


@dataclass
class FakeLogs:
    """The running server: where it is, what it was asked, how it is to behave."""

    url: str
    certificate: Path
    tables: Azure
    max_rows: int = 500_000
    replies: deque[Reply | None] = field(default_factory=deque)
    """Replies to the next requests; None: the answer itself."""
    queries: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def options(self) -> dict[str, Any]:
        """For the SDK's client. Without the wait between tries that are not told one."""
        return {
            "endpoint": self.url,
            "audience": self.url,
            "connection_verify": str(self.certificate),
            "retry_backoff_factor": 0,
        }

    def reply(self, query: str) -> Reply:
        with self.lock:
            self.queries.append(query)
            instead = self.replies.popleft() if self.replies else None
            return instead if instead is not None else self._answer(query)

    def query_of(self, path: str, asked: Mapping[str, str]) -> str | None:
        """The query of a request; None if nothing is at this path."""
        return asked["query"] if any(one.fullmatch(path) for one in _PATHS) else None

    def _answer(self, query: str) -> Reply:
        try:
            columns, rows = self.tables.columns_and_rows(query)
        except (duckdb_kql.KqlError, duckdb.Error) as error:
            inner = {"code": "SemanticError", "message": str(error)}
            return Reply(400, body=_error("BadArgumentError", inner))
        values = [[shown(value) for value in row.values()] for row in rows[: self.max_rows]]
        table = {
            "name": "PrimaryResult",
            "columns": [{"name": name, "type": kind} for name, kind in columns],
            "rows": values,
        }
        body: dict[str, object] = {"tables": [table]}
        if len(rows) > self.max_rows:
            inner = {
                "code": "-2133196797",
                "message": f"The results of this query exceed the set limit of {self.max_rows} "
                "records, so not all records were returned",
            }
            body |= _error("PartialError", inner)
        return Reply(200, body=body)


def _error(code: str, inner: Mapping[str, str]) -> dict[str, object]:
    return {"error": {"code": code, "message": "There were some errors.", "innererror": inner}}


def shown(value: object) -> object:
    """Times have seven digits."""
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}0Z" if isinstance(value, datetime) else value


class Credential:
    """Tokens that are valid for a moment only, so that the SDK asks for a new one each time."""

    def __init__(self, lifetime_s: int = 3_600) -> None:
        self.lifetime_s = lifetime_s
        self.given = 0

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        del scopes, options
        self.given += 1
        return AccessToken(f"token-{self.given}", int(time.time()) + self.lifetime_s)


@contextmanager
def fake_logs(tables: Azure, folder: Path) -> Iterator[FakeLogs]:
    """The server, on a port of its own."""
    with serving(folder) as (server, url, certificate):
        logs = FakeLogs(url, certificate, tables)
        server.RequestHandlerClass = type("Handler", (Handler,), {"logs": logs})
        yield logs


class Handler(BaseHTTPRequestHandler):
    """Sends what the server says."""

    logs: FakeLogs
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        query = self.logs.query_of(self.path, asked)
        if query is None:
            self._send(Reply(404, body=_error("PathNotFoundError", {"message": self.path})))
        elif not self.headers.get("Authorization", "").startswith("Bearer token-"):
            self._send(Reply(401, body=_error("AuthenticationFailed", {"message": "no token"})))
        else:
            self._send(self.logs.reply(query))

    def _send(self, reply: Reply) -> None:
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
