"""What routes answer: JSON, bytes, or an error as Databricks words it."""

from dataclasses import dataclass, field
from typing import Any


class ApiError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def not_found(what: str) -> ApiError:
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"{what} does not exist.")


def bad_request(message: str) -> ApiError:
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
