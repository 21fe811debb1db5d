"""Alerts: what is told of a run or a day, and how it reaches people who are hard to reach."""

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from vidagg_dagster.alerts import channels as channels_module
from vidagg_dagster.alerts.causes import due_days, missing_days, of_run
from vidagg_dagster.alerts.channels import Channel, channels
from vidagg_dagster.alerts.message import MAX_TEXT, Alert, Cause, without_values
from vidagg_dagster.alerts.outbox import (
    FIRST_WAIT_S,
    GIVE_UP_AFTER_S,
    MAX_PENDING,
    SAY_AGAIN_AFTER_S,
    Outbox,
    accept,
    deliver,
)
from vidagg_dagster.core.contract import Severity, StepName
from vidagg_dagster.core.errors import DeliveryError, SettingsError
from vidagg_dagster.defs.checks import check_specs
from vidagg_dagster.defs.sensors.alerts import OVERLAP_S, alerts
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.alerts import AlertSettings
from vidagg_dagster.settings.operations import OperationsSettings
from vidagg_dagster_tests.support.receivers import HANG, http_receiver, mail_receiver

pytestmark = pytest.mark.runs

UI = "http://ui.example:3000"
DAILY = dg.DailyPartitionsDefinition("2026-01-01")
ASSETS = [step.value for step in StepName]
SECRET_USER = "user-4711"


def settings(**channels: Any) -> Settings:
    return Settings(
        start_date=date(2026, 1, 1),
        operations=OperationsSettings(ui_url=UI),
        alerts=AlertSettings(**channels),
    )


def raw_events(*failed: str, error: Exception | None = None) -> dg.AssetsDefinition:
    """An asset with the name and the checks of ours, whose checks turn out as a test wants them."""

    @dg.asset(
        name="raw_events",
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs("raw_events", DAILY),
    )
    def asset() -> Iterator[Any]:
        if error is not None:
            raise error
        yield dg.MaterializeResult()
        for spec in check_specs("raw_events", DAILY):
            bad = spec.name in failed
            yield dg.AssetCheckResult(
                check_name=spec.name,
                passed=not bad,
                severity=dg.AssetCheckSeverity.ERROR
                if spec.blocking
                else dg.AssetCheckSeverity.WARN,
                metadata={
                    "violations": 11 if bad else 0,
                    "rejected": 11,
                    "share": 0.011,
                    "rejected:missing_user": 8,
                    "rejected:unknown_event": 2,
                    "rejected:malformed_row": 1,
                    "example": SECRET_USER,
                },
            )

    return asset


def run(
    instance: dg.DagsterInstance,
    asset: dg.AssetsDefinition,
    day: str = "2026-01-05",
    **more: Any,
) -> dg.DagsterRun:
    result = dg.materialize(
        [asset], instance=instance, partition_key=day, raise_on_error=False, **more
    )
    found = instance.get_run_by_id(result.run_id)
    assert found is not None
    return found


def told(instance: dg.DagsterInstance, ended: dg.DagsterRun) -> list[Alert]:
    return of_run(instance, ended, ASSETS, UI)


def test_a_failed_check_is_told_also_of_a_run_that_succeeds(instance: dg.DagsterInstance) -> None:
    ended = run(instance, raw_events("rejected_share"))
    assert ended.status is dg.DagsterRunStatus.SUCCESS
    [alert] = told(instance, ended)
    assert (alert.cause, alert.severity) == (Cause.CHECK, Severity.WARN)
    assert (alert.asset, alert.check) == ("raw_events", "rejected_share")
    assert alert.day == date(2026, 1, 5)
    assert alert.counts == {"violations": 11, "rejected": 11, "share": 0.011}
    assert alert.reasons == ("missing_user 8", "unknown_event 2", "malformed_row 1")
    assert alert.link == f"{UI}/runs/{ended.run_id}"
    assert "look at the reasons in rejected_events" in alert.what_to_do
    assert SECRET_USER not in alert.model_dump_json()


def test_a_run_without_failures_tells_nothing(instance: dg.DagsterInstance) -> None:
    assert told(instance, run(instance, raw_events())) == []


