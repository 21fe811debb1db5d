"""The sensor of alerts, tick by tick, with real runs and real channels."""

import logging
import time
from datetime import date, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from pydantic import SecretStr

from vidagg_dagster.alerts import post
from vidagg_dagster.alerts.channels import WebhookChannel
from vidagg_dagster.alerts.message import Alert
from vidagg_dagster.alerts.outbox import Outbox
from vidagg_dagster.defs.sensors.alerts import OVERLAP_S, alerts
from vidagg_dagster.settings.model import Settings
from vidagg_dagster_tests.support.alerting import UI, raw_events, run, settings
from vidagg_dagster_tests.support.receivers import HANG, http_receiver

THOUSAND = 1000


class Bell:
    """The sensor as the daemon runs it: tick by tick, with the cursor in between."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance = instance
        self.sensor = alerts(settings)
        self.cursor: str | None = None

    def tick(self) -> str:
        context = dg.build_sensor_context(self.instance, cursor=self.cursor)
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        assert data.skip_message is not None
        return data.skip_message

    def forget_waits(self) -> None:
        """As if the next try were due."""
        assert self.cursor is not None
        outbox = Outbox.model_validate_json(self.cursor)
        pending = tuple(item.model_copy(update={"next_try": 0.0}) for item in outbox.pending)
        self.cursor = outbox.model_copy(update={"pending": pending}).model_dump_json()


@pytest.fixture
def yesterday_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidagg_dagster.defs.sensors.alerts.missing_days", lambda *_: iter(()))


@pytest.mark.usefixtures("yesterday_is_there")
def test_the_sensor_tells_each_failure_once_and_tries_until_it_is_taken(
    instance: dg.DagsterInstance,
) -> None:
    run(instance, raw_events("rejected_share"))  # before it was switched on: history
    with http_receiver(500, 503) as http:
        bell = Bell(instance, settings(webhook=SecretStr(http.address)))
        assert bell.tick() == "0 new, 0 delivered, 0 waiting"
        ended = run(instance, raw_events("rejected_share"), day="2026-01-06")
        assert bell.tick() == (
            "1 new, 1 delivered, 1 waiting; webhook: HTTP 500, try 1, next in 15 s"
        )
        assert bell.tick() == "0 new, 0 delivered, 1 waiting"
        bell.forget_waits()
        assert "webhook: HTTP 503, try 2, next in 30 s" in bell.tick()
        bell.forget_waits()
        assert bell.tick() == "0 new, 1 delivered, 0 waiting"
        assert bell.tick() == "0 new, 0 delivered, 0 waiting"
        [body] = http.taken
    assert body["link"] == f"{UI}/runs/{ended.run_id}"
    assert "secret-token" not in str(bell.cursor)


@pytest.mark.usefixtures("yesterday_is_there")
def test_a_channel_that_hangs_holds_up_no_other(
    instance: dg.DagsterInstance,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(post, "DEADLINE_S", 0.3)
    with http_receiver(HANG) as slow, http_receiver() as quick:
        bell = Bell(
            instance,
            settings(
                slack_webhook=SecretStr(slow.address),
                webhook=SecretStr(quick.address),
            ),
        )
        bell.tick()
        run(instance, raw_events("rejected_share", "duplicate_share"))
        with caplog.at_level(logging.WARNING):
            said = bell.tick()
        assert said.startswith("2 new, 4 delivered, 2 waiting; slack: ")
        assert len(quick.taken) == 2
        assert caplog.text.count("Check failed: raw_events") >= 2
        bell.forget_waits()
        assert bell.tick() == "0 new, 2 delivered, 0 waiting"
        assert len(slow.taken) == 2
    assert "secret-token" not in caplog.text + said


def test_the_sensor_tells_a_missing_day_once(instance: dg.DagsterInstance) -> None:
    with http_receiver() as http:
        bell = Bell(instance, settings(webhook=SecretStr(http.address)))
        bell.tick()
        bell.tick()
        [body] = http.taken
    assert body["cause"] == "missing_day"
    assert body["counts"] == {"assets missing": 6, "of": 6}


@pytest.mark.usefixtures("yesterday_is_there")
def test_a_run_that_shows_up_late_among_newer_ones_is_told(instance: dg.DagsterInstance) -> None:
    """Times of runs come from several machines: a run may appear behind one that was seen."""
    with http_receiver() as http:
        bell = Bell(instance, settings(webhook=SecretStr(http.address)))
        bell.tick()
        run(instance, raw_events("rejected_share"))
        bell.tick()
        assert bell.cursor is not None
        outbox = Outbox.model_validate_json(bell.cursor)
        later = outbox.model_copy(update={"seen_until": time.time() + OVERLAP_S / 2})
        bell.cursor = later.model_dump_json()
        run(instance, raw_events("duplicate_share"))
        bell.tick()
        assert [body["check"] for body in http.taken] == ["rejected_share", "duplicate_share"]


@pytest.mark.usefixtures("yesterday_is_there")
def test_a_cursor_of_another_version_starts_anew(instance: dg.DagsterInstance) -> None:
    bell = Bell(instance, settings())
    bell.cursor = '{"version": 7}'
    assert bell.tick() == "0 new, 0 delivered, 0 waiting"


@pytest.mark.usefixtures("yesterday_is_there")
def test_a_tick_that_is_killed_between_two_deliveries_tells_nothing_twice(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    taken: list[str] = []

    def take_one(channel: WebhookChannel, alert: Alert) -> None:
        del channel
        if len(taken) == 1:
            raise Killed
        taken.append(str(alert.check))

    bell = Bell(instance, settings(webhook=SecretStr("http://127.0.0.1:1/")))
    bell.tick()
    run(instance, raw_events("rejected_share", "duplicate_share"))
    with monkeypatch.context() as patch:
        patch.setattr(WebhookChannel, "send", take_one)
        with pytest.raises(Killed):
            bell.tick()
    with http_receiver() as http:
        monkeypatch.setattr(bell, "sensor", alerts(settings(webhook=SecretStr(http.address))))
        bell.tick()
        assert sorted([*taken, *(body["check"] for body in http.taken)]) == [
            "duplicate_share",
            "rejected_share",
        ]


@pytest.mark.usefixtures("yesterday_is_there")
def test_a_thousand_runs_that_end_at_once_are_all_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Among them those of other projects on the same instance, and more ticks than one."""
    monkeypatch.setattr("vidagg_dagster.defs.sensors.alerts.LOOK_BUDGET_S", 0.0)
    with dg.DagsterInstance.ephemeral() as instance:
        bell = Bell(instance, settings())
        # SQLite gives runs that are made and not run whole seconds.
        bell.cursor = Outbox(seen_until=time.time() - 2).model_dump_json()
        for number in range(THOUSAND):
            asset = "raw_events" if number % 4 == 0 else "of_another_project"
            create_run_for_test(
                instance,
                job_name="__ASSET_JOB",
                status=dg.DagsterRunStatus.FAILURE,
                asset_selection=frozenset({dg.AssetKey(asset)}),
                tags={"dagster/partition": str(date(2020, 1, 1) + timedelta(days=number))},
            )
        told = [int(bell.tick().split()[0]) for _ in range(THOUSAND // 100 + 2)]
        assert sum(told) == THOUSAND // 4
        assert told[-1] == 0
        create_run_for_test(
            instance,
            job_name="__ASSET_JOB",
            status=dg.DagsterRunStatus.FAILURE,
            asset_selection=frozenset({dg.AssetKey("raw_events")}),
        )
        assert bell.tick().startswith("1 new")
