"""Killed at random moments and started again, live tables are those of one batch."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.live.folder import take_new_files
from vidagg_dagster_tests.support.live_site import (
    NOW,
    all_lines,
    deliver,
    live_rows,
    live_site,
    request_of,
)
from vidagg_dagster_tests.support.small_site import Site

KILLS = 50

WORKER = """
import sys
from pathlib import Path
from vidagg_dagster.live.folder import take_new_files
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster_tests.support.live_site import NOW, request_of
from vidagg_dagster_tests.support.small_site import Site

spark = engine_session("sail")
print("ready", flush=True)
for _ in take_new_files(spark, request_of(Site(Path(sys.argv[1])), files_at_once=3), NOW):
    print("taken", flush=True)
"""


def start(site: Site) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WORKER, str(site.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    """Only this process and those that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("seed", [1])
def test_kills_at_any_moment_change_nothing(sail: SparkSession, tmp_path: Path, seed: int) -> None:
    dice, lines, site = random.Random(seed), all_lines(), live_site(tmp_path / "killed")
    dice.shuffle(lines)
    per_file = -(-len(lines) // KILLS)
    killed, number, longest_s = 0, 0, 4.0
    while killed < KILLS:
        piece = lines[number * per_file : (number + 1) * per_file] or [dice.choice(lines)]
        deliver(site, f"{number}.jsonl", piece)
        number += 1
        process = start(site)
        try:
            process.wait(dice.uniform(0, longest_s))
            longest_s *= 0.9  # it had ended before
        except subprocess.TimeoutExpired:
            kill(process)
            killed += 1
            longest_s *= 1.05
    last = start(site)
    assert last.wait() == 0
    whole = live_site(tmp_path / "whole")
    deliver(whole, "all.jsonl", lines)
    list(take_new_files(sail, request_of(whole), NOW))
    assert live_rows(sail, site) == live_rows(sail, whole)
