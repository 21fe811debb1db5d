"""The settings of live tables: how many days, how often, and where messages come from."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from vidagg_dagster.core.validation import contradiction
from vidagg_dagster.live.contract import Feed
from vidagg_dagster.live.request import DEFAULT_DAYS, DEFAULT_FILES_AT_ONCE
from vidagg_dagster.settings.fields import SettingsGroup, allowed, json_object, words


class LiveSettings(SettingsGroup):
    """What `VIDAGG_LIVE` and `vidagg live` go by."""

    days: int = Field(
        default=DEFAULT_DAYS,
        ge=1,
        le=31,
        description="How many days the live tables have, today included. Events of days before "
        "are left to the daily run.",
    )
    interval_seconds: int = Field(
        default=5,
        ge=1,
        le=3600,
        description="How often `vidagg live` looks for new events. The sensor looks every 30 s.",
    )
    run_minutes: int = Field(
        default=60,
        ge=1,
        le=1_440,
        description="With VIDAGG_TARGET=databricks: how long a job takes in events before the next "
        "one follows. So often the run in Dagster ends, and closed days are compared.",
    )
    files_at_once: int = Field(
        default=DEFAULT_FILES_AT_ONCE,
        ge=1,
        description="Most files of one batch.",
    )
    kafka_servers: str | None = Field(
        default=None,
        min_length=1,
        description="Kafka, or Event Hubs by its Kafka protocol. `vidagg live` writes the messages "
        "as files into the folder VIDAGG_SOURCE and takes them in; needs VIDAGG_ENGINE=spark.",
        json_schema_extra=allowed("`host:port,...`"),
    )
    kafka_topic: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="The topic. Each message is an event as a JSON object.",
        json_schema_extra=allowed("letters, digits, `.`, `_` and `-`"),
    )
    kafka_options: SecretStr | None = Field(
        default=None,
        description="Further options of Spark's Kafka source, such as how to log in.",
        json_schema_extra=allowed(
            'a JSON object such as `{"kafka.security.protocol": "SASL_SSL"}`'
        ),
    )
    kafka_messages_at_once: int = Field(
        default=200_000, ge=1, description="Most messages of one batch."
    )
    kafka_jars: tuple[Path, ...] = Field(
        default=(),
        description="Jars of Spark's Kafka source. Without them Spark fetches them from Maven "
        "Central when `vidagg live` starts.",
        json_schema_extra=allowed("paths, separated by commas"),
    )

    @field_validator("kafka_jars", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return words(value) if isinstance(value, str) else value

    @field_validator("kafka_options")
    @classmethod
    def _texts_by_name(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            found = json_object(value.get_secret_value())
            if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
                raise ValueError("not a JSON object of texts")
        return value

    @property
    def feed(self) -> Feed | None:
        """The topic of Kafka; None where events are files."""
        if self.kafka_servers is None or self.kafka_topic is None:
            return None
        return Feed(
            servers=self.kafka_servers,
            topic=self.kafka_topic,
            at_once=self.kafka_messages_at_once,
        )

    @model_validator(mode="after")
    def _whole_address(self) -> Self:
        if (self.kafka_servers is None) != (self.kafka_topic is None):
            raise contradiction(
                "servers and topic are given together or not at all", "kafka_servers", "kafka_topic"
            )
        return self
