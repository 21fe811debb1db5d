"""Which variable sets which field, and what the variables are set to.

The field `xyz` is set by `VIDAGG_XYZ`. So is the field `xyz` of a group, unless the group is marked
with a prefix: then it is `VIDAGG_PREFIX_XYZ`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vidagg_dagster.core.contract import AUTO
from vidagg_dagster.settings.fields import VariablePrefix

PREFIX: Final = "VIDAGG_"
TEST_PREFIX: Final = "VIDAGG_TEST_"
"""Variables of the test suite. They are no settings."""
ENV_FILE: Final = ".env"
ENGINE: Final = "VIDAGG_ENGINE"


@dataclass(frozen=True)
class Variable:
    """A variable and the field that it sets."""

    name: str
    path: tuple[str, ...]
    """The field's name, preceded by the name of its group if it is in one."""
    field: FieldInfo


def variables_of(model: type[BaseModel]) -> dict[str, Variable]:
    """Every variable of the settings by its name, in the order of their fields."""
    return {variable.name: variable for variable in _variables(model, PREFIX, ())}


def _variables(model: type[BaseModel], prefix: str, path: tuple[str, ...]) -> Iterator[Variable]:
    for name, field in model.model_fields.items():
        key = field.alias or name
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            own = [item.text for item in field.metadata if isinstance(item, VariablePrefix)]
            yield from _variables(group, prefix + "".join(own), (*path, key))
        else:
            yield Variable(prefix + key.upper(), (*path, key), field)


def given_variables() -> dict[str, str]:
    """Every `VIDAGG_*` variable that is set, in upper case.

    `.env` in the working directory wins over the environment, since Dagster loads it so into every
    process that it starts. An empty value never replaces another one.
    """
    # Part of the extra `orchestration`; the errors of settings are told without it too.
    from dotenv import dotenv_values

    given: dict[str, str] = {}
    sources: tuple[Mapping[str, str | None], ...] = (os.environ, dotenv_values(ENV_FILE))
    for source in sources:
        for name, value in source.items():
            name = name.upper()
            if value is not None and _is_setting(name) and (value or name not in given):
                given[name] = value
    return given


def engine_setting() -> str:
    """What computes, for a command that needs no other setting: VIDAGG_ENGINE, else `auto`."""
    try:
        return given_variables().get(ENGINE) or AUTO
    except ModuleNotFoundError:  # without the extra `orchestration` there is no reader of `.env`
        return os.environ.get(ENGINE) or AUTO


def _is_setting(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)


def nested(given: Mapping[str, str], variables: Mapping[str, Variable]) -> dict[str, Any]:
    """The values of the variables in the shape of the model: groups as dictionaries."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        *groups, key = variables[name].path
        place = values
        for group in groups:
            place = place.setdefault(group, {})
        place[key] = value
    return values
