"""How long files are kept that nothing refers to any more."""

from typing import Final

from vidagg_dagster.core.errors import TableError

SAFE_RETENTION_HOURS: Final = 168
"""A week, Delta's own limit: readers and steps that began before a file was replaced still need it,
and so does looking at an earlier version of a table."""


def require_safe_retention(hours: int, *, accept_risk: bool) -> None:
    """Refuse to remove files that may still be needed.

    Raises:
        TableError: The retention is under a week, and nobody took the risk upon themselves.
    """
    if hours < 0:
        raise TableError(f"A retention of {hours} hours is none. Use 0 or more.")
    if hours < SAFE_RETENTION_HOURS and not accept_risk:
        raise TableError(
            f"A retention of {hours} hours is refused: under {SAFE_RETENTION_HOURS} (a week) files "
            "go that running steps, readers and earlier versions may still need. If no run and no "
            "reader is active, and earlier versions are not wanted, say --accept-risk."
        )
