"""What is not taken is tried again, and nothing is told twice."""

from collections.abc import Sequence
from datetime import date

import pytest

from vidagg_dagster.alerts.channels import Channel
from vidagg_dagster.alerts.message import Alert
from vidagg_dagster.alerts.outbox import (
    FIRST_WAIT_S,
    GIVE_UP_AFTER_S,
    MAX_PENDING,
    SAY_AGAIN_AFTER_S,
    Outbox,
    accept,
    deliver,
)
from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.errors import DeliveryError
from vidagg_dagster_tests.support.alerting import an_alert


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


def test_each_attempt_is_kept_at_once_so_that_a_killed_round_tells_nothing_twice() -> None:
    steady, broken = Flaky("steady"), Flaky("broken")
    steady.up = True
    places = [steady, broken]
    outbox = accept(Outbox(seen_until=0), [an_alert(1), an_alert(2)], places, now=0.0)
    kept: list[Outbox] = []
    deliver(outbox, places, 0.0, lambda: 0.0, kept.append)
    waiting = [[(i.channel, i.alert.check, i.tries) for i in state.pending] for state in kept]
    first, second = ("broken", "check_1"), ("broken", "check_2")
    assert waiting == [
        [("steady", "check_2", 0), (*first, 0), (*second, 0)],
        [(*first, 0), (*second, 0)],
        [(*first, 1), (*second, 0)],
    ]
    after(kept[0], [steady], 0.0)
    assert steady.taken.count(an_alert(1).title) == 1


def test_a_channel_that_breaks_holds_up_no_other() -> None:
    class Broken(Flaky):
        def send(self, alert: Alert) -> None:
            raise KeyError(alert.title)

    steady = Flaky("steady")
    steady.up = True
    places = [Broken("broken"), steady]
    outbox = accept(Outbox(seen_until=0), [an_alert(1)], places, now=0.0)
    delivery = deliver(outbox, places, 0.0, lambda: 0.0)
    assert (delivery.sent, delivery.failed) == (1, ("broken: KeyError, try 1, next in 15 s",))


def test_all_runs_that_ended_shortly_before_are_remembered_and_no_others() -> None:
    outbox = Outbox(seen_until=1000.0).looked_at({f"run {n}": 1000.0 for n in range(1000)}, 300.0)
    assert len(outbox.seen_runs) == 1000
    later = outbox.looked_at({"last": 1301.0}, 300.0)
    assert (later.seen_until, later.seen_runs) == (1301.0, {"last": 1301.0})


def test_an_outbox_of_an_earlier_version_is_read() -> None:
    earlier = '{"seen_until": 5.0, "seen_runs": ["a"], "told": {}, "pending": []}'
    assert Outbox.model_validate_json(earlier).seen_runs == {"a": 5.0}
