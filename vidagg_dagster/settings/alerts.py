"""The settings of alerts: which channels there are."""

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from vidagg_dagster.core.validation import contradiction, raise_together
from vidagg_dagster.settings.fields import SettingsGroup, allowed, require_web_address, words

SmtpSecurity = Literal["starttls", "tls", "none"]
"""How a connection to an SMTP server is protected."""

_EMAIL_ADDRESS: Final = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")


class AlertSettings(SettingsGroup):
    """The channels of alerts. Without any, alerts go to the log alone."""

    slack_webhook: SecretStr | None = Field(
        default=None,
        description="Incoming webhook of Slack that gets the alerts.",
        json_schema_extra=allowed("an http or https address"),
    )
    teams_webhook: SecretStr | None = Field(
        default=None,
        description="Webhook of a Microsoft Teams channel (Workflows) that gets the alerts.",
        json_schema_extra=allowed("an http or https address"),
    )
    webhook: SecretStr | None = Field(
        default=None,
        description="Any other webhook: gets each alert as a JSON object.",
        json_schema_extra=allowed("an http or https address"),
    )
    email_to: tuple[str, ...] = Field(
        default=(),
        description="Who gets the alerts by e-mail. Needs a sender and an SMTP server.",
        json_schema_extra=allowed("e-mail addresses, separated by commas"),
    )
    email_from: str | None = Field(
        default=None,
        description="Sender of the e-mails.",
        json_schema_extra=allowed("an e-mail address"),
    )
    smtp_host: str | None = Field(
        default=None,
        min_length=1,
        description="SMTP server that takes the e-mails.",
        json_schema_extra=allowed("the name of a machine"),
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_security: SmtpSecurity = Field(
        default="starttls",
        description="How the connection to it is protected. A password is not sent over none.",
    )
    smtp_user: str | None = Field(
        default=None,
        min_length=1,
        description="User at the SMTP server, if it wants one.",
        json_schema_extra=allowed("a name"),
    )
    smtp_password: SecretStr | None = Field(
        default=None,
        description="Password at the SMTP server.",
        json_schema_extra=allowed("a password"),
    )

    @field_validator("email_to", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return words(value)

    @field_validator("email_to", "email_from")
    @classmethod
    def _email_addresses(cls, value: Any) -> Any:
        for address in (value,) if isinstance(value, str) else value or ():
            if not _EMAIL_ADDRESS.fullmatch(address):
                raise ValueError("not an e-mail address")
        return value

    @field_validator("slack_webhook", "teams_webhook", "webhook")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            require_web_address(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _usable_email(self) -> Self:
        raise_together(type(self).__name__, self._email_faults())
        return self

    def _email_faults(self) -> Iterator[PydanticCustomError]:
        if self.email_to and not (self.email_from and self.smtp_host):
            yield contradiction(
                "e-mails need a sender and an SMTP server as well",
                "email_to",
                "email_from",
                "smtp_host",
            )
        if self.smtp_password and self.smtp_security == "none":
            yield contradiction(
                "the password would go over the network in clear text",
                "smtp_password",
                "smtp_security",
            )
