"""Text files as bytes: whether they are whole, their first lines, and the headers of CSV."""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.error_text import reason
from vidagg_dagster.sources.files import InputFile
from vidagg_dagster.sources.packed import PACKING_ERRORS, opened

_CHUNK_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 16 << 20
"""No event is longer. A file of one such line is an array, or no text."""
_MARKED_ENCODINGS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
DELIMITERS: Final = (",", ";", "\t", "|")
_READING_ERRORS: Final = (*PACKING_ERRORS, ValueError)
"""What is raised by unpacking; Arrow's errors, of Zstandard, are value errors."""
_MULTIBYTE: Final = re.compile(
    rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
"""About the characters of UTF-8 beyond ASCII."""
_ACCENTED: Final = rb"(?<![\x80-\xff])[\xc0-\xfe](?![\x80-\xff])"
_LATIN_WORD: Final = re.compile(
    rb"[A-Za-z]{1,20}%b[a-z]{1,20}|%b[a-z]{2,20}|[A-Za-z]{2,20}%b" % ((_ACCENTED,) * 3)
)
"""A word with one letter of Latin-1."""


@dataclass(frozen=True)
class TextCheck:
    """The result of one pass over the bytes of a text file."""

    valid_utf8: bool
    latin: str | None
    """A word that shows that the file is in Latin-1 or Windows-1252."""
    has_marker: bool
    """Whether the marker occurs, or might occur written as an escape."""


def check_text(file: InputFile, marker: bytes) -> TextCheck:
    """Read a text file once: check that it is whole, and whether it is UTF-8 and has `marker`.

    Raises:
        SourceError: The file cannot be read or is cut off.
    """
    text, has_marker, tail = _Utf8(), False, b""
    for chunk in read_chunks(file):
        text.take(chunk)
        if not has_marker:
            joined = tail + chunk
            has_marker = marker in joined or b"\\u00" in joined
            tail = joined[-max(len(marker), 4) :]
    text.take(b"", final=True)
    return TextCheck(text.valid, None if text.multibyte else text.latin, has_marker)


class _Utf8:
    """Whether bytes are UTF-8, and if they are not, what they are rather."""

    def __init__(self) -> None:
        self.valid, self.multibyte = True, False
        self.latin: str | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def take(self, chunk: bytes, *, final: bool = False) -> None:
        """Look at the next bytes."""
        if self.valid:
            try:
                self._decoder.decode(chunk, final)
            except UnicodeDecodeError:
                self.valid = False
            else:
                self.multibyte = self.multibyte or not chunk.isascii()
        if not self.valid and not self.multibyte:
            self.multibyte = _MULTIBYTE.search(chunk) is not None
            found = _LATIN_WORD.search(chunk)
            if found is not None and self.latin is None:
                self.latin = found[0].decode("latin-1")


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
    """The header of a file of plain CSV; None if the file has no line.

    Of comma, semicolon, tab and bar the delimiter is the one that finds most `wanted` columns, in
    any case.
    """
    lines = first_lines(file, 1)
    if not lines:
        return None
    header = None
    best = (-1, -1)
    folded = {name.lower() for name in wanted}
    delimiters = (file.default_delimiter,) if file.default_delimiter else DELIMITERS
    for delimiter in delimiters:
        names = _header_names(file, lines[0], delimiter)
        merit = (len({name.lower() for name in names} & folded), len(names))
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
        SourceError: The file cannot be read, is cut off or has a very long line.
    """
    try:
        with opened(file.path, file.member) as stream:
            line_bytes = 0
            while chunk := stream.read(_CHUNK_BYTES):
                newline = chunk.rfind(b"\n")
                line_bytes = line_bytes + len(chunk) if newline < 0 else len(chunk) - newline - 1
                if line_bytes > MAX_LINE_BYTES:
                    raise SourceError(
                        f"{file.path} has a line of more than {MAX_LINE_BYTES >> 20} MiB. Is it "
                        "one large array? Convert it to JSON lines, one object a line."
                    )
                yield chunk
    except _READING_ERRORS as error:
        raise SourceError(
            f"Cannot read {file.path}: {reason(error)}. Restore the file or take it away."
        ) from error


def encoding_of(head: bytes) -> str | None:
    """The encoding of text that begins so; None for UTF-8 and all that is like it."""
    for mark, encoding in _MARKED_ENCODINGS:
        if head.startswith(mark):
            return encoding
    # Text without a mark: of each pair of bytes one is zero.
    even, odd = head[0:200:2], head[1:200:2]
    if len(odd) > 1 and not any(odd) and all(even):
        return "utf-16-le"
    if len(odd) > 1 and not any(even) and all(odd):
        return "utf-16-be"
    return None


def decoded_chunks(file: InputFile, encoding: str | None) -> Iterator[bytes]:
    """The bytes of a file, unpacked; those of text in another encoding as UTF-8.

    Raises:
        SourceError: The file cannot be read or is cut off.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    try:
        with opened(file.path, file.member) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield decoder.decode(chunk).encode("utf-8", "replace") if decoder else chunk
        if decoder is not None:
            yield decoder.decode(b"", final=True).encode("utf-8", "replace")
    except _READING_ERRORS as error:
        raise SourceError(
            f"Cannot read {file.path}: {reason(error)}. Restore the file or take it away."
        ) from error


def read_head(file: InputFile, size: int) -> bytes:
    """The first bytes of a text file, unpacked; none of a file that cannot be read."""
    try:
        with opened(file.path, file.member) as stream:
            return stream.read(size)
    except _READING_ERRORS:
        # Whoever reads the file says what is wrong with it.
        return b""


def read_whole(file: InputFile, limit: int) -> bytes | None:
    """All bytes of a text file, unpacked; None if there are more than `limit`.

    Raises:
        SourceError: The file cannot be read or is cut off.
    """
    try:
        with opened(file.path, file.member) as stream:
            content = stream.read(limit + 1)
    except _READING_ERRORS as error:
        raise SourceError(
            f"Cannot read {file.path}: {reason(error)}. Restore the file or take it away."
        ) from error
    return content if len(content) <= limit else None


def _line(raw: bytes) -> str:
    line = raw.decode("utf-8", errors="replace").removesuffix("\r").removeprefix("\ufeff")
    return line if line.strip() else ""
