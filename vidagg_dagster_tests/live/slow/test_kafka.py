"""Messages of a real broker: each is taken in once, and the daily run reads the same folder."""

import json
import os
import re
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
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site, peter

TOPIC = "player-events"
CONNECTION = (
    "Endpoint=sb://namespace.servicebus.windows.net/;SharedAccessKeyName=listen;"
    "SharedAccessKey=c2VjcmV0IG9mIGEgdGVzdA==;EntityPath=player-events"
)
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


@pytest.fixture(scope="module")
def event_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kafka.Broker]:
    """A broker that lets in whom Event Hubs lets in."""
    require(SPARK)
    login = kafka.Login("$ConnectionString", CONNECTION)
    with kafka.running(tmp_path_factory.mktemp("event-hub"), login) as broker:
        yield broker


def live(
    site: Site, broker: kafka.Broker, jars: str, options: dict[str, str], topic: str = TOPIC
) -> "subprocess.CompletedProcess[str]":
    given = {
        "SOURCE": str(site.events),
        "DATA_ROOT": str(site.tables),
        "VIDEO_METADATA": str(site.videos),
        "ENGINE": SPARK,
        "START_DATE": "2026-01-05",
        "LIVE_KAFKA_SERVERS": broker.servers,
        "LIVE_KAFKA_TOPIC": topic,
        "LIVE_KAFKA_JARS": jars,
        "LIVE_KAFKA_OPTIONS": json.dumps(options),
    }
    return subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "live", "--once"],
        cwd=site.folder,
        env=os.environ | {f"VIDAGG_{name}": value for name, value in given.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


def take_in(
    site: Site, broker: kafka.Broker, jars: str, options: dict[str, str] | None = None
) -> str:
    done = live(site, broker, jars, options or {"kafka.request.timeout.ms": "40000"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def documented_options(connection: str, broker: kafka.Broker) -> dict[str, str]:
    """Those of docs/live.md. Azure's certificates are known; the one of the test is not."""
    text = (REPO / "docs" / "live.md").read_text()
    [told] = re.findall(r"^\| `VIDAGG_LIVE_KAFKA_OPTIONS` \| `(.*)` \|$", text, re.MULTILINE)
    options: dict[str, str] = json.loads(told.replace("CONNECTION STRING", connection))
    trusted = {
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": str(broker.certificate),
    }
    return options | trusted


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


def test_the_documented_options_of_event_hubs_get_in(
    sail: SparkSession, tmp_path: Path, event_hub: kafka.Broker, jars: str
) -> None:
    site = live_site(tmp_path)
    event_hub.send(TOPIC, [json.dumps(row) for row in peter(YESTERDAY)])
    options = documented_options(CONNECTION, event_hub)
    assert "6 events" in take_in(site, event_hub, jars, options)
    [row] = table_rows(sail, site, LIVE_USER_VIDEO)
    assert (row[EVENT_DATE], row["totalWatchTime"]) == (YESTERDAY, 130.0)


def test_a_wrong_connection_string_is_told_without_it(
    tmp_path: Path, event_hub: kafka.Broker, jars: str
) -> None:
    wrong = CONNECTION.replace("c2VjcmV0", "d3Jvbmc")
    done = live(live_site(tmp_path), event_hub, jars, documented_options(wrong, event_hub))
    assert done.returncode == 2
    told = done.stderr.splitlines()[-1]
    assert f"topic {TOPIC} of {event_hub.servers} cannot be read" in told
    assert "Authentication failed" in told
    assert "Check VIDAGG_LIVE_KAFKA_OPTIONS." in told
    assert "d3Jvbmc" not in done.stdout + done.stderr


def test_a_topic_that_is_not_there_is_told(
    tmp_path: Path, event_hub: kafka.Broker, jars: str
) -> None:
    options = documented_options(CONNECTION, event_hub)
    done = live(live_site(tmp_path), event_hub, jars, options, topic="other")
    assert done.returncode == 2
    assert "Check VIDAGG_LIVE_KAFKA_TOPIC." in done.stderr.splitlines()[-1]
