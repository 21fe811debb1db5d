"""Which vocabulary a file is in: by how many of its first records each one can read."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vidagg_dagster.core.contract import REQUIRED_COLUMNS, SourceFormat
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.event_mapping import EACH, INNER, REJECT, EventColumn, EventMapping, Place
from vidagg_dagster.core.record_path import Element, Entry, RecordPath, Step, parse_path
from vidagg_dagster.core.vocabulary import ALIASES, IGNORE, RANK_OF
from vidagg_dagster.sources.files import InputFile, file_format_of, find_files, local_path, not_here
from vidagg_dagster.sources.mappings.vocabularies import vocabularies
from vidagg_dagster.sources.parquet_files import parquet_file
from vidagg_dagster.sources.staging import staging_in
from vidagg_dagster.sources.text_files import csv_header, first_lines

Record = Mapping[str, Any]

SAMPLE_ROWS: Final = 1000

OURS: Final = EventMapping(
    name="ours",
    title="our own columns and names",
    columns={name: (Place(paths=(name,)),) for name in REQUIRED_COLUMNS},
)

_IDS: Final[tuple[EventColumn, ...]] = ("userId", "sessionId", "videoId")
_ALWAYS: Final[tuple[EventColumn, ...]] = ("timestamp", "currentTime")


@dataclass(frozen=True)
class Sample:
    """The first rows of a source, as a file of their own and as records."""

    file: Path
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Fit:
    """How a vocabulary fits records."""

    mapping: EventMapping
    usable: int
    """Events that it maps, with a time and a position."""
    other: int
    """Events that it does not know, or that lack something."""

    @property
    def share(self) -> float:
        """The usable part of what it does not ignore."""
        return self.usable / max(1, self.usable + self.other)


def take_sample(location: str, source_format: SourceFormat, folder: Path) -> Sample:
    """The first rows of the first file of a source, copied into `folder`.

    Raises:
        SourceError: There is no file, or it cannot be read.
    """
    path = local_path(location)
    if path is None:
        raise not_here(location)
    files = find_files(path, file_format_of(source_format))
    if not files:
        raise SourceError(f"There is no file in {path}.")
    file = _prepared(files[0])
    target = folder / f"sample.{file.format}"
    if file.format == "parquet":
        return Sample(target, _parquet_sample(file, target))
    lines = first_lines(file, SAMPLE_ROWS + 1)
    target.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    records = _json_records(lines) if file.format == "jsonl" else _csv_records(file, lines)
    return Sample(target, tuple(records))


def _prepared(file: InputFile) -> InputFile:
    """The file as engines read it."""
    staging = staging_in(None)
    file = staging.readable(file)
    if file.format == "jsonl":
        return staging.json_lines(file)
    return staging.plain_csv(file, _names_of_columns()) if file.format == "csv" else file


def fits(records: Sequence[Record]) -> list[Fit]:
    """How all vocabularies fit, the best one first; ours goes before others that fit as well."""
    found = [_fit(mapping, records) for mapping in (OURS, *vocabularies())]
    return sorted(found, key=lambda fit: -fit.usable * fit.share)


def sampled_rows(mapping: EventMapping, records: Sequence[Record]) -> int:
    """How many records stand for more events than one, since the sender has dropped the others."""
    if mapping.sampled is None:
        return 0
    path = parse_path(mapping.sampled)
    counts = [str(find_value(record, path) or "") for record in records]
    return sum(count.isdecimal() and int(count) > 1 for count in counts)


def find_value(record: Any, path: RecordPath) -> Any:
    """The value at a path; None if there is none. As `convert` finds it."""
    value = record
    for step in path:
        value = _inside(value, step)
    return value


def _inside(value: Any, step: Step) -> Any:
    if isinstance(value, str):
        value = _json(value)
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    if isinstance(step, Element):
        return value[step.index] if step.index < len(value) else None
    return _entry(value, step)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _entry(elements: Sequence[Any], entry: Entry) -> Any:
    for element in elements:
        if isinstance(element, dict) and str(element.get(entry.field)) == entry.equals:
            return element.get(entry.take)
    return None


def _fit(mapping: EventMapping, records: Sequence[Record]) -> Fit:
    usable = other = 0
    for event in _events(mapping, records):
        name = _name(mapping, event)
        target = _target(mapping, name)
        if target == IGNORE:
            continue
        needed = _ALWAYS if mapping.fill_down else (*_ALWAYS, *_IDS)
        whole = all(_says(_places(mapping, name, column), event) for column in needed)
        if target in RANK_OF and whole:
            usable += 1
        else:
            other += 1
    return Fit(mapping, usable, other)


def _events(mapping: EventMapping, records: Sequence[Record]) -> Iterator[Record]:
    for record in records:
        for element in _elements(record, mapping.each, mapping.each_form):
            event = {**record, EACH: element}
            for inner in _elements(event, mapping.inner, "array"):
                yield {**event, INNER: inner}


def _elements(record: Record, path: str | None, form: str) -> list[Any]:
    """What is at a path, as `convert` takes it apart; one nothing if there is no array."""
    found = None if path is None else find_value(record, parse_path(path))
    if form == "segments" and isinstance(found, str):
        found = [pair.split("[.]") for pair in found.split("[,]")]
    elif isinstance(found, str):
        found = _json(found)
    return found if isinstance(found, list) else [None]


def _name(mapping: EventMapping, event: Record) -> str:
    """The name of an event, in lower case; empty if it has none.

    A literal, which stands for records without a name, is no name of a record that has our column
    of it: PeerTube's would else make a heartbeat of every event of our own.
    """
    for place in mapping.columns["eventName"]:
        if place.literal and event.get("eventName"):
            return ""
        parts = [find_value(event, path) for path in place.steps]
        told = [str(part) for part in parts if part is not None]
        name = place.literal or place.separator.join(told)
        if name:
            return name.strip().lower()
    return ""


def _target(mapping: EventMapping, name: str) -> str:
    if not mapping.events:
        return ALIASES.get(name, name)
    rule = mapping.rule_of(name)
    return rule.to if rule is not None else REJECT


def _places(mapping: EventMapping, name: str, column: EventColumn) -> Sequence[Place]:
    rule = mapping.exact.get(name)
    return (rule.columns.get(column) if rule else None) or mapping.columns[column]


def _says(places: Sequence[Place], event: Record) -> bool:
    if any(place.literal is not None for place in places):
        return True
    paths = (path for place in places for path in place.steps)
    return any(find_value(event, path) not in (None, "") for path in paths)


def _json_records(lines: Sequence[str]) -> Iterator[Record]:
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def _csv_records(file: InputFile, lines: Sequence[str]) -> list[Record]:
    header = csv_header(file, _names_of_columns())
    if header is None:
        return []
    return list(csv.DictReader(lines, delimiter=header.delimiter))


def _names_of_columns() -> list[str]:
    return [name for mapping in (OURS, *vocabularies()) for name in _first_names(mapping)]


def _first_names(mapping: EventMapping) -> list[str]:
    places = (place for some in mapping.columns.values() for place in some)
    return [str(path[0]) for place in places for path in place.steps]


def _parquet_sample(file: InputFile, target: Path) -> tuple[Record, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = parquet_file(file).schema
    with pq.ParquetFile(file.path) as whole:
        batches = [next(whole.iter_batches(batch_size=SAMPLE_ROWS), None)]
    rows = pa.Table.from_batches([b for b in batches if b is not None], schema)
    pq.write_table(rows, target)
    return tuple(rows.to_pylist())
