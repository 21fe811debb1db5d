"""The exit codes of commands that do not succeed, and the errors that lead to them."""

from typing import Final

FAILED: Final = 1
"""Exit code: the command began its work and did not complete it."""

BAD_INPUT: Final = 2
"""Exit code: arguments, settings or files that cannot be used."""


class BadInputError(ValueError):
    """An argument that cannot be used; the message says which, and why."""


class CommandFailedError(RuntimeError):
    """The command began its work and did not complete it; the message says why."""
