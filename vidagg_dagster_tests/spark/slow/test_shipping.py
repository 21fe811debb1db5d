"""A Spark Connect server whose Python lacks this package gets it with the session."""

import os
import socket
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.errors import EngineError
from vidagg_dagster.pipeline.batch import aggregate_files
from vidagg_dagster.spark.session import engine_session, stop_session, using
from vidagg_dagster_tests.conftest import TESTS, require
from vidagg_dagster_tests.support import peter

SERVER = TESTS / "support" / "foreign_connect_server.py"
OURS = ("vidagg", "__editable__", "numba", "llvmlite")


def foreign_python(folder: Path, *without: str) -> Path:
    """A Python with the modules of this one, but for this package, numba and `without`."""
    modules = folder / "modules"
    modules.mkdir()
    for module in Path(sysconfig.get_path("purelib")).iterdir():
        if not module.name.startswith((*OURS, *without)):
            (modules / module.name).symlink_to(module)
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "modules.pth").write_text(str(modules))
    return folder / "venv" / "bin" / "python"


@contextmanager
def foreign_server(python: Path) -> Iterator[str]:
    require("spark")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = inherited | {"PYSPARK_PYTHON": str(python), "PYSPARK_DRIVER_PYTHON": str(python)}
    environment.pop("SPARK_CONNECT_MODE_ENABLED", None)
    server = subprocess.Popen(
        [python, SERVER, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    address = f"sc://127.0.0.1:{port}"
    try:
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "ready"
        with using(address):
            yield address
        stop_session(address)
    finally:
        server.communicate(timeout=60)


def test_a_server_without_the_package_gets_it_and_computes_peter_s_row(tmp_path: Path) -> None:
    path = [*sys.path]
    events = peter.write_events(tmp_path / "events.jsonl")
    videos = peter.write_videos(tmp_path / "videos.jsonl")
    with foreign_server(foreign_python(tmp_path)) as address:
        result = aggregate_files(
            engine_session(address),
            SourceSpec(location=str(events)),
            video_metadata=str(videos),
            run_time=datetime(2026, 1, 6, tzinfo=UTC),
        )
    (row,) = result.rows.to_pylist()
    assert {name: row[name] for name in peter.ROW} == peter.ROW
    assert sys.path == path


def test_a_server_without_a_module_that_cannot_be_sent_says_which(tmp_path: Path) -> None:
    with (
        foreign_server(foreign_python(tmp_path, "pydantic")) as address,
        pytest.raises(EngineError, match=r"it has .* needed is .* pydantic.*Install numpy"),
    ):
        engine_session(address)
