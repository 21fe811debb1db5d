"""Messages of a real broker: each is taken in once, and the daily run reads the same folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SPARK
from vidagg_dagster.core.schemas import EVENT_DATE, LIVE_EVENTS, LIVE_USER_VIDEO
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support import kafka
from vidagg_dagster_tests.support.live_site import live_site, table_rows
from vidagg_dagster_tests.support.small_site import Site, peter

TOPIC = "player-events"
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka.Broker]:
    require(SPARK)
    with kafka.running(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="module")
def jars(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the setting of the jars is set to."""
    found = kafka.jars_with_all_they_need(kafka.SOURCE, tmp_path_factory.mktemp("jars") / "source")
    return ",".join(str(jar) for jar in found if jar.name.startswith(kafka.OF_SPARK))


def take_in(site: Site, broker: kafka.Broker, jars: str) -> str:
    given = {
        "SOURCE": str(site.events),
        "DATA_ROOT": str(site.tables),
        "VIDEO_METADATA": str(site.videos),
        "ENGINE": SPARK,
        "START_DATE": "2026-01-05",
        "LIVE_KAFKA_SERVERS": broker.servers,
        "LIVE_KAFKA_TOPIC": TOPIC,
        "LIVE_KAFKA_JARS": jars,
        "LIVE_KAFKA_OPTIONS": json.dumps({"kafka.request.timeout.ms": "40000"}),
    }
    done = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "live", "--once"],
        cwd=site.folder,
        env=os.environ | {f"VIDAGG_{name}": value for name, value in given.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_messages_are_taken_in_once(
    sail: SparkSession, tmp_path: Path, broker: kafka.Broker, jars: str
) -> None:
    site = live_site(tmp_path)
    lines = [json.dumps(row) for row in peter(YESTERDAY)]
    broker.send(TOPIC, [*lines[:3], "no JSON"])
    assert "3 events, 1 rejected" in take_in(site, broker, jars)
    broker.send(TOPIC, [*lines[3:], lines[0]])
    assert "4 events" in take_in(site, broker, jars)
    [row] = table_rows(sail, site, LIVE_USER_VIDEO)
    assert (row[EVENT_DATE], row["totalWatchTime"]) == (YESTERDAY, 130.0)
    kept = len(table_rows(sail, site, LIVE_EVENTS))
    # Killed before Spark noted that the last batch was complete: it comes again.
    commits = site.tables / "live" / "checkpoint" / f"kafka-{TOPIC}" / "commits"
    newest = max(
        (path for path in commits.iterdir() if path.name.isdigit()), key=lambda p: int(p.name)
    )
    for note in (newest, newest.with_name(f".{newest.name}.crc")):
        note.unlink(missing_ok=True)
    files = {path: path.read_bytes() for path in site.events.rglob("*.jsonl")}
    take_in(site, broker, jars)
    assert {path: path.read_bytes() for path in site.events.rglob("*.jsonl")} == files
    assert len(table_rows(sail, site, LIVE_EVENTS)) == kept
    assert table_rows(sail, site, LIVE_USER_VIDEO) == [row]
    assert sum(len(content.splitlines()) for content in files.values()) == 8
