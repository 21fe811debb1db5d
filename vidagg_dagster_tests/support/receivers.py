"""Loopback servers that receive alerts. A test tells them when to fail, hang and recover."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def raw_receiver(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """The address of a server that reads a request, then lets `answer` write what it likes.

    The event is set when the test is over.
    """
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError), server.accept()[0] as connection:
                connection.recv(65536)
                answer(connection, over)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook/secret-token"
    finally:
        over.set()
        server.close()


def body_that_drips(connection: socket.socket, over: threading.Event) -> None:
    """Headers at once, then a byte now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not over.wait(0.05):
        connection.sendall(b"o")


def headers_that_drip(connection: socket.socket, over: threading.Event) -> None:
    """A header line that never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not over.wait(0.05):
        connection.sendall(b"o")


def body_that_never_ends(connection: socket.socket, over: threading.Event) -> None:
    """As much as the reader takes, up to 200 MB."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    for _ in range(3200):
        if over.is_set():
            return
        connection.sendall(b"o" * 65536)


def no_http(connection: socket.socket, over: threading.Event) -> None:  # noqa: ARG001
    """What no HTTP client understands."""
    connection.sendall(b"\x00\x01 secret-token \r\n\r\n")


def says(
    status: str, body: bytes = b"", *headers: str
) -> Callable[[socket.socket, threading.Event], None]:
    """An answer of this status, body and headers."""

    def answer(connection: socket.socket, over: threading.Event) -> None:  # noqa: ARG001
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)

    return answer
