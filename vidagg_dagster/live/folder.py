"""New files of a folder, batch by batch: on any engine, by whoever looks from time to time.

The notes say which files a batch has before it is taken in, and that it is afterwards. So a batch
in which the process was killed is taken again with the same files and the same number.
"""

from collections.abc import Iterator
from datetime import datetime

from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.live.batch import Batch, LiveTables, Taken
from vidagg_dagster.live.notes import Notes, read_notes, write_notes
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.sources.files import is_delta, local_path, status_of
from vidagg_dagster.sources.listing import files_of


def recent_files(request: LiveRequest, now: datetime) -> dict[str, str]:
    """The files of the source that may hold events of the days that are kept, by name -> state.

    A file that was last written before those days has none. A folder that is not there has none
    yet.

    Raises:
        SourceError: The source is no folder of files, or cannot be listed.
    """
    path = local_path(request.source.location)
    if path is None or path.is_file() or is_delta(path) or request.source.format == "table":
        raise SourceError(
            f"{request.source.location}: live events are new files in a folder of this machine, or "
            "messages of Kafka (VIDAGG_LIVE_KAFKA_TOPIC). Name a folder, or leave VIDAGG_LIVE off."
        )
    since_ns = int(request.first_instant(now).timestamp()) * 1_000_000_000
    found: dict[str, str] = {}
    for file in files_of(request.source):
        try:
            status = status_of(file.path)
        except FileNotFoundError:
            continue  # it was taken away since it was listed
        if status.st_mtime_ns >= since_ns:
            found[file.name] = f"{status.st_size} bytes, {status.st_mtime_ns} ns"
    return found


def take_new_files(
    spark: SparkSession, request: LiveRequest, now: datetime, live: LiveTables | None = None
) -> Iterator[Taken]:
    """Take in all files that are new or have grown, and say of each batch what became of its rows.

    Args:
        spark: The engine.
        request: The source, the tables and the rules.
        now: Tells which days are kept.
        live: The tables, where they are open already.

    Raises:
        SourceError: The source is no folder of files, or a file cannot be read.
        StepError: The tables are not in a folder of this machine.
    """
    folder = request.notes_folder
    live = live or LiveTables(spark, request)
    notes = by_the_rules(read_notes(folder), live, now)
    while True:
        found = recent_files(request, now)
        known = {name: state for name, state in notes.files.items() if name in found}
        if not notes.begun:
            new = {name: state for name, state in found.items() if known.get(name) != state}
            begun = dict(sorted(new.items())[: request.files_at_once])
            notes = notes.model_copy(update={"files": known, "begun": begun})
            if not begun:
                return
            write_notes(folder, notes)
        there = sorted(name for name in notes.begun if name in found)
        if len(there) < len(notes.begun):
            live.compute_all(now)  # a file is gone whose rows may be kept already
        number = notes.taken + 1
        taken = live.take(Batch(notes.writer, number, there), now)
        # By their states before they were read: what has grown since is taken in again.
        notes = notes.model_copy(
            update={"taken": number, "files": {**known, **notes.begun}, "begun": {}}
        )
        write_notes(folder, notes)
        yield taken


def by_the_rules(notes: Notes, live: LiveTables, now: datetime) -> Notes:
    """The notes of rows that follow the rules of now: they are computed anew where these differ."""
    rules = live.request.rules()
    if notes.rules != rules:
        if notes.rules:
            live.compute_all(now)
        notes = notes.model_copy(update={"rules": rules})
        write_notes(live.request.notes_folder, notes)
    return notes
