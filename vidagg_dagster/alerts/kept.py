"""The outbox between the ends of ticks, in Dagster's own storage.

Dagster stores a sensor's cursor when a tick has ended. A tick that is killed after its deliveries
would deliver all of them once more.
"""

import dagster as dg

from vidagg_dagster.alerts.outbox import Outbox


class Keeper:
    """Keeps the states of one outbox, each as the newest one."""

    def __init__(self, instance: dg.DagsterInstance, outbox: Outbox) -> None:
        self._instance = instance
        self._saves = outbox.saves

    def save(self, outbox: Outbox) -> str:
        """Keep this state; returns it as JSON, for the cursor."""
        self._saves += 1
        text = outbox.model_copy(update={"saves": self._saves}).model_dump_json()
        self._instance.daemon_cursor_storage.set_cursor_values({_key(outbox): text})
        return text


def newest(instance: dg.DagsterInstance, cursor: str) -> Outbox:
    """The outbox of the cursor, or a later state of it that a killed tick has left.

    Raises:
        ValidationError: The cursor is of another version.
    """
    outbox = Outbox.model_validate_json(cursor)
    key = _key(outbox)
    text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    later = None if text is None else Outbox.model_validate_json(text)
    return outbox if later is None or later.saves <= outbox.saves else later


def _key(outbox: Outbox) -> str:
    return f"vidagg/alerts/{outbox.outbox_id}"
