"""A Spark Connect server.

`python -m vidagg_dagster_tests.support.connect_server PORT [conf=value ...]`

Its workers run the Python that PYSPARK_PYTHON names, by default this one. Prints `ready` and serves
until its standard input ends, so it never outlives its parent.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vidagg_dagster_tests.support.repository import REPO

WORKERS = "PYSPARK_PYTHON"


@contextmanager
def serving(conf: Mapping[str, str], workers: Path | None = None) -> Iterator[str]:
    """A server in its own process; yields its address.

    Args:
        conf: Further Spark configuration.
        workers: The interpreter of its workers.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Workers must find what their own Python has, and not the code under test beside it.
    left_out = {WORKERS, "PYTHONPATH"} if workers else {WORKERS}
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "vidagg_dagster_tests.support.connect_server", str(port)),
            *[f"{key}={value}" for key, value in conf.items()],
        ],
        cwd=REPO,
        env={**inherited, **({WORKERS: str(workers)} if workers else {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        if server.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the Spark Connect server ended with code {server.wait()}")
        yield f"sc://127.0.0.1:{port}"
    finally:
        # The server ends with its standard input, so also when this process is killed.
        server.communicate(timeout=60)


def main(port: str, *settings: str) -> None:
    from vidagg_dagster.spark.jvm import OF_FEW_ROWS, build_session, jvm_conf

    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)
    if WORKERS in os.environ:
        # Workers look for modules in the folder where the server was started, before all others.
        os.chdir(Path(os.environ[WORKERS]).parent)
    os.environ.setdefault(WORKERS, sys.executable)
    build_session(
        {
            **jvm_conf(),
            **OF_FEW_ROWS,
            "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
            "spark.connect.grpc.binding.port": port,
            "spark.connect.grpc.binding.address": "127.0.0.1",
            **dict(setting.split("=", 1) for setting in settings),
        }
    )
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
