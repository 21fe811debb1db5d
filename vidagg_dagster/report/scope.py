"""How much is on the page, and what its file is called."""

from dataclasses import dataclass
from typing import Final

FILE: Final = "engagement.html"
"""The name of the file where nobody names another one."""


@dataclass(frozen=True)
class Scope:
    """The most watched videos, and the users who watched most."""

    videos: int = 50
    users: int = 100


DEFAULT_SCOPE: Final = Scope()
"""So much that a page of many viewers stays below a megabyte."""