def test_a_blocking_check_is_told_once_and_not_as_a_failed_run_too(
    instance: dg.DagsterInstance,
) -> None:
    @dg.asset(name="sessions", deps=["raw_events"], partitions_def=DAILY)
    def downstream() -> None: ...

    result = dg.materialize(
        [raw_events("input_reconciles"), downstream],
        instance=instance,
        partition_key="2026-01-05",
        raise_on_error=False,
    )
    ended = instance.get_run_by_id(result.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    [alert] = told(instance, ended)
    assert (alert.severity, alert.check) == (Severity.ERROR, "input_reconciles")
    assert "nothing was built on it" in alert.title


def test_a_failed_run_is_told_with_its_error_but_without_what_it_quotes(
    instance: dg.DagsterInstance,
) -> None:
    fault = dg.Failure(
        f"Cannot read /data/x.gz: cut off; key userId='{SECRET_USER}', "
        "see https://me:pw@host/path or Bearer abc123"
    )
    [alert] = told(instance, run(instance, raw_events(error=fault)))
    assert (alert.cause, alert.severity) == (Cause.RUN, Severity.ERROR)
    assert (alert.asset, alert.day) == ("raw_events", date(2026, 1, 5))
    assert "Cannot read /data/x.gz: cut off" in alert.reasons[0]
    assert not any(word in alert.text() for word in (SECRET_USER, "me:pw", "abc123"))


def test_of_an_error_that_is_not_ours_only_the_kind_is_told(instance: dg.DagsterInstance) -> None:
    [alert] = told(instance, run(instance, raw_events(error=ValueError(f"bad {SECRET_USER}"))))
    assert alert.reasons == ("raw_events: ValueError",)


def test_a_run_that_dagster_starts_again_is_told_when_it_has_failed_for_good(
    instance: dg.DagsterInstance,
) -> None:
    asset = raw_events(error=RuntimeError())
    again = run(instance, asset, tags={"dagster/will_retry": "true"})
    assert told(instance, again) == []
    last = run(instance, asset, tags={"dagster/retry_number": "2"})
    [alert] = told(instance, last)
    assert alert.counts["attempts"] == 3


def test_runs_of_other_assets_are_not_ours(instance: dg.DagsterInstance) -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("rejected_share", asset="other")])
    def other() -> Iterator[Any]:
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(check_name="rejected_share", passed=False)

    result = dg.materialize([other], instance=instance)
    ended = instance.get_run_by_id(result.run_id)
    assert ended is not None
    assert told(instance, ended) == []

    @dg.op
    def fails() -> None:
        raise RuntimeError

    @dg.job
    def theirs() -> None:
        fails()

    failed = theirs.execute_in_process(instance=instance, raise_on_error=False)
    ended = instance.get_run_by_id(failed.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert told(instance, ended) == []


def test_many_failed_days_of_a_range_are_told_one_by_one_up_to_a_bound(
    instance: dg.DagsterInstance,
) -> None:
    """The evaluations of each day lie under the run, as `checks.report_days` files them."""
    ended = run(instance, raw_events())
    for number in range(1, 15):
        evaluation = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("raw_events"),
            check_name="day_not_empty",
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"violations": 1},
            partition=f"2026-02-{number:02}",
        )
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name=ended.job_name,
            message="",
            event_specific_data=evaluation,
        )
        instance.report_dagster_event(event, run_id=ended.run_id)
    found = told(instance, ended)
    assert [alert.day for alert in found[:10]] == [date(2026, 2, n) for n in range(1, 11)]
    assert found[10].counts == {"days": 4}
    assert found[10].reasons == ("2026-02-11 to 2026-02-14",)
    assert len(found) == 11


