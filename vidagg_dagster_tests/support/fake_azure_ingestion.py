"""Azure Monitor's API for logs on this machine: over TLS, keeping what it takes, misbehaving."""

import gzip
import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from vidagg_dagster_tests.support.loopback_tls import serving

RULE, STREAM = "dcr-0123456789abcdef", "Custom-VidaggEngagement_CL"
_PATH = re.compile(rf"/dataCollectionRules/{RULE}/streams/{STREAM}\?api-version=.+")
MAX_BYTES = 1_048_576
"""Of a call, unpacked."""


@dataclass
class FakeIngestion:
    """The running server: where it is, the calls that it took, and replies in place of that."""

    url: str
    certificate: Path
    calls: list[list[dict[str, Any]]] = field(default_factory=list)
    replies: deque[int] = field(default_factory=deque)
    """Statuses to answer with instead of taking the next calls; 0: takes it."""

    @property
    def address(self) -> str:
        return f"{self.url}/{RULE}/{STREAM}"

    @property
    def options(self) -> dict[str, Any]:
        """For the SDK's client."""
        return {"connection_verify": str(self.certificate), "retry_backoff_factor": 0}

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for call in self.calls for row in call]

    def take(self, body: bytes) -> int:
        status = self.replies.popleft() if self.replies else 0
        if status:
            return status
        unpacked = gzip.decompress(body)
        if len(unpacked) > MAX_BYTES:
            return 413
        self.calls.append(json.loads(unpacked))
        return 204


class _Handler(BaseHTTPRequestHandler):
    ingestion: FakeIngestion
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 404
        if not self.headers.get("Authorization", "").startswith("Bearer token-"):
            status = 401
        elif _PATH.fullmatch(self.path):
            status = self.ingestion.take(body)
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        if status in (429, 503):
            self.send_header("Retry-After", "0")
        self.end_headers()


@contextmanager
def fake_ingestion(folder: Path) -> Iterator[FakeIngestion]:
    """The server, on a port of its own."""
    with serving(folder) as (server, url, certificate):
        ingestion = FakeIngestion(url, certificate)
        server.RequestHandlerClass = type("Handler", (_Handler,), {"ingestion": ingestion})
        yield ingestion
