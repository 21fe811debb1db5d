"""The task that keeps live tables on a cluster; end_to_end/slow/test_databricks_live.py runs it."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.databricks.entrypoint import KAFKA_OPTIONS, kafka_options
from vidagg_dagster.live.contract import Feed, LiveTask
from vidagg_dagster.live.task import run_live
from vidagg_dagster_tests.support.live_site import live_site, request_of


def test_kafka_is_refused_where_batches_cannot_reach_this_process(
    sail: SparkSession, tmp_path: Path
) -> None:
    feed = Feed(servers="localhost:9092", topic="player-events", at_once=10)
    request = request_of(live_site(tmp_path))
    task = LiveTask(request=request, feed=feed, interval_s=1, minutes=1)
    with pytest.raises(StepError, match="dedicated access mode"):
        run_live(sail, task, lambda _: None, {})


@pytest.mark.parametrize("text", ["hunter2", '["hunter2"]', '{"hunter2"'])
def test_options_of_kafka_that_cannot_be_read_are_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(KAFKA_OPTIONS, text)
    with pytest.raises(StepError, match=KAFKA_OPTIONS) as refused:
        kafka_options()
    assert "hunter2" not in str(refused.value)


def test_options_of_kafka_come_from_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kafka_options() == {}
    monkeypatch.setenv(KAFKA_OPTIONS, '{"kafka.security.protocol": "SASL_SSL"}')
    assert kafka_options() == {"kafka.security.protocol": "SASL_SSL"}
