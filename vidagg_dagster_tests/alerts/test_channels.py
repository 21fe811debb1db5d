"""Messages are bounded and quote nothing; channels carry them, or say why not."""

import json
import socket
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from vidagg_dagster.alerts import channels as channels_module
from vidagg_dagster.alerts import post
from vidagg_dagster.alerts.channels import Channel, channels
from vidagg_dagster.alerts.message import MAX_TEXT, Alert, without_values
from vidagg_dagster.core.errors import DeliveryError, SettingsError
from vidagg_dagster_tests.support.alerting import UI, an_alert, settings
from vidagg_dagster_tests.support.receivers import http_receiver, mail_receiver


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
    monkeypatch.setattr(post, "DEADLINE_S", 0.5)
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
    with pytest.raises(SettingsError, match=r"VIDAGG_ALERT_TEAMS_WEBHOOK needs .* pip install"):
        channels(settings(teams_webhook=SecretStr("https://example.com")))
    assert [c.name for c in channels(settings())] == ["log"]
