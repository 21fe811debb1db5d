"""Faults that concern several fields of a model, as pydantic errors that name the fields."""

from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

FIELDS: Final = "fields"
"""Under this name the context of a fault holds the paths of the fields it concerns."""


def contradiction(reason: str, *fields: str) -> PydanticCustomError:
    """A fault of several fields together, to be raised by a validator of their model.

    Args:
        reason: What is wrong. It is shown as it is, so it repeats no value.
        fields: Their paths from the model that raises, such as `databricks.volume`.
    """
    return PydanticCustomError("contradiction", "{reason}", {"reason": reason, FIELDS: fields})


def raise_together(model: str, faults: Iterable[PydanticCustomError]) -> None:
    """Raise all faults of a model as one error. Without any, do nothing.

    Raises:
        ValidationError: There is at least one fault.
    """
    lines = [InitErrorDetails(type=fault, loc=(), input=None) for fault in faults]
    if lines:
        raise ValidationError.from_exception_data(model, lines, hide_input=True)
