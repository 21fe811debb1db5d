"""Repeating a write that lost against another writer of the same rows."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from vidagg_dagster.core.errors import TableConflictError

T = TypeVar("T")

log = logging.getLogger(__name__)


def retry_conflicts(operation: Callable[[], T], *, attempts: int, max_wait_s: float = 1.0) -> T:
    """The result of `operation`, which is called again after each `TableConflictError`.

    Args:
        operation: Reads what it depends on anew in each call.
        attempts: How many calls at most, at least 1.
        max_wait_s: The longest wait after the first attempt; later waits grow with the attempt.

    Raises:
        TableConflictError: The last attempt lost too.
    """
    for attempt in range(1, attempts):
        try:
            return operation()
        except TableConflictError as error:
            log.warning(
                "attempt %d of %d lost against another writer: %s", attempt, attempts, error
            )
            pause(attempt, max_wait_s)
    return operation()


def pause(attempt: int, max_wait_s: float) -> None:
    """Wait a random time, so that two writers that met once do not meet again."""
    time.sleep(random.uniform(0.1, 1) * max_wait_s * attempt)
