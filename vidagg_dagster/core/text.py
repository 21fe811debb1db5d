"""Numbers and addresses as text for people."""

import re
from typing import Final

_USER_INFO: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)([^/?#\s@]*)@")
_SECRET_VALUE: Final = re.compile(
    r"(?i)([?&;][\w.-]*(?:token|sig|signature|secret|password|credential|key)[\w.-]*=)[^&;\s'\"]+"
)
_BUCKETS: Final = ("abfs://", "abfss://", "wasb://", "wasbs://")
"""Schemes of Azure, where a container, and no user, stands before the @."""


def spaced(number: int) -> str:
    """An integer in groups of three: 12 345."""
    return f"{number:,}".replace(",", " ")


def clock(seconds: float) -> str:
    """Seconds as `12 h 03 min`."""
    minutes = round(seconds / 60)
    return f"{spaced(minutes // 60)} h {minutes % 60:02d} min"


def has_credentials(address: str) -> bool:
    """Whether an address carries a user, a password, a token or a signature."""
    return without_credentials(address) != address


def without_credentials(text: str) -> str:
    """`text` with the credentials of all addresses in it replaced."""
    return _SECRET_VALUE.sub(r"\1(not shown)", _USER_INFO.sub(_without_user, text))


def _without_user(found: re.Match[str]) -> str:
    scheme, user = found.groups()
    if scheme.lower() in _BUCKETS and ":" not in user:
        return found[0]
    return f"{scheme}(not shown)@"
