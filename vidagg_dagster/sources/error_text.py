"""Errors of engines, libraries and the system in one line."""

from typing import Final

_MAX_LINE: Final = 300


def first_line(error: BaseException) -> str:
    """The first line of an engine's error, cut to a readable length, with a full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".")[:_MAX_LINE] if lines else type(error).__name__) + "."


def reason(error: BaseException) -> str:
    """What the system or a library says about a file, in one line without a full stop."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
