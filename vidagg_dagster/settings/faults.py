"""The messages about unknown and impossible settings, and what each setting may be set to."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from vidagg_dagster.core.text import without_credentials
from vidagg_dagster.core.validation import FIELDS
from vidagg_dagster.settings.variables import Variable

_NOUNS: Final[Mapping[type, str]] = {
    int: "a whole number",
    float: "a number",
    Decimal: "a number with up to 2 decimals",
}
_BOUNDS: Final = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


@dataclass(frozen=True)
class Fault:
    """One line of the error, and the variables that it is about."""

    variables: tuple[str, ...]
    text: str


def unknown(given: Mapping[str, str], variables: Mapping[str, Variable]) -> Iterator[Fault]:
    """Faults of variables that are set and set nothing."""
    for name in sorted(set(given) - set(variables)):
        hint = did_you_mean(name, variables) or "; see docs/settings.md"
        # Never the value: under a mistyped name a secret is still one.
        yield Fault((name,), f"{name}: there is no such setting{hint}")


def impossible(
    error: ValidationError, given: Mapping[str, str], variables: Mapping[str, Variable]
) -> Iterator[Fault]:
    """Faults that the validation of the settings found, with the variables to change."""
    by_path = {variable.path: variable for variable in variables.values()}
    for details in error.errors():
        concerned = tuple(by_path[path] for path in _paths(details, by_path))
        values = ", ".join(_assignment(variable, given) for variable in concerned)
        text = f"{values}: {details['msg'].removeprefix('Value error, ')}"
        if FIELDS not in details.get("ctx", {}):
            text += f"; allowed: {allowed_values(concerned[0].field)}"
        yield Fault(tuple(variable.name for variable in concerned), text)


def _paths(details: ErrorDetails, known: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The fields that a fault is about: those that it names, or the one where it occurred."""
    place = tuple(map(str, details["loc"]))
    named = details.get("ctx", {}).get(FIELDS)
    if named is not None:
        return [(*place, *field.split(".")) for field in named]
    # A fault inside a value, such as an entry of a JSON object, lies deeper than its field.
    return [path for path in known if place[: len(path)] == path]


def _assignment(variable: Variable, given: Mapping[str, str]) -> str:
    """`NAME=value`, or the name alone if there is no value. No secret: messages end in logs."""
    value = given.get(variable.name) or default_text(variable.field)
    if not value:
        return variable.name
    shown = "(not shown)" if _is_secret(variable) else repr(without_credentials(value))
    return f"{variable.name}={shown}"


def _is_secret(variable: Variable) -> bool:
    return SecretStr in _alternatives(variable.field.annotation)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the closest known word; empty if none is close."""
    closest = _closest(word, known)
    return f"; did you mean {closest}?" if closest else ""


def _closest(word: str, known: Iterable[str]) -> str | None:
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def allowed_values(field: FieldInfo) -> str:
    """What a setting may be set to, in words."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "allowed" in extra:
        return str(extra["allowed"])
    kind = next(kind for kind in _alternatives(field.annotation) if kind is not NoneType)
    if get_origin(kind) is Literal:
        *others, last = map(str, get_args(kind))
        return f"{', '.join(others)} or {last}" if others else last
    if kind is bool:
        return "true or false"
    return f"{_NOUNS[kind]} {_bounds(field)}".strip() if kind in _NOUNS else str(kind)


def _bounds(field: FieldInfo) -> str:
    found = [
        f"{words} {getattr(item, name)}"
        for name, words in _BOUNDS
        for item in field.metadata
        if getattr(item, name, None) is not None
    ]
    return " and ".join(found)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type itself."""
    if get_origin(annotation) in (None, Literal, dict, tuple):
        return (annotation,)
    return get_args(annotation)


def default_text(field: FieldInfo) -> str:
    """The default of a field as it would be written; empty where there is none."""
    default = field.get_default(call_default_factory=True)
    if default is None or default == {} or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
