"""The settings of daily operation: when days are due, how late events may be, whom to alert."""

import re
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

_ADDRESS: Final = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")


def _allowed(text: str) -> dict[str, Any]:
    return {"allowed": text}


class OperationsSettings(BaseModel):
    """Schedule, late events and alerts."""

    schedule_hour: int = Field(
        default=2,
        ge=0,
        le=22,
        description="Hour, in the zone of the partitions, at which the day before is materialized. "
        "An hour that a change to summer time leaves out is made up for right after it; of an hour "
        "that comes twice the second counts.",
    )
    deadline_hour: int = Field(
        default=6,
        ge=1,
        le=23,
        description="Hour, in the zone of the partitions, by which the day before must be there: "
        "for the freshness of assets, and for the alert of a missing day.",
    )
    max_lateness_days: int = Field(
        default=3,
        ge=0,
        le=366,
        description="How many days before the last complete one late events may still change by "
        "themselves. Older ones are kept, counted and reported, until someone runs their day.",
    )
    ui_url: str = Field(
        default="http://localhost:3000",
        description="Address of Dagster's UI, for the links in alerts.",
        json_schema_extra=_allowed("an http or https address"),
    )
    alert_slack_webhook: SecretStr | None = Field(
        default=None,
        description="Incoming webhook of Slack that gets the alerts.",
        json_schema_extra=_allowed("an http or https address"),
    )
    alert_teams_webhook: SecretStr | None = Field(
        default=None,
        description="Webhook of a Microsoft Teams channel (Workflows) that gets the alerts.",
        json_schema_extra=_allowed("an http or https address"),
    )
    alert_webhook: SecretStr | None = Field(
        default=None,
        description="Any other webhook: gets each alert as a JSON object.",
        json_schema_extra=_allowed("an http or https address"),
    )
    alert_email_to: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Who gets the alerts by e-mail. Needs a sender and an SMTP server.",
        json_schema_extra=_allowed("e-mail addresses, separated by commas"),
    )
    alert_email_from: str | None = Field(
        default=None,
        description="Sender of the e-mails.",
        json_schema_extra=_allowed("an e-mail address"),
    )
    alert_smtp_host: str | None = Field(
        default=None,
        min_length=1,
        description="SMTP server that takes the e-mails.",
        json_schema_extra=_allowed("the name of a machine"),
    )
    alert_smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    alert_smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the connection to it is protected. A password is not sent over none.",
    )
    alert_smtp_user: str | None = Field(
        default=None,
        min_length=1,
        description="User at the SMTP server, if it wants one.",
        json_schema_extra=_allowed("a name"),
    )
    alert_smtp_password: SecretStr | None = Field(
        default=None,
        description="Password at the SMTP server.",
        json_schema_extra=_allowed("a password"),
    )

    @field_validator("alert_email_to", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("alert_email_to", "alert_email_from")
    @classmethod
    def _addresses(cls, value: Any) -> Any:
        for address in (value,) if isinstance(value, str) else value or ():
            if not _ADDRESS.fullmatch(address):
                raise ValueError("not an e-mail address")
        return value

    @field_validator("ui_url", "alert_slack_webhook", "alert_teams_webhook", "alert_webhook")
    @classmethod
    def _web_address(cls, value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is None:
            return value
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an http or https address")
        return value.rstrip("/") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _runs_before_its_deadline(self) -> Self:
        if self.deadline_hour <= self.schedule_hour:
            raise ValueError(
                "deadline_hour must be after schedule_hour, else every day is missing when it is "
                "looked for"
            )
        return self

    @model_validator(mode="after")
    def _complete_email(self) -> Self:
        if self.alert_email_to and not (self.alert_email_from and self.alert_smtp_host):
            raise ValueError("alert_email_to needs alert_email_from and alert_smtp_host as well")
        if self.alert_smtp_password and self.alert_smtp_security == "none":
            raise ValueError(
                "alert_smtp_password would go over the network in clear text with "
                "alert_smtp_security = none"
            )
        return self
