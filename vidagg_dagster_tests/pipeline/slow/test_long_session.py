"""One viewer with a heartbeat each second for a day costs seconds and half a gigabyte."""

import json
import subprocess
import sys
from pathlib import Path

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.long_session import HEARTBEATS
from vidagg_dagster_tests.support.repository import REPO

MAX_GIGABYTES = 0.5
MAX_SECONDS = 2


def test_a_screen_that_plays_all_day_stops_nobody(tmp_path: Path) -> None:
    require(SAIL)
    done = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster_tests.support.long_session", tmp_path],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    took = json.loads(done.stdout.splitlines()[-1])
    intervals = took[StepName.WATCH_INTERVALS]
    assert intervals["rows"] == HEARTBEATS - 1
    assert intervals["seconds"] <= MAX_SECONDS
    steps = [took[step.value] for step in StepName]
    assert max(step["gigabytes"] for step in steps) - took["start"]["gigabytes"] <= MAX_GIGABYTES
    failed = {rule for step in steps for rule in step["failed"]}
    assert failed == {"known_durations"}, "the video has no duration, and all else is in order"
