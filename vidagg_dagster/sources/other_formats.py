"""Avro, ORC and spreadsheets -> files of the kinds that engines read."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.error_text import reason
from vidagg_dagster.sources.files import FileFormat, InputFile
from vidagg_dagster.sources.parquet_files import plain_column, plain_type

EXTRA: Final = "formats"
"""The extra of the package that brings the readers of Avro and spreadsheets."""

CONVERTED: Final[Mapping[FileFormat, FileFormat]] = {
    "avro": "jsonl",
    "orc": "parquet",
    "excel": "csv",
}
"""Format -> that of its copy."""


def convert(file: InputFile, target: Path) -> None:
    """Write a file of another format to `target`, in the format that `CONVERTED` tells.

    Of Avro each record becomes a line of JSON, of a spreadsheet each row of its first sheet a line
    of CSV.

    Raises:
        SourceError: The file is damaged, or its reader is not installed.
    """
    writers: dict[str, Callable[[Path, Path], None]] = {
        "avro": _write_avro,
        "orc": _write_orc,
        "excel": _write_sheet,
    }
    try:
        writers[file.format](file.path, target)
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{file.path} needs a reader that is not installed: pip install "
            f"'vidagg_dagster[{EXTRA}]'."
        ) from error
    # On damaged files the readers raise whatever they stumble over.
    except Exception as error:
        raise SourceError(
            f"Cannot read {file.path} as {file.format.capitalize()}: {reason(error)}. Restore the "
            "file or take it away."
        ) from error


def _write_avro(path: Path, target: Path) -> None:
    import fastavro

    with path.open("rb") as stream, target.open("w", encoding="utf-8") as out:
        for record in fastavro.reader(stream):
            out.write(json.dumps(record, default=_as_text, ensure_ascii=False) + "\n")


def _write_orc(path: Path, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import orc

    whole = orc.ORCFile(path)
    schema = pa.schema([field.with_type(plain_type(field.type)) for field in whole.schema])
    with pq.ParquetWriter(target, schema) as out:
        for at in range(whole.nstripes):
            stripe = whole.read_stripe(at)
            columns = [
                plain_column(column, field.type)
                for column, field in zip(stripe.columns, schema, strict=True)
            ]
            out.write_table(pa.table(columns, schema=schema))


def _write_sheet(path: Path, target: Path) -> None:
    from python_calamine import CalamineWorkbook

    sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows(_filled_rows(sheet.to_python(skip_empty_area=True)))


def _filled_rows(rows: list[list[Any]]) -> Iterator[list[str]]:
    for row in rows:
        texts = [" ".join(_cell(value).splitlines()) for value in row]
        if any(texts):
            yield texts


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        # Spreadsheets know no other numbers, and an id 7 is not 7.0.
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
