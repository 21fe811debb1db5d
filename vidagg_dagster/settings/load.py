"""Reads and validates the settings."""

from collections.abc import Mapping

from pydantic import ValidationError

from vidagg_dagster.core.errors import SettingsError
from vidagg_dagster.settings.faults import Fault, impossible, unknown
from vidagg_dagster.settings.model import Settings
from vidagg_dagster.settings.variables import Variable, given_variables, nested, variables_of


def load_settings() -> Settings:
    """Read the settings from `.env` in the working directory (wins) and the environment.

    Raises:
        SettingsError: It names every unknown or impossible setting, its value and what is allowed.
    """
    given = given_variables()
    variables = variables_of(Settings)
    # An empty value means the default.
    known = {name: value for name, value in given.items() if value and name in variables}
    faults = [*unknown(given, variables), *_all_impossible(known, variables)]
    if faults:
        head = "1 setting is wrong:" if len(faults) == 1 else f"{len(faults)} settings are wrong:"
        raise SettingsError("\n".join([head, *(f"  {fault.text}" for fault in faults)]))
    return Settings.model_validate(nested(known, variables))


def _all_impossible(given: Mapping[str, str], variables: Mapping[str, Variable]) -> list[Fault]:
    """Every fault of the values, those included that another fault hides.

    pydantic compares several fields only when each of them is valid. So the values are validated
    again without the faulty ones, until none is faulty.
    """
    faults: list[Fault] = []
    rest = dict(given)
    while True:
        found = _impossible(rest, variables)
        for fault in found:
            left_out = any(name in given and name not in rest for name in fault.variables)
            # What a value that was left out seems to lack or contradict is no fault of its own.
            if not left_out and fault not in faults:
                faults.append(fault)
        faulty = {name for fault in found for name in fault.variables if name in rest}
        if not faulty:
            return faults
        rest = {name: value for name, value in rest.items() if name not in faulty}


def _impossible(given: Mapping[str, str], variables: Mapping[str, Variable]) -> list[Fault]:
    try:
        Settings.model_validate(nested(given, variables))
    except ValidationError as error:
        return list(impossible(error, given, variables))
    return []
