"""What is told of a run, and of a day that is missing."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from vidagg_dagster.alerts.causes import due_days, missing_days
from vidagg_dagster.alerts.message import Cause
from vidagg_dagster.core.contract import Severity
from vidagg_dagster_tests.support.alerting import DAILY, SECRET_USER, UI, raw_events, run, told


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


def test_a_run_that_was_ended_from_outside_is_told_with_the_reason() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        reasons: list[str] = []
        for message in ("Exceeded maximum runtime of 43200 seconds.", f"killed by {SECRET_USER}"):
            started = create_run_for_test(
                instance,
                status=dg.DagsterRunStatus.STARTED,
                asset_selection=frozenset({dg.AssetKey("raw_events")}),
            )
            instance.report_run_failed(started, message)
            ended = instance.get_run_by_id(started.run_id)
            assert ended is not None
            [alert] = told(instance, ended)
            reasons += alert.reasons
    assert reasons == [
        "ended by dagster.yaml, because it ran longer than 43200 seconds",
        "the process of the run ended without a word (killed, out of memory, restarted?)",
    ]
