"""Ctrl-C in the middle of a computation."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.live.page import PAGE
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.dagster_ui import START_S, answers, free_port, process
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site
from vidagg_dagster_tests.support.small_site import peter as peter_on

ROWS = 400_000


def test_one_interrupt_ends_the_demo_at_once(tmp_path: Path) -> None:
    require(SAIL)
    command = [sys.executable, "-m", "vidagg_dagster.cli.main", "demo", "--engine", SAIL]
    options = ["--days", "4", "--viewers", "100", "--folder", str(tmp_path / "demo")]
    running = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    tables = tmp_path / "demo" / "tables"
    deadline = time.monotonic() + 300
    while not tables.is_dir():  # a step runs
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started = time.monotonic()
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert (running.returncode, said) == (130, "vidagg demo: interrupted\n")
    assert time.monotonic() - started < 15


def test_one_interrupt_ends_the_command_at_once_and_leaves_nothing(
    engine: str, tmp_path: Path
) -> None:
    require(engine)
    events, scratch = tmp_path / "events.jsonl", tmp_path / "scratch"
    scratch.mkdir()
    with events.open("w") as file:
        for number in range(ROWS):
            row = peter.EVENTS[number % 6] | {"userId": f"user {number // 6}"}
            file.write(json.dumps(row) + "\n")
    command = [sys.executable, "-m", "vidagg_dagster.cli.main", "aggregate", str(events)]
    options = ["--output", str(tmp_path / "out.csv"), "--engine", engine]
    running = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    deadline = time.monotonic() + 120
    while not any(scratch.glob("vidagg-*/vidagg-*")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started = time.monotonic()
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert time.monotonic() - started < 15
    assert [line for line in said.splitlines() if "WARNING" not in line] == [
        "vidagg aggregate: interrupted"
    ]
    assert not list(scratch.glob("vidagg-*"))
    assert not (tmp_path / "out.csv").exists()


def test_one_interrupt_ends_live_while_it_waits_for_files(engine: str, tmp_path: Path) -> None:
    require(engine)
    site, today = Site(tmp_path), datetime.now(UTC).date()
    site.write_day(today, peter_on(today))
    given = {"SOURCE": str(site.events), "DATA_ROOT": str(site.tables), "ENGINE": engine}
    running = subprocess.Popen(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "live"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {f"VIDAGG_{name}": value for name, value in given.items()},
    )
    deadline = time.monotonic() + 300
    while not (site.tables / PAGE).exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2)  # no batch is left: it looks for new files
    started = time.monotonic()
    running.send_signal(signal.SIGINT)
    told, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert time.monotonic() - started < 15
    assert "6 events" in told
    assert [line for line in said.splitlines() if "WARN" not in line] == [
        "vidagg live: interrupted"
    ]


def test_one_interrupt_ends_the_ui_with_all_its_processes(tmp_path: Path) -> None:
    """Also where a shell started it in the background, and where the signal comes twice."""
    events = peter.write_events(tmp_path / "events.jsonl")
    (tmp_path / ".env").write_text(f"VIDAGG_SOURCE={events}\n")
    port = free_port()
    ui = f"{sys.executable} -m vidagg_dagster.cli.main ui --port {port}"
    in_background = ["/bin/sh", "-c", f"trap '' INT; exec {ui}"]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    with process(in_background, cwd=tmp_path, env=environment) as (running, log):
        deadline = time.monotonic() + START_S
        while not answers(f"http://127.0.0.1:{port}"):
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(1)
        started = psutil.Process(running.pid).children(recursive=True)
        assert len(started) > 2
        again = subprocess.run(
            [sys.executable, "-m", "vidagg_dagster.cli.main", "ui", "--port", str(free_port())],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (again.returncode, again.stdout) == (2, "")
        assert f"open already: http://localhost:{port}" in again.stderr
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        assert running.wait(15) == 130
        assert psutil.wait_procs(started, timeout=5)[1] == []
        told = log.read_text()
        assert told.splitlines()[-1] == "vidagg ui: interrupted"
        assert "WARN" not in told.upper()