def test_a_missing_day_is_told_with_what_became_of_its_run(instance: dg.DagsterInstance) -> None:
    day = date(2026, 1, 5)
    [alert] = missing_days(instance, ["raw_events"], [day], UI)
    assert alert.reasons == ("no run of this day was started", "missing: raw_events")
    assert (alert.cause, alert.severity, alert.day) == (Cause.MISSING_DAY, Severity.ERROR, day)
    failed = run(instance, raw_events(error=RuntimeError()))
    [alert] = missing_days(instance, ["raw_events"], [day], UI)
    assert (alert.reasons[0], alert.link) == ("its last run: FAILURE", f"{UI}/runs/{failed.run_id}")
    # Another day is no help, and the day itself ends it.
    run(instance, raw_events(), day="2026-01-06")
    assert len(list(missing_days(instance, ["raw_events"], [day], UI))) == 1
    run(instance, raw_events())
    assert list(missing_days(instance, ["raw_events"], [day], UI)) == []
    assert len(list(missing_days(instance, ["raw_events", "sessions"], [day], UI))) == 1


@pytest.mark.parametrize(
    ("now", "after", "expected"),
    [
        ("2026-06-10T05:59", None, [8]),
        ("2026-06-10T06:00", None, [9]),
        ("2026-06-10T06:00", 9, []),
        ("2026-06-10T06:00", 8, [9]),
        ("2026-06-10T07:00", 5, [6, 7, 8, 9]),
        ("2026-06-30T07:00", 5, [23, 24, 25, 26, 27, 28, 29]),
        ("2026-06-10T05:00", 9, []),
    ],
)
def test_a_day_is_due_at_its_deadline_in_its_zone(
    now: str, after: int | None, expected: list[int]
) -> None:
    # Berlin is two hours ahead in June.
    instant = datetime.fromisoformat(f"{now}:00+02:00").astimezone(UTC)
    last = None if after is None else date(2026, 6, after)
    assert [d.day for d in due_days(instant, "Europe/Berlin", 6, last)] == expected


def an_alert(number: int = 0, **values: Any) -> Alert:
    return Alert(
        **{
            "cause": Cause.CHECK,
            "severity": Severity.WARN,
            "title": f"Check failed: <{number}> & more",
            "asset": "raw_events",
            "check": f"check_{number}",
            "day": date(2026, 1, 5),
            "counts": {"violations": 1234},
            "reasons": ("missing_user 8",),
            "what_to_do": "Look.",
            "link": f"{UI}/runs/1",
            **values,
        }
    )


@given(
    st.text(max_size=4000),
    st.lists(st.text(max_size=2000), max_size=20),
    st.dictionaries(st.text(max_size=50), st.integers(), max_size=30),
)
def test_a_message_is_bounded_and_keeps_its_link(
    title: str, reasons: list[str], counts: dict[str, int]
) -> None:
    alert = an_alert(title=title, reasons=tuple(reasons), counts=counts, what_to_do=title)
    assert len(alert.text()) <= MAX_TEXT
    assert alert.text().endswith(f"{UI}/runs/1")
    assert len(json.dumps(alert.payload(), ensure_ascii=False)) < 3 * MAX_TEXT + 2000


@given(st.text(min_size=3).filter(lambda t: not set(t) & set("'\"`\r\n")))
def test_what_an_error_quotes_is_not_told(value: str) -> None:
    assert without_values(f"key userId={value!r} is twice") != ""
    assert f"'{value}'" not in without_values(f"key userId='{value}' is twice")


def send_all(address: str, port: int, alert: Alert) -> None:
    for channel in every_channel(address, port):
        channel.send(alert)


def every_channel(address: str, port: int) -> tuple[Channel, ...]:
    return channels(
        settings(
            slack_webhook=SecretStr(address),
            teams_webhook=SecretStr(address),
            webhook=SecretStr(address),
            email_to="a@example.com,b@example.com",
            email_from="vidagg@example.com",
            smtp_host="127.0.0.1",
            smtp_port=port,
            smtp_security="none",
        )
    )


