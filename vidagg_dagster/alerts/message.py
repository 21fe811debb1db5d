"""An alert: what happened, to which asset and day, as short text without ids of users."""

import hashlib
import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from vidagg_dagster.core.contract import Severity

MAX_TEXT: Final = 1500
"""Characters of a message. Slack cuts at 3000, Teams at about 28 kB."""

MAX_LINE: Final = 300
MAX_COUNTS: Final = 8
MAX_REASONS: Final = 3


class Cause(StrEnum):
    """What an alert is about."""

    CHECK = "check"
    RUN = "run"
    MISSING_DAY = "missing_day"
    TOO_MANY = "too_many"
    TEST = "test"


class Alert(BaseModel):
    """One message: one cause, one asset, one day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cause: Cause
    severity: Severity
    title: str
    asset: str | None = None
    check: str | None = None
    day: date | None = None
    counts: Mapping[str, int | float] = Field(default_factory=dict)
    reasons: tuple[str, ...] = Field(default=(), description="The most frequent first.")
    what_to_do: str = ""
    link: str = ""

    @property
    def key(self) -> str:
        """Equal for the same cause, asset, check and day."""
        return f"{self.cause}/{self.asset or ''}/{self.check or ''}/{self.day or ''}"

    @property
    def fingerprint(self) -> str:
        """Changes when the same cause has a new severity, new counts or new reasons."""
        content = [self.severity, sorted(self.counts.items()), self.reasons]
        return hashlib.sha256(repr(content).encode()).hexdigest()[:16]

    def lines(self) -> list[str]:
        """The message for people, line by line, without the link."""
        lines = [f"[{self.severity}] {self.title}"]
        where = [f"asset {self.asset}"] if self.asset else []
        where += [f"day {self.day}"] if self.day else []
        if where:
            lines.append(", ".join(where))
        if self.counts:
            shown = list(self.counts.items())[:MAX_COUNTS]
            lines.append(", ".join(f"{name}: {_number(value)}" for name, value in shown))
        if self.reasons:
            lines.append("most: " + "; ".join(self.reasons[:MAX_REASONS]))
        if self.what_to_do:
            lines.append(self.what_to_do)
        return [shortened(line, MAX_LINE) for line in lines]

    def text(self) -> str:
        """The whole message, at most `MAX_TEXT` characters. The link is never cut."""
        room = MAX_TEXT - len(self.link) - 1
        text = shortened("\n".join(self.lines()), max(room, 0))
        return f"{text}\n{self.link}" if self.link else text

    def payload(self) -> dict[str, Any]:
        """The message for programs."""
        return {
            "cause": str(self.cause),
            "severity": str(self.severity),
            "title": shortened(self.title, MAX_LINE),
            "asset": self.asset,
            "check": self.check,
            "day": None if self.day is None else self.day.isoformat(),
            "counts": dict(list(self.counts.items())[:MAX_COUNTS]),
            "reasons": [shortened(reason, MAX_LINE) for reason in self.reasons[:MAX_REASONS]],
            "what_to_do": shortened(self.what_to_do, MAX_LINE),
            "link": self.link,
            "text": self.text(),
        }


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of `text`; an ellipsis shows that it was cut."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


_QUOTED: Final = re.compile(r"""(['"`])(?:(?!\1).){0,2000}\1""")
_SECRET: Final = re.compile(r"(?i)\b(dapi\w+|eyJ[\w.-]{20,}|bearer\s+\S+|xox[a-z]-\S+)")
_ADDRESS: Final = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://\S+")


def without_values(text: str) -> str:
    """An error's first line, without anything that may be a user's id or a secret.

    Our errors quote values, and addresses may contain credentials.
    """
    line = text.strip().splitlines()[0] if text.strip() else ""
    for pattern in (_QUOTED, _ADDRESS, _SECRET):
        line = pattern.sub("(…)", line)
    return shortened(line, MAX_LINE)


def _number(value: int | float) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:g}"
