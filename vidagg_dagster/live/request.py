"""What live tables are computed with."""

import hashlib
import json
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from vidagg_dagster.core.contract import LIVE_NOTES, SourceSpec, TableStore
from vidagg_dagster.core.days import ONE_DAY
from vidagg_dagster.core.edition import EDITION
from vidagg_dagster.core.errors import SettingsError, StepError
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.sources.listing import list_source
from vidagg_dagster.tables.disk import is_address

DEFAULT_DAYS: Final = 2
DEFAULT_FILES_AT_ONCE: Final = 200


class LiveRequest(BaseModel):
    """The source, the tables and the rules; the same as for the daily run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: SourceSpec
    store: TableStore
    timezone: str
    start_date: date
    parameters: EngagementParameters = EngagementParameters()
    video_metadata: str | None = None
    video_columns: dict[str, str] = Field(default_factory=dict)
    days: int = Field(
        default=DEFAULT_DAYS, ge=1, description="How many days live tables have, today included."
    )
    files_at_once: int = Field(
        default=DEFAULT_FILES_AT_ONCE, ge=1, description="So many files are taken as one batch."
    )
    scratch: str | None = None
    notes: str | None = Field(
        default=None,
        description="Folder of what is remembered of the batches. None: beside the tables.",
    )

    def oldest(self, now: datetime) -> date:
        """The oldest day that has rows. Of the day before it events are kept, as its context."""
        return max(self.start_date, self.today(now) - timedelta(days=self.days - 1))

    def today(self, now: datetime) -> date:
        """The day of an instant."""
        return now.astimezone(ZoneInfo(self.timezone)).date()

    def first_instant(self, now: datetime) -> datetime:
        """From when on events are kept."""
        day = self.oldest(now) - ONE_DAY
        return datetime.combine(day, time(), ZoneInfo(self.timezone))

    @property
    def is_here(self) -> bool:
        """Whether the tables are in a folder of this machine."""
        return self.store.kind == "local" and not is_address(self.store.location)

    @property
    def root(self) -> Path:
        """The folder of the tables.

        Raises:
            StepError: They are not in a folder of this machine.
        """
        if not self.is_here:
            raise StepError(
                f"the tables are in {self.store.location}; live tables are written into a folder "
                "of this machine: set VIDAGG_DATA_ROOT to one"
            )
        return Path(self.store.location)

    @property
    def notes_folder(self) -> Path:
        """The folder of what is remembered of the batches.

        Raises:
            StepError: None is named, and the tables are not in a folder of this machine.
        """
        return self.root / LIVE_NOTES if self.notes is None else Path(self.notes)

    def rules(self) -> str:
        """Changes with all by which rows are computed: edition, parameters, mappings, catalogue."""
        own = self.model_dump_json(exclude={"store", "days", "files_at_once", "scratch", "notes"})
        state = ""
        if self.video_metadata is not None:
            listed = list_source(SourceSpec(location=self.video_metadata))
            state = json.dumps(listed, sort_keys=True)
        return hashlib.sha256(f"{EDITION} {own} {state}".encode()).hexdigest()


def require_no_sequence(source: SourceSpec) -> None:
    """Refuse a vocabulary in which a row says something about the one before it.

    Batches are cut anywhere, and rows on both sides of a cut do not see each other.

    Raises:
        SettingsError: It is such a vocabulary.
    """
    if source.mapping is not None and source.mapping.in_sequence:
        raise SettingsError(
            "VIDAGG_MAPPING: in this vocabulary events follow from their order, which batches of "
            "live events cut. Let the daily run read it, and leave VIDAGG_LIVE off."
        )
