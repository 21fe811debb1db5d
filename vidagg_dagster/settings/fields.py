"""What the groups of settings share."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from vidagg_dagster.core.text import has_credentials


class SettingsGroup(BaseModel):
    """Base of the groups, and of the settings as a whole."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        # Values may be secret, and errors of pydantic quote them.
        hide_input_in_errors=True,
    )


@dataclass(frozen=True)
class VariablePrefix:
    """Marks a group whose variables have a prefix of their own, such as `ALERT_`."""

    text: str


def allowed(text: str) -> dict[str, Any]:
    """What a field may be set to, in words, for a field whose type does not say it."""
    return {"allowed": text}


def json_object(text: str) -> object:
    """Parse JSON; the field's type decides whether it is an object.

    Raises:
        ValueError: The text is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not a JSON object: {error}") from None


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def require_web_address(text: str) -> None:
    """Check the scheme and the host.

    Raises:
        ValueError: It is no http or https address.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https address")


def require_no_credentials(text: str) -> None:
    """Refuse an address that would show a secret wherever it is shown.

    Raises:
        ValueError: It carries a user, a password, a token or a signature.
    """
    if has_credentials(text):
        raise ValueError(
            "an address with credentials in it is refused, because the UI and messages show it; "
            "give them to the engine or to the proxy by the means of its own"
        )
