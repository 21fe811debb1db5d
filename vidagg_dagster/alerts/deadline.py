"""Work that may hang, with a deadline over all of it.

A timeout of a socket bounds each read, not the whole answer: a server that sends a byte every few
seconds would be waited for without end, and all other alerts with it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from vidagg_dagster.core.errors import DeliveryError

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or its error.

    Work that takes longer is left behind in a thread, which ends with what it waits for, at the
    latest with the process.

    Raises:
        DeliveryError: It took longer.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    # Not an executor: Python waits for its threads when it ends.
    threading.Thread(target=run, name="vidagg-alert", daemon=True).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError:
        if outcome.done():
            raise  # that of a socket, inside the work
        raise DeliveryError(f"no answer within {seconds:g} s") from None
