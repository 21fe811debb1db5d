"""A PostgreSQL server from the system's package, as a process with its own data."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_S = 60
MISSING = "PostgreSQL is not installed (apt-get install postgresql)"


@dataclass(frozen=True)
class Postgres:
    """The address of a server that accepts every user of this machine."""

    port: int
    user: str

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/postgres"

    def storage_yaml(self) -> str:
        """The part of dagster.yaml that stores runs, events and schedules in this server."""
        return (
            "storage:\n"
            "  postgres:\n"
            "    postgres_db:\n"
            f"      username: {self.user}\n"
            "      password: ''\n"
            "      hostname: 127.0.0.1\n"
            "      db_name: postgres\n"
            f"      port: {self.port}\n"
            # Since 2.1 SQLAlchemy's default driver is not the one that dagster-postgres installs.
            "      scheme: postgresql+psycopg2\n"
        )


def binaries() -> Path | None:
    """The folder of the newest server's programs. Debian keeps it out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    in_path = shutil.which("initdb")
    return Path(in_path).parent if in_path else None


@contextmanager
def running() -> Iterator[Postgres]:
    """A fresh server until the block ends. Skips the test where PostgreSQL is not installed."""
    programs = binaries()
    if programs is None:
        pytest.skip(MISSING)
    # PostgreSQL refuses to run as root, and its user must be able to enter the data folder.
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    account = {"user": user} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="vidagg-postgres-"))
    if account:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        subprocess.run(
            [
                programs / "initdb",
                "-D",
                data,
                "--auth=trust",
                "-U",
                user,
                "--no-sync",
                "-E",
                "UTF8",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **account,  # type: ignore[call-overload]
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [
                *(programs / "postgres", "-D", data, "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"),
                *("-c", "fsync=off"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account,  # type: ignore[call-overload]
        )
        try:
            _wait(port, user)
            yield Postgres(port, user)
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int, user: str) -> None:
    import psycopg2

    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg2.connect(host="127.0.0.1", port=port, dbname="postgres", user=user).close()
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
