"""The settings of live tables, and what they exclude."""

import os
from pathlib import Path

import pytest

from vidagg_dagster.core.contract import TableStore
from vidagg_dagster.core.errors import SettingsError
from vidagg_dagster.live.contract import Feed
from vidagg_dagster.settings import load_settings
from vidagg_dagster.settings.variables import PREFIX

ON_DATABRICKS = {
    "TARGET": "databricks",
    "SOURCE": "/Volumes/main/video/events",
    "DATABRICKS_SCHEMA": "main.video",
    "DATABRICKS_VOLUME": "/Volumes/main/video/vidagg",
    "LIVE": "sensor",
}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDAGG_SOURCE", "events")


def refusal() -> str:
    with pytest.raises(SettingsError) as error:
        load_settings()
    return str(error.value)


def test_the_rules_of_the_daily_run_are_those_of_live_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "LIVE": "sensor",
        "LIVE_DAYS": "3",
        "LIVE_FILES_AT_ONCE": "7",
        "TIMEZONE": "Europe/Berlin",
        "SESSION_TIMEOUT_MS": "1200000",
        "VIDEO_METADATA": "videos.csv",
    }.items():
        monkeypatch.setenv(f"VIDAGG_{name}", value)
    settings = load_settings()
    request = settings.live_request
    assert (request.days, request.files_at_once) == (3, 7)
    assert request.source == settings.source_spec
    assert request.parameters == settings.parameters
    assert (request.timezone, request.video_metadata) == ("Europe/Berlin", "videos.csv")
    assert load_settings().live_feed.interval_seconds == 5


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ESTIMATE_MISSING_DURATIONS", "true", "estimated from all users"),
        ("SOURCE", "loganalytics://00000000-1111-2222-3333-444444444444", "files or messages"),
        ("DATA_ROOT", "s3://bucket/tables", "in a folder of this machine"),
    ],
)
def test_what_live_tables_cannot_do_is_refused_and_only_where_they_are_on(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"VIDAGG_{name}", value)
    load_settings()
    monkeypatch.setenv("VIDAGG_LIVE", "command")
    assert said in refusal()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LIVE", "command", "VIDAGG_LIVE=sensor"),
        ("LIVE_RUN_MINUTES", "360", "must end before"),
        ("LIVE_KAFKA_TOPIC", "player-events", "not on serverless compute"),
    ],
)
def test_a_job_on_databricks_keeps_live_tables(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    for setting, chosen in {
        **ON_DATABRICKS,
        "LIVE_KAFKA_SERVERS": "localhost:9092" if "KAFKA" in name else "",
    }.items():
        if chosen:
            monkeypatch.setenv(f"VIDAGG_{setting}", chosen)
    if "KAFKA" not in name:
        task = load_settings().live_task
        assert task.request.store == TableStore(kind="catalog", location="main.video")
        assert task.request.notes_folder == Path("/Volumes/main/video/vidagg/live")
        assert (task.minutes, task.feed) == (60, None)
    monkeypatch.setenv(f"VIDAGG_{name}", value)
    assert said in refusal()


def test_a_cluster_reads_kafka_and_its_secrets_do_not_travel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for setting, chosen in {
        **ON_DATABRICKS,
        "DATABRICKS_COMPUTE": "existing_cluster",
        "DATABRICKS_CLUSTER_ID": "1123-140512-abcd1234",
        "LIVE_KAFKA_SERVERS": "localhost:9092",
        "LIVE_KAFKA_TOPIC": "player-events",
        "LIVE_KAFKA_OPTIONS": '{"kafka.sasl.jaas.config": "hunter2"}',
    }.items():
        monkeypatch.setenv(f"VIDAGG_{setting}", chosen)
    task = load_settings().live_task
    assert task.feed == Feed(servers="localhost:9092", topic="player-events", at_once=200_000)
    assert "hunter2" not in task.model_dump_json()


def test_kafka_is_read_by_the_command_and_named_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDAGG_LIVE_KAFKA_TOPIC", "player-events")
    assert "servers and topic are given together" in refusal()
    monkeypatch.setenv("VIDAGG_LIVE_KAFKA_SERVERS", "localhost:9092")
    monkeypatch.setenv("VIDAGG_LIVE_KAFKA_OPTIONS", '{"kafka.sasl.jaas.config": "hunter2"}')
    monkeypatch.setenv("VIDAGG_LIVE_KAFKA_JARS", "a.jar, b.jar")
    feed = load_settings().live_feed
    assert [str(jar) for jar in feed.kafka_jars] == ["a.jar", "b.jar"]
    assert "hunter2" not in repr(feed)
    monkeypatch.setenv("VIDAGG_LIVE", "sensor")
    assert "`vidagg live`" in refusal()
    monkeypatch.setenv("VIDAGG_LIVE", "command")
    load_settings()
    for wrong in ('["hunter2"]', '{"hunter2": 3}', "hunter2"):
        monkeypatch.setenv("VIDAGG_LIVE_KAFKA_OPTIONS", wrong)
        said = refusal()
        assert "VIDAGG_LIVE_KAFKA_OPTIONS" in said
        assert "hunter2" not in said
