"""Where alerts go: log, Slack, Microsoft Teams, e-mail, any webhook.

No error of a channel contains its address, which is a secret. Each attempt has a deadline.
"""

import logging
import re
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from importlib.util import find_spec
from typing import Final, Protocol

from vidagg_dagster.alerts import post
from vidagg_dagster.alerts.deadline import within
from vidagg_dagster.alerts.message import Alert
from vidagg_dagster.alerts.post import Answer, kind_of, post_json
from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.errors import DeliveryError, SettingsError
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.alerts import SmtpSecurity

log = logging.getLogger(__name__)

_WORD: Final = re.compile(r"[a-z_]{1,40}")
"""What may be shown of an answer: an error code such as `invalid_token`."""


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str:
        """The channel's name on the command line and in the outbox."""
        ...

    def send(self, alert: Alert) -> None:
        """Deliver an alert; returns only if the channel has accepted it.

        Raises:
            DeliveryError: The channel has not.
        """
        ...


@dataclass(frozen=True)
class LogChannel:
    """Python's logging, which the log of Dagster's daemon shows."""

    name: str = "log"

    def send(self, alert: Alert) -> None:
        """Write one line."""
        level = logging.ERROR if alert.severity is Severity.ERROR else logging.WARNING
        log.log(level, "%s", " | ".join(alert.text().splitlines()))


@dataclass(frozen=True, repr=False)
class SlackChannel:
    """An incoming webhook of Slack."""

    url: str
    name: str = "slack"

    def send(self, alert: Alert) -> None:
        """Post the message as text; only the word that Slack answers then counts as accepted."""
        answer = post_json(self.url, {"text": _slack_text(alert), "unfurl_links": False})
        if answer.status != 200 or answer.text.strip() != "ok":
            raise DeliveryError(_refusal(answer))


@dataclass(frozen=True, repr=False)
class TeamsChannel:
    """A webhook of Microsoft Teams, created by a workflow."""

    url: str
    name: str = "teams"

    def send(self, alert: Alert) -> None:
        """Post the message as an adaptive card."""
        from dagster_msteams.adaptive_card import AdaptiveCard

        card = AdaptiveCard()
        for line in alert.lines():
            card.add_attachment(line)
        if alert.link:
            card.add_attachment(f"[Open in Dagster]({alert.link})")
        answer = post_json(self.url, card.payload)
        # Connectors report that Teams refused a message with status 200.
        if not answer.accepted or "error" in answer.text.lower():
            raise DeliveryError(_refusal(answer))


@dataclass(frozen=True, repr=False)
class WebhookChannel:
    """Any address that accepts a JSON object by POST."""

    url: str
    name: str = "webhook"

    def send(self, alert: Alert) -> None:
        """Post `Alert.payload`; any 2xx counts as accepted."""
        answer = post_json(self.url, alert.payload())
        if not answer.accepted:
            raise DeliveryError(_refusal(answer))


@dataclass(frozen=True, repr=False)
class EmailChannel:
    """An SMTP server."""

    host: str
    port: int
    security: SmtpSecurity
    sender: str
    receivers: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    name: str = "email"

    def send(self, alert: Alert) -> None:
        """Send one message to all receivers."""
        message = EmailMessage()
        # A header must be one line.
        message["Subject"] = " ".join(f"vidagg: {alert.lines()[0]}".split())
        message["From"] = self.sender
        message["To"] = ", ".join(self.receivers)
        message.set_content(alert.text())
        try:
            refused = within(post.DEADLINE_S, lambda: self._send(message))
        except (OSError, smtplib.SMTPException) as error:
            code = getattr(error, "smtp_code", None)
            raise DeliveryError(f"{kind_of(error)}{f' {code}' if code else ''}") from None
        if refused:
            raise DeliveryError(f"{refused} of {len(self.receivers)} receivers were refused")

    def _send(self, message: EmailMessage) -> int:
        """Send, and return how many receivers were refused."""
        with self._connected() as smtp:
            return len(smtp.send_message(message))

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=post.DEADLINE_S, context=context
            )
        else:
            smtp = smtplib.SMTP(self.host, self.port, timeout=post.DEADLINE_S)
        try:
            if self.security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if self.user is not None:
                smtp.login(self.user, self.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp


def channels(settings: Settings) -> tuple[Channel, ...]:
    """The log, and every channel that is configured.

    Raises:
        SettingsError: A channel needs a package that is not installed.
    """
    return tuple(_channels(settings))


def _channels(settings: Settings) -> Iterator[Channel]:
    yield LogChannel()
    if settings.alerts.slack_webhook is not None:
        yield SlackChannel(settings.alerts.slack_webhook.get_secret_value())
    if settings.alerts.teams_webhook is not None:
        _require("dagster_msteams", "VIDAGG_ALERT_TEAMS_WEBHOOK")
        yield TeamsChannel(settings.alerts.teams_webhook.get_secret_value())
    if settings.alerts.email_to:
        password = settings.alerts.smtp_password
        yield EmailChannel(
            host=settings.alerts.smtp_host or "",
            port=settings.alerts.smtp_port,
            security=settings.alerts.smtp_security,
            sender=settings.alerts.email_from or "",
            receivers=settings.alerts.email_to,
            user=settings.alerts.smtp_user,
            password=None if password is None else password.get_secret_value(),
        )
    if settings.alerts.webhook is not None:
        yield WebhookChannel(settings.alerts.webhook.get_secret_value())


def _require(package: str, setting: str) -> None:
    if find_spec(package) is None:
        raise SettingsError(
            f"{setting} needs the Python package {package.replace('_', '-')}: "
            "pip install 'vidagg_dagster[orchestration,alerts]'"
        )


def _refusal(answer: Answer) -> str:
    if not answer.accepted:
        return f"HTTP {answer.status}"
    word = answer.text.strip()
    said = f": {word}" if _WORD.fullmatch(word) else ""
    return f"HTTP {answer.status}, but the message was refused{said}"


def _slack_text(alert: Alert) -> str:
    # Slack's only special characters. Error texts may contain them.
    return alert.text().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
