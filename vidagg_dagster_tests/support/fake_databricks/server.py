"""The workspace's HTTP server: routes, credentials and faults on demand."""

import json
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from vidagg_dagster_tests.support.fake_databricks.answers import Answer, ApiError
from vidagg_dagster_tests.support.fake_databricks.catalog import Catalog
from vidagg_dagster_tests.support.fake_databricks.runs import Runs
from vidagg_dagster_tests.support.fake_databricks.submission import read_submission
from vidagg_dagster_tests.support.fake_databricks.volumes import Volumes

TOKEN = "loopback-only"
CLIENT_ID = "00000000-0000-0000-0000-000000000001"
CLIENT_SECRET = "loopback-secret"
"""Of the service principal, which gets `TOKEN` from the token service."""


@dataclass
class Fault:
    """Spoils the next `times` requests whose method and path match."""

    method: str
    path: str
    times: int = 1
    skip: int = 0
    """How many such requests are served before."""
    status: int | None = None
    """Answer with this status and do nothing."""
    drop: bool = False
    """Handle the request, then close the connection without an answer."""
    delay: float = 0.0
    """Seconds before the request is handled."""
    hang: float = 0.0
    """Seconds between handling the request and answering it."""
    headers: dict[str, str] = field(default_factory=dict)

    def takes(self, method: str, path: str) -> bool:
        matches = method == self.method and re.search(self.path, path) is not None
        if matches and self.skip:
            self.skip -= 1
            return False
        hit = self.times > 0 and matches
        if hit:
            self.times -= 1
        return hit


@dataclass(frozen=True)
class Request:
    """One request, as a route sees it."""

    query: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"{}")


class Workspace:
    """A workspace and its state."""

    def __init__(self, volumes: Volumes, runs: Runs, catalog: Catalog) -> None:
        self.volumes = volumes
        self.runs = runs
        self.catalog = catalog
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.address = ""
        self.token_life_s = 3600
        self._lock = threading.Lock()

    def fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.requests.append(f"{method} {path}")
            return next((f for f in self.faults if f.takes(method, path)), None)

    def answer(self, method: str, path: str, request: Request) -> Answer:
        for wanted, pattern, route in self._routes():
            found = re.fullmatch(pattern, path)
            if found and wanted == method:
                return route(request, *found.groups())
        raise ApiError(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")

    def _routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        files, runs, catalog = self.volumes, self.runs, self.catalog
        folder, file = r"/api/2\.0/fs/directories(/.+)", r"/api/2\.0/fs/files(/.+)"
        yield "PUT", folder, lambda _, path: files.put_folder(path)
        yield "GET", folder, lambda _, path: files.list_folder(path)
        yield "DELETE", folder, lambda _, path: files.delete_folder(path)
        yield (
            "PUT",
            file,
            lambda r, path: files.put_file(path, r.body, r.query.get("overwrite") == "true"),
        )
        yield "GET", file, lambda _, path: files.get_file(path, content=True)
        yield "HEAD", file, lambda _, path: files.get_file(path, content=False)
        yield "DELETE", file, lambda _, path: files.delete_file(path)
        jobs = r"/api/2\.2/jobs/runs"
        yield (
            "POST",
            rf"{jobs}/submit",
            lambda r: runs.submit(read_submission(r.json(), catalog.clusters)),
        )
        yield "GET", rf"{jobs}/list", lambda r: runs.listing(r.query)
        yield "GET", rf"{jobs}/get", lambda r: runs.get(int(r.query["run_id"]))
        yield "GET", rf"{jobs}/get-output", lambda r: runs.output(int(r.query["run_id"]))
        yield "POST", rf"{jobs}/cancel", lambda r: runs.cancel(int(r.json()["run_id"]))
        yield "GET", r"/api/2\.0/preview/scim/v2/Me", lambda _: catalog.me()
        unity = r"/api/2\.1/unity-catalog"
        yield "GET", rf"{unity}/catalogs/([^/]+)", lambda _, name: catalog.catalog(name)
        yield "GET", rf"{unity}/schemas/([^/]+)", lambda _, name: catalog.schema(name)
        yield "GET", rf"{unity}/volumes/([^/]+)", lambda _, name: catalog.volume(name)
        yield (
            "GET",
            rf"{unity}/tables",
            lambda r: catalog.list_tables(r.query["catalog_name"], r.query["schema_name"]),
        )
        yield "GET", rf"{unity}/tables/([^/]+)", lambda _, name: catalog.table(name)
        yield "DELETE", rf"{unity}/tables/([^/]+)", lambda _, name: catalog.drop_table(name)
        yield (
            "GET",
            rf"{unity}/effective-permissions/([^/]+)/([^/]+)",
            lambda _, kind, name: catalog.effective(kind, name),
        )
        yield (
            "GET",
            r"/api/2\.1/clusters/get",
            lambda r: catalog.cluster(r.query["cluster_id"]),
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    workspace: Workspace

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        request = Request(dict(parse_qsl(parts.query)), self._body())
        fault = self.workspace.fault(self.command, path)
        if fault:
            time.sleep(fault.delay)
        try:
            if path.startswith("/oidc/"):
                self._authorize(path, request, fault)
                return
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise ApiError(403, "PERMISSION_DENIED", "Invalid access token.")
            if fault and fault.status:
                raise ApiError(fault.status, "INTERNAL_ERROR", "ordered by the test")
            answer = self.workspace.answer(self.command, path, request)
        except ApiError as error:
            told = {"error_code": error.code, "message": str(error)}
            extra = fault.headers if fault else {}
            self._send(error.status, json.dumps(told).encode(), {**extra, **_JSON})
            return
        if fault:
            time.sleep(fault.hang)
        if fault and fault.drop:
            self.close_connection = True
            self.connection.close()
            return
        if answer.content is None and answer.json is not None:
            self._send(200, json.dumps(answer.json).encode(), _JSON)
        else:
            self._send(200 if answer.content is not None else 204, answer.content, answer.headers)

    def _authorize(self, path: str, request: Request, fault: Fault | None) -> None:
        """The token service, by which a service principal gets a token for its secret."""
        address = self.workspace.address
        if path == "/oidc/.well-known/oauth-authorization-server":
            endpoints = {
                "authorization_endpoint": f"{address}/oidc/v1/authorize",
                "token_endpoint": f"{address}/oidc/v1/token",
            }
            self._send(200, json.dumps(endpoints).encode(), _JSON)
            return
        wanted = b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = dict(parse_qsl(request.body.decode()))
        if fault and fault.status:
            told, status = {"error": "server_error", "error_description": "down"}, fault.status
        elif self.headers.get("Authorization") != f"Basic {wanted}":
            told, status = {"error": "invalid_client", "error_description": "no such client"}, 401
        elif asked.get("grant_type") != "client_credentials":
            told, status = {"error": "unsupported_grant_type"}, 400
        else:
            life_s = str(self.workspace.token_life_s)
            told = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": life_s}
            status = 200
        self._send(status, json.dumps(told).encode(), _JSON)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, body: bytes | None, headers: dict[str, str]) -> None:
        self.send_response(200 if self.command == "HEAD" and status == 204 else status)
        names = {name.lower() for name in headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: requests are in `Workspace.requests`, and tests need standard error."""


_JSON = {"Content-Type": "application/json"}


@contextmanager
def serve(workspace: Workspace) -> Iterator[str]:
    """Serve the workspace; yields its address."""
    handler = type("Handler", (_Handler,), {"workspace": workspace})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    workspace.address = workspace.runs.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield workspace.address
    finally:
        server.shutdown()
        server.server_close()
        workspace.runs.close()
