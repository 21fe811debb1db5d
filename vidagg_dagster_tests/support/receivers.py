"""Loopback servers that receive alerts. A test tells them when to fail, hang and recover."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from vidagg_dagster_tests.support.dagster_ui import free_port

HANG = -1
"""In place of a status: no answer until the receiver closes."""


@dataclass
class HttpReceiver:
    """Accepts JSON by POST. `answers` are given one by one; later requests are all accepted."""

    address: str
    answers: list[int] = field(default_factory=list)
    asked: int = 0
    taken: list[Any] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def http_receiver(*answers: int) -> Iterator[HttpReceiver]:
    """A server on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    receiver = HttpReceiver(f"http://127.0.0.1:{server.server_port}/hook/secret-token")
    receiver.answers = list(answers)
    server.receiver = receiver  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: HttpReceiver = self.server.receiver  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        receiver.asked += 1
        status = receiver.answers.pop(0) if receiver.answers else 200
        if status == HANG:
            receiver.released.wait(60)
            return
        if status == 200:
            receiver.taken.append(body)
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments: Any) -> None:
        pass


@dataclass
class MailReceiver:
    """Accepts mail. `answers`, lines of SMTP, are given first; later mail is all accepted."""

    port: int
    answers: list[str] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        self.taken.append(message_from_bytes(content, policy=default))
        return "250 OK"


@contextmanager
def mail_receiver(*answers: str) -> Iterator[MailReceiver]:
    """An SMTP server without encryption on a free port of this machine."""
    receiver = MailReceiver(free_port(), list(answers))
    controller = Controller(receiver, hostname="127.0.0.1", port=receiver.port)
    controller.start()
    try:
        yield receiver
    finally:
        controller.stop(no_assert=True)
