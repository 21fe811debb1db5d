"""What is remembered from one batch to the next, in one small file that is replaced as a whole."""

import uuid
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vidagg_dagster.tables.disk import make_private, sync

_FILE: Final = "notes.json"


class Notes(BaseModel):
    """How far the files of the source were taken in.

    Attributes:
        writer: Who numbers the batches. With new notes come a new writer and all files again.
        taken: The number of the last batch that was taken in as a whole.
        files: The files of all batches -> their states then.
        begun: Those of the batch after it, if it was begun.
        rules: By which rules, and with which catalogue, all rows were computed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    writer: str = Field(default_factory=lambda: uuid.uuid4().hex)
    taken: int = 0
    files: dict[str, str] = Field(default_factory=dict)
    begun: dict[str, str] = Field(default_factory=dict)
    rules: str = ""


def read_notes(folder: Path) -> Notes:
    """The notes in a folder; new ones where there are none that can be read."""
    try:
        return Notes.model_validate_json((folder / _FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return Notes()


def write_notes(folder: Path, notes: Notes) -> None:
    """Replace the notes in a folder; a power cut leaves the old or the new ones."""
    make_private(folder)
    draft = folder / f"{_FILE}.draft"
    draft.write_text(notes.model_dump_json(), encoding="utf-8")
    sync(draft)
    draft.replace(folder / _FILE)
    sync(folder)
