"""One POST of a JSON object, for every channel that takes HTTP: bounded in time and in size.

No error contains the address: addresses of webhooks are secrets, and the texts of HTTP clients
repeat them.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vidagg_dagster.alerts.deadline import within
from vidagg_dagster.core.errors import DeliveryError

DEADLINE_S: Final = 10.0
"""Of one attempt as a whole: a channel that hangs must not hold up the others."""

MAX_ANSWER_BYTES: Final = 64 * 1024
"""So much of an answer is read. No channel has more to say than a line."""

_CLIENT_LOGGER: Final = "urllib3.connectionpool"


@dataclass(frozen=True)
class Answer:
    """What a server said: an HTTP status, and the beginning of the body."""

    status: int
    text: str

    @property
    def accepted(self) -> bool:
        """Whether the status is 2xx. A redirect is none: nobody there has taken the message."""
        return 200 <= self.status < 300


def post_json(url: str, body: Mapping[str, Any]) -> Answer:
    """Post `body`; no redirect is followed.

    Raises:
        DeliveryError: There is no answer within `DEADLINE_S`, or none at all.
    """
    # At level DEBUG the client writes each path into the log.
    logger = logging.getLogger(_CLIENT_LOGGER)
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)
    deadline_s = DEADLINE_S
    try:
        return within(deadline_s, lambda: _post(url, body, deadline_s))
    except DeliveryError:
        raise
    except TimeoutError:
        raise DeliveryError(f"no answer within {deadline_s:g} s") from None
    except Exception as error:
        raise DeliveryError(kind_of(error)) from None


def _post(url: str, body: Mapping[str, Any], deadline_s: float) -> Answer:
    import requests

    ends = time.monotonic() + deadline_s
    with requests.post(
        url, json=body, timeout=deadline_s, allow_redirects=False, stream=True
    ) as response:
        # As it comes: a few bytes may unpack to gigabytes.
        read = bytearray()
        while len(read) < MAX_ANSWER_BYTES:
            if time.monotonic() > ends:
                raise TimeoutError
            piece = response.raw.read1(MAX_ANSWER_BYTES - len(read), decode_content=False)
            if not piece:
                break
            read += piece
        return Answer(response.status_code, read.decode("utf-8", errors="replace"))


def kind_of(error: BaseException) -> str:
    """The class of an error, which is all that may be shown of it."""
    reason = getattr(error, "reason", None)  # HTTP clients wrap the error of the socket
    return type(reason if isinstance(reason, BaseException) else error).__name__
