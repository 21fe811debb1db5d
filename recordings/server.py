"""Serves the page and the videos to a browser, and keeps what the page sends."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from recordings.files import FOLDER, Json

PAGE = FOLDER / "player.html"


@dataclass
class Log:
    """Events in the order in which the server received them."""

    events: list[Json] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, row: Json) -> None:
        with self.lock:
            self.events.append(row)

    def drop(self, prefix: str) -> None:
        """Forget the sessions of a scenario that did not work out."""
        with self.lock:
            self.events[:] = [row for row in self.events if not row["sessionId"].startswith(prefix)]

    def size(self) -> int:
        with self.lock:
            return len(self.events)


def make_handler(
    media: Path, log: Log, page: bytes, scripts: Mapping[str, bytes]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Log nothing."""

        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            rows = told if isinstance(told, list) else [told]
            for row in rows:
                log.add(row)
            # What Application Insights answers, for its SDK; our own page does not listen.
            taken = {"itemsReceived": len(rows), "itemsAccepted": len(rows), "errors": []}
            self.send_bytes(json.dumps(taken).encode(), "application/json")

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/player.html":
                self.send_bytes(page, "text/html")
            elif url.path in scripts:
                self.send_bytes(scripts[url.path], "text/javascript")
            elif (file := media / Path(url.path).name).suffix == ".webm" and file.exists():
                # The player drops connections it no longer needs; that is no error here.
                with suppress(BrokenPipeError, ConnectionResetError):
                    bps = parse_qs(url.query).get("bps")
                    self.send_range(file.read_bytes(), int(bps[0]) if bps else None)
            else:
                self.send_error(404)

        def send_bytes(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def send_range(self, body: bytes, bps: int | None) -> None:
            """Answer a Range request; without ranges browsers play but cannot seek."""
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first = int(wanted[1]) if wanted else 0
            last = min(int(wanted[2]), len(body) - 1) if wanted and wanted[2] else len(body) - 1
            if first > last:
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            self.send_header("Content-Type", "video/webm")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            chunk = max(1, bps // 10) if bps else 1 << 16
            for at in range(first, last + 1, chunk):
                self.wfile.write(body[at : min(at + chunk, last + 1)])
                if bps:
                    time.sleep(0.1)

    return Handler


@contextmanager
def serve(
    media: Path, log: Log, page: bytes | None = None, scripts: Mapping[str, bytes] | None = None
) -> Iterator[str]:
    """The address of the server while it runs.

    `page` is another player than ours, `scripts` are by their paths.
    """
    handler = make_handler(media, log, page or PAGE.read_bytes(), scripts or {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
