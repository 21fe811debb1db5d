"""Patterns of times such as `%d.%m.%Y %H:%M:%S`: which texts they match, and what is where."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

_DIRECTIVES: Final = {
    "Y": "([0-9]{4})",
    "y": "([0-9]{2})",
    "m": "([0-9]{1,2})",
    "d": "([0-9]{1,2})",
    "b": "([A-Za-z]{3,9})",
    "H": "([0-9]{1,2})",
    "I": "([0-9]{1,2})",
    "M": "([0-9]{1,2})",
    "S": "([0-9]{1,2})",
    "f": "([0-9]{1,9})",
    "p": "([AaPp][Mm])",
    "z": "(Z|z|UTC|GMT|UT|[+-][0-9]{2}(?::?[0-9]{2})?)",
    "a": "(?:[A-Za-z]{2,9})",
    "%": "%",
}
"""Those of Python's `strptime` that name a moment. `%b` is the name of a month in English, short or
long, `%a` any name of a day, and `%f` up to nine digits."""

_NEEDED: Final = (("Y", "y"), ("m", "b"), ("d",), ("H", "I"), ("M",))


@dataclass(frozen=True)
class TimeFormat:
    """A pattern of times."""

    expression: str
    """The regular expression of its texts, which engines and Python understand alike."""
    directives: tuple[str, ...]
    """What each of its groups is, in their order."""


@cache
def parse_time_format(text: str) -> TimeFormat:
    """A pattern as it is written -> its expression.

    Raises:
        ValueError: It has a directive that is not known, twice the same, or tells no moment.
    """
    expression, directives = "", []
    for found in re.finditer(r"%(.)| +|([^%])", text):
        directive = found[1]
        if directive is None:
            expression += " +" if found[0].isspace() else re.escape(found[0])
            continue
        if directive not in _DIRECTIVES:
            raise ValueError(
                f"{text!r}: %{directive} is not known; there are "
                + ", ".join(f"%{name}" for name in _DIRECTIVES)
            )
        expression += _group(directive, alone=not _beside_digits(text, found))
        if directive not in "a%":
            directives.append(directive)
    if len(set(directives)) < len(directives):
        raise ValueError(f"{text!r} names something twice")
    missing = [" or %".join(names) for names in _NEEDED if not set(names) & set(directives)]
    if missing or ("I" in directives) != ("p" in directives):
        missing = missing or ["I with %p"]
        raise ValueError(f"{text!r} tells no moment: %{', %'.join(missing)} is missing")
    return TimeFormat(f"^{expression}$", tuple(directives))


def _group(directive: str, *, alone: bool) -> str:
    group = _DIRECTIVES[directive]
    return group if alone else group.replace("{1,2}", "{2}")


def _beside_digits(text: str, found: re.Match[str]) -> bool:
    """Whether no sign separates a directive from another: then it has all of its digits."""
    before, behind = text[: found.start()], text[found.end() :]
    return bool(re.search(r"%[YymdHIMSf]$", before) or re.match(r"%[YymdHIMSf]", behind))


def parse_time_formats(text: str) -> tuple[str, ...]:
    """Patterns with bars between them.

    Raises:
        ValueError: One of them is no pattern.
    """
    return require_time_formats(tuple(filter(None, map(str.strip, text.split("|")))))


def require_time_formats(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Check patterns of times.

    Raises:
        ValueError: One of them is no pattern.
    """
    for pattern in formats:
        parse_time_format(pattern)
    return formats
