"""The error of a source that cannot be read, and other libraries' errors in one line."""

from typing import Final

_MAX_LINE: Final = 300


class SourceError(ValueError):
    """A source cannot be read. The message names the fault, its place and the fix."""


def first_line(error: BaseException) -> str:
    """The first line of an engine's error, cut to a readable length, with a full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".")[:_MAX_LINE] if lines else type(error).__name__) + "."


def reason(error: BaseException) -> str:
    """What the system or a library says about a file, in one line without a full stop."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
