"""Every error class of the package. A message says what is wrong, where, and what to do.

The message alone is enough: the command line prints it without a traceback, and Dagster shows it as
the failure of a step. Wrong arguments of a function stay `ValueError`, which pydantic needs too.
"""

from typing import ClassVar


class VidaggError(Exception):
    """A fault that a person can mend."""

    retryable: ClassVar[bool] = False
    """Whether the same step may succeed if it is run again with nothing changed."""


class SettingsError(VidaggError):
    """One or more settings are unknown or impossible; the message names each one."""


class BadInputError(VidaggError):
    """An argument of the command line cannot be used."""


class NothingAcceptedError(VidaggError):
    """There were input rows, and not one of them could be used."""


class CommandFailedError(VidaggError):
    """A command began its work and did not complete it."""


class OutputError(VidaggError):
    """The output cannot be written there."""


class SourceError(VidaggError):
    """A source cannot be read."""


class SourceBusyError(SourceError):
    """The source does not answer now."""

    retryable = True


class TableError(VidaggError):
    """A table cannot be read or written."""


class DamagedTableError(TableError):
    """Files of a table are missing or cut. The message says which run writes them anew."""


class TableConflictError(TableError):
    """Another writer changed the same rows meanwhile. Nothing was written; trying again is safe."""

    retryable = True


class StepError(VidaggError):
    """The request lacks something that the step needs."""


class EngineError(VidaggError):
    """The engine asked for cannot be used."""


class WheelError(VidaggError):
    """The wheel cannot be built, or is not the one of this version."""


class CredentialsError(VidaggError):
    """There are no credentials for Databricks, or they do not work."""


class NotStartedByDagsterError(VidaggError):
    """The task was started without what Dagster passes to it."""


class KqlCheckError(VidaggError):
    """KQL cannot be checked here."""


class ExportError(VidaggError):
    """Rows cannot be sent there."""


class ExportBusyError(ExportError):
    """The place that rows are sent to does not take them now."""

    retryable = True


class DeliveryError(VidaggError):
    """An alert did not get through. The message contains no address and no secret."""


class DayFailedError(VidaggError):
    """The run of a day failed; the message names the day."""
