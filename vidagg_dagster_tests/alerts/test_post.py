"""Servers that drip, never end, redirect or refuse politely: all are told from a delivery."""

import logging
import time
import tracemalloc
from collections.abc import Callable
from socket import socket
from threading import Event

import pytest
from pydantic import SecretStr

from vidagg_dagster.alerts import post
from vidagg_dagster.alerts.channels import Channel, channels
from vidagg_dagster.alerts.deadline import within
from vidagg_dagster.core.errors import DeliveryError
from vidagg_dagster_tests.support.alerting import an_alert, settings
from vidagg_dagster_tests.support.receivers import (
    body_that_drips,
    body_that_never_ends,
    headers_that_drip,
    http_receiver,
    no_http,
    raw_receiver,
    says,
)

NAMES = ("slack", "teams", "webhook")


def channel(name: str, address: str) -> Channel:
    secret = SecretStr(address)
    every = channels(settings(slack_webhook=secret, teams_webhook=secret, webhook=secret))
    return next(c for c in every if c.name == name)


def refusal(name: str, answer: Callable[[socket, Event], None]) -> str:
    with raw_receiver(answer) as address, pytest.raises(DeliveryError) as raised:
        channel(name, address).send(an_alert())
    assert "secret" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", [body_that_drips, headers_that_drip])
def test_the_deadline_is_over_the_whole_answer(
    name: str, answer: Callable[[socket, Event], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "DEADLINE_S", 0.4)
    started = time.monotonic()
    assert refusal(name, answer) == "no answer within 0.4 s"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("name", NAMES)
def test_of_an_answer_without_end_a_little_is_read(name: str) -> None:
    tracemalloc.start()
    try:
        with raw_receiver(body_that_never_ends) as address:
            if name == "slack":  # an answer of any length is not the word that Slack says
                with pytest.raises(DeliveryError, match="refused"):
                    channel(name, address).send(an_alert())
            else:
                channel(name, address).send(an_alert())
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
def test_a_redirect_is_no_delivery_and_is_not_followed(name: str, status: str) -> None:
    with http_receiver() as elsewhere:
        said = refusal(name, says(status, b"", f"Location: {elsewhere.address}"))
        assert elsewhere.asked == 0
    assert said == f"HTTP {status[:3]}"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_http_is_an_error_without_its_text(name: str) -> None:
    assert refusal(name, no_http) == "ConnectionError"


def test_a_polite_refusal_is_no_delivery() -> None:
    assert refusal("slack", says("200 OK", b"invalid_token")) == (
        "HTTP 200, but the message was refused: invalid_token"
    )
    assert refusal("slack", says("200 OK", b"<html>Log in: secret</html>")) == (
        "HTTP 200, but the message was refused"
    )
    assert refusal("slack", says("204 No Content")) == "HTTP 204, but the message was refused"
    throttled = b"Webhook message delivery failed with error: HTTP error 429"
    assert refusal("teams", says("200 OK", throttled)).startswith("HTTP 200, but")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("slack", says("200 OK", b"ok")),
        ("teams", says("202 Accepted")),
        ("teams", says("200 OK", b"1")),
        ("webhook", says("204 No Content")),
        ("webhook", says("200 OK", b"error: 0")),
    ],
)
def test_each_channel_knows_its_own_yes(name: str, answer: Callable[[socket, Event], None]) -> None:
    with raw_receiver(answer) as address:
        channel(name, address).send(an_alert())


def test_the_address_is_not_logged_even_at_level_debug(caplog: pytest.LogCaptureFixture) -> None:
    with http_receiver() as http, caplog.at_level(logging.DEBUG):
        for name in NAMES:
            channel(name, http.address).send(an_alert())
    assert "secret-token" not in caplog.text


def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    def fails() -> None:
        raise TimeoutError("of a socket")

    with pytest.raises(TimeoutError, match="of a socket"):
        within(5, fails)
    with pytest.raises(DeliveryError, match="no answer within"):
        within(0.05, lambda: time.sleep(0.5))