def test_every_channel_carries_asset_day_counts_reasons_and_link(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with http_receiver() as http, mail_receiver() as mail:
        places = every_channel(http.address, mail.port)
        assert [c.name for c in places] == ["log", "slack", "teams", "email", "webhook"]
        send_all(http.address, mail.port, an_alert())
        slack, teams, webhook = http.taken
    [message] = mail.taken
    body = message.get_payload()
    for text in (slack["text"], json.dumps(teams), body, webhook["text"], caplog.text):
        for part in ("raw_events", "2026-01-05", "violations: 1 234", "missing_user 8"):
            assert part in text
        assert f"{UI}/runs/1" in text
    assert "&lt;0&gt; &amp; more" in slack["text"]
    assert teams["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert message["Subject"] == "vidagg: [WARN] Check failed: <0> & more"
    assert message["To"] == "a@example.com, b@example.com"
    assert (webhook["day"], webhook["counts"]) == ("2026-01-05", {"violations": 1234})


@pytest.mark.parametrize("name", ["slack", "teams", "webhook", "email"])
@pytest.mark.parametrize("fault", ["refuses", "hangs", "is not there"])
def test_a_channel_that_does_not_take_an_alert_says_so_without_its_address(
    name: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels_module, "TIMEOUT_S", 0.5)
    with ExitStack() as stack:
        if fault == "is not there":
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                port = closed.getsockname()[1]
            address = f"http://127.0.0.1:{port}/hook/secret-token"
        elif fault == "hangs":
            silent = stack.enter_context(socket.socket())
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            port = silent.getsockname()[1]
            address = f"http://127.0.0.1:{port}/hook/secret-token"
        else:
            http = stack.enter_context(http_receiver(500))
            port = stack.enter_context(mail_receiver("451 try later")).port
            address = http.address
        [channel] = [c for c in every_channel(address, port) if c.name == name]
        with pytest.raises(DeliveryError) as raised:
            channel.send(an_alert())
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert "secret" not in repr(channel)


def test_a_mail_server_whose_certificate_nobody_knows_gets_nothing() -> None:
    with mail_receiver() as mail:
        [channel] = [
            c
            for c in channels(
                settings(
                    email_to="a@example.com",
                    email_from="b@example.com",
                    smtp_host="127.0.0.1",
                    smtp_port=mail.port,
                )
            )
            if c.name == "email"
        ]
        # This one speaks no STARTTLS at all, as behind someone who strips it.
        with pytest.raises(DeliveryError, match="SMTPNotSupportedError"):
            channel.send(an_alert())
        assert mail.taken == []


def test_a_channel_without_its_package_is_named_with_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels_module, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"VIDAGG_ALERT_SLACK_WEBHOOK needs .* pip install"):
        channels(settings(slack_webhook=SecretStr("https://example.com")))
    assert [c.name for c in channels(settings())] == ["log"]


class Flaky:
    """A channel that takes an alert only when it is up."""

    def __init__(self, name: str = "flaky") -> None:
        self.name = name
        self.up = False
        self.tries = 0
        self.taken: list[str] = []

    def send(self, alert: Alert) -> None:
        self.tries += 1
        if not self.up:
            raise DeliveryError("HTTP 500")
        self.taken.append(alert.title)


def after(outbox: Outbox, places: Sequence[Channel], now: float) -> Outbox:
    return deliver(outbox, places, now, lambda: 0.0).outbox


def test_what_is_not_taken_is_tried_again_with_growing_waits() -> None:
    flaky, steady = Flaky(), Flaky("steady")
    steady.up = True
    places = [flaky, steady]
    outbox = accept(Outbox(seen_until=0), [an_alert(1), an_alert(2)], places, now=0.0)
    outbox = after(outbox, places, 0.0)
    # One that fails is not asked for the next alert in the same round; others are not held up.
    assert (flaky.tries, len(steady.taken)) == (1, 2)
    assert after(outbox, places, FIRST_WAIT_S - 1).pending[0].tries == 1
    clock, waits = 0.0, []
    for _ in range(5):
        [first] = [item for item in outbox.pending if item.alert.check == "check_1"]
        waits.append(first.next_try - clock)
        clock = first.next_try
        outbox = after(outbox, places, clock)
    assert waits == [FIRST_WAIT_S * 2**n for n in range(5)]
    flaky.up = True
    outbox = after(outbox, places, clock + 100_000)
    assert flaky.taken == [an_alert(1).title, an_alert(2).title]
    assert outbox.pending == ()
    assert len(steady.taken) == 2


def test_an_alert_that_nobody_takes_for_a_day_ends_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flaky = Flaky()
    outbox = accept(Outbox(seen_until=0), [an_alert()], [flaky], now=0.0)
    outbox = after(outbox, [flaky], GIVE_UP_AFTER_S - 1)
    assert len(outbox.pending) == 1
    outbox = after(outbox, [flaky], GIVE_UP_AFTER_S + FIRST_WAIT_S)
    assert outbox.pending == ()
    assert "never took it (HTTP 500): [WARN] Check failed" in caplog.text


def test_the_same_cause_is_told_again_only_if_it_says_something_new_or_after_a_day() -> None:
    flaky = Flaky()
    flaky.up = True
    outbox = Outbox(seen_until=0)

    def say(alert: Alert, now: float) -> int:
        nonlocal outbox
        before = len(flaky.taken)
        outbox = after(accept(outbox, [alert], [flaky], now), [flaky], now)
        return len(flaky.taken) - before

    assert say(an_alert(), 0) == 1
    assert say(an_alert(), 60) == 0
    assert say(an_alert(link="elsewhere"), 60) == 0
    assert say(an_alert(counts={"violations": 2}), 120) == 1
    assert say(an_alert(day=date(2026, 1, 6)), 120) == 1
    assert say(an_alert(severity=Severity.ERROR, counts={"violations": 2}), 120) == 1
    assert say(an_alert(severity=Severity.ERROR, counts={"violations": 2}), 130) == 0
    assert say(an_alert(severity=Severity.ERROR, counts={"violations": 2}), 130 + SAY_AGAIN_AFTER_S)


def test_a_flood_is_bounded_and_counted() -> None:
    flaky = Flaky()
    outbox = Outbox(seen_until=0)
    for part in range(3):
        many = [an_alert(part * 1000 + n) for n in range(MAX_PENDING)]
        outbox = accept(outbox, many, [flaky], now=float(part))
    assert len(outbox.pending) == MAX_PENDING + 1
    assert outbox.pending[-1].alert.counts == {"alerts": 2 * MAX_PENDING}
    assert len(outbox.model_dump_json()) < 200_000


def test_a_round_stops_before_dagster_would_end_it() -> None:
    flaky = Flaky()
    flaky.up = True
    outbox = accept(Outbox(seen_until=0), [an_alert(n) for n in range(5)], [flaky], now=0.0)
    clock = iter(range(0, 1000, 15))
    delivery = deliver(outbox, [flaky], 0.0, lambda: float(next(clock)))
    assert 0 < delivery.sent < 5
    assert len(delivery.outbox.pending) == 5 - delivery.sent


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
    monkeypatch.setattr(channels_module, "TIMEOUT_S", 0.3)
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
    assert body["counts"] == {"assets missing": 5, "of": 5}


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


def command(tmp_path: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "alert", "test", *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_tries_every_channel_and_says_what_came_of_it(tmp_path: Path) -> None:
    with http_receiver() as http, http_receiver(404) as gone:
        code, out, err = command(
            tmp_path,
            VIDAGG_ALERT_WEBHOOK=http.address,
            VIDAGG_ALERT_SLACK_WEBHOOK=gone.address,
        )
        assert code == 1
        assert out == "log: delivered\nslack: not delivered, HTTP 404\nwebhook: delivered\n"
        assert "secret-token" not in out + err
        assert "Test message" in err, "the log"
        [body] = http.taken
        assert body["cause"] == "test"
        one = command(tmp_path, "--channel", "webhook", VIDAGG_ALERT_WEBHOOK=http.address)
        assert one[:2] == (0, "webhook: delivered\n")


def test_the_command_names_what_is_not_configured(tmp_path: Path) -> None:
    code, _, err = command(tmp_path, "--channel", "teams")
    assert code == 2
    assert err.startswith("vidagg alert test: teams is not configured (there are: log)")
    code, out, _ = command(tmp_path)
    assert (code, out.splitlines()[-1][:35]) == (0, "No other channel is configured. Ale")
