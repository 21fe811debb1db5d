"""Text files as bytes: whether they are whole, their first lines, and the headers of CSV."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.error_text import reason
from vidagg_dagster.sources.files import InputFile

_CHUNK_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 16 << 20
"""No event is longer. A file of one such line is an array, or no text."""
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True)
class TextCheck:
    """The result of one pass over the bytes of a text file."""

    valid_utf8: bool
    has_marker: bool
    """Whether the marker occurs, or might occur written as an escape."""


def check_text(file: InputFile, marker: bytes) -> TextCheck:
    """Read a text file once: check that it is whole, and whether it is UTF-8 and has `marker`.

    Raises:
        SourceError: The file cannot be read, is cut off or is UTF-16.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    valid, has_marker, tail = True, False, b""
    for chunk in read_chunks(file):
        if valid:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                valid = False
        if not has_marker:
            joined = tail + chunk
            has_marker = marker in joined or b"\\u00" in joined
            tail = joined[-max(len(marker), 4) :]
    if valid:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            valid = False
    return TextCheck(valid, has_marker)


def first_lines(file: InputFile, limit: int) -> list[str]:
    """The first `limit` lines that are not blank."""
    lines: list[str] = []
    rest: list[bytes] = []
    for chunk in read_chunks(file):
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if others:
            *complete, begun = others
            lines.extend(filter(None, map(_line, [b"".join(rest), *complete])))
            rest = [begun]
        if len(lines) >= limit:
            return lines[:limit]
    lines.extend(filter(None, [_line(b"".join(rest))]))
    return lines[:limit]


def numbered_lines(file: InputFile) -> list[tuple[int, str]]:
    """All lines that are not blank, with their numbers, counted from 1."""
    content = b"".join(read_chunks(file))
    return [
        (at, line) for at, raw in enumerate(content.split(b"\n"), start=1) if (line := _line(raw))
    ]


@dataclass(frozen=True)
class CsvHeader:
    """The first line of a CSV file."""

    line: str
    delimiter: str
    names: tuple[str, ...]


def csv_header(file: InputFile, wanted: Sequence[str]) -> CsvHeader | None:
    """The header of a CSV file; None if the file has no line.

    Of comma, semicolon, tab and bar the delimiter is the one that finds most `wanted` columns.
    """
    lines = first_lines(file, 1)
    if not lines:
        return None
    header = None
    best = (-1, -1)
    delimiters = (file.default_delimiter,) if file.default_delimiter else _DELIMITERS
    for delimiter in delimiters:
        names = _header_names(file, lines[0], delimiter)
        merit = (len(set(names) & set(wanted)), len(names))
        if merit > best:
            best, header = merit, CsvHeader(lines[0], delimiter, names)
    return header


def _header_names(file: InputFile, line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line], delimiter=delimiter)))
    except csv.Error as error:
        raise SourceError(
            f"The first line of {file.path} is no header of CSV: {reason(error)}. Its lines must "
            "end with a line feed, and the first one must name the columns."
        ) from error


def read_chunks(file: InputFile) -> Iterator[bytes]:
    """The bytes of a text file, unpacked.

    Raises:
        SourceError: The file cannot be read, is cut off, is UTF-16 or has a very long line.
    """
    try:
        with _open(file) as stream:
            first = True
            line_bytes = 0
            while chunk := stream.read(_CHUNK_BYTES):
                newline = chunk.rfind(b"\n")
                line_bytes = line_bytes + len(chunk) if newline < 0 else len(chunk) - newline - 1
                if line_bytes > MAX_LINE_BYTES:
                    raise SourceError(
                        f"{file.path} has a line of more than {MAX_LINE_BYTES >> 20} MiB. Is it "
                        "one large array? Convert it to JSON lines, one object a line."
                    )
                if first and chunk.startswith(_UTF16_MARKS):
                    raise SourceError(f"{file.path} is UTF-16 text. Convert it to UTF-8.")
                first = False
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"Cannot read {file.path}: {reason(error)}. Restore the file or take it away."
        ) from error


def read_head(file: InputFile, size: int) -> bytes:
    """The first bytes of a text file, unpacked; none of a file that cannot be read."""
    try:
        with _open(file) as stream:
            return stream.read(size)
    except (OSError, EOFError, zlib.error):
        # Whoever reads the file says what is wrong with it.
        return b""


def read_whole(file: InputFile, limit: int) -> bytes | None:
    """All bytes of a text file, unpacked; None if there are more than `limit`.

    Raises:
        SourceError: The file cannot be read or is cut off.
    """
    try:
        with _open(file) as stream:
            content = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"Cannot read {file.path}: {reason(error)}. Restore the file or take it away."
        ) from error
    return content if len(content) <= limit else None


def _open(file: InputFile) -> io.BufferedIOBase:
    if file.compressed:
        return gzip.open(file.path, "rb")
    return file.path.open("rb")


def _line(raw: bytes) -> str:
    line = raw.decode("utf-8", errors="replace").removesuffix("\r").removeprefix("\ufeff")
    return line if line.strip() else ""
