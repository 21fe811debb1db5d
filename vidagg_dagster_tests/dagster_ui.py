"""A real `dagster dev` as a process, and what its UI asks of it: GraphQL."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    command: Sequence[str], port: int, *, cwd: Path, env: Mapping[str, str]
) -> Iterator[str]:
    """Runs a command that serves Dagster's UI at `port`; gives the address once it answers."""
    log = cwd / f"ui-{port}.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=cwd, env=env, stdout=out, stderr=out, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(address):
            assert server.poll() is None, f"{command} ended:\n{log.read_text()[-3000:]}"
            if time.monotonic() > deadline:
                pytest.fail(f"no UI after {START_SECONDS} s:\n{log.read_text()[-3000:]}")
            time.sleep(1)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info") as answer:
            return "dagster_webserver_version" in json.load(answer)
    except (urllib.error.URLError, ConnectionError):
        return False


def ask(address: str, query: str, **variables: Any) -> Any:
    """The `data` of a GraphQL query."""
    request = urllib.request.Request(
        f"{address}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{error}: {error.read().decode()}")
    assert "errors" not in body, body["errors"]
    return body["data"]
