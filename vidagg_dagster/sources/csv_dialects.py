"""CSV as other tools write it -> the plain dialect that is read here, in which a line is a row.

What makes the difference: a line `sep=;` or comments above the header, other delimiters, carriage
returns for line feeds, blanks around the delimiters, line breaks in quoted fields (they become
blanks), and quotes behind a backslash. Lines that need no change keep their text. A quote without
its partner costs its own line: lines are joined only where that makes exactly one whole row.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from vidagg_dagster.sources.files import InputFile
from vidagg_dagster.sources.text_files import DELIMITERS, read_chunks, read_head

_HEAD_BYTES: Final = 1 << 16
_MAX_JOINED_LINES: Final = 200
_SEP: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_OTHER_DELIMITERS: Final = ("\x01", "^", "~", "\x1f")
_ESCAPED: Final = re.compile(r'\\(["\\])')
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BEHIND_QUOTES: Final = re.compile(r'("(?:[^"]|"")*")[ \t]+')
_BREAKS: Final = re.compile(r"[\r\n]+")


@dataclass(frozen=True)
class CsvDialect:
    """How a file differs from plain CSV."""

    delimiter: str
    names: tuple[str, ...]
    above: int = 0
    """Lines above the header."""
    commented: bool = False
    """Whether the header itself begins like a comment."""
    loose: bool = False
    """Whether blanks stand around the delimiters."""
    returns: bool = False
    """Whether carriage returns end the lines."""
    joined: bool = False
    """Whether quoted fields may hold line breaks, or quotes behind a backslash."""

    @property
    def plain(self) -> bool:
        """Whether the file can be read as it is."""
        foreign = self.delimiter not in DELIMITERS
        others = (self.commented, self.loose, self.returns, self.joined)
        return not (self.above or foreign or any(others))


def dialect_of(file: InputFile, wanted: Sequence[str]) -> CsvDialect | None:
    """How a file of CSV is written; None if it has no line. The file is read once.

    Raises:
        SourceError: The file cannot be read.
    """
    head = read_head(file, _HEAD_BYTES).decode("utf-8", "replace").removeprefix("\ufeff")
    end = _LINE_END.search(head)
    returns = end is not None and end[0] == "\r"
    lines = head.split("\r" if returns else "\n")
    found = _header(file, lines, wanted)
    if found is None:
        return None
    return replace(found, returns=returns, joined=_has_odd_quotes(file, returns=returns))


def plain_lines(file: InputFile, dialect: CsvDialect) -> Iterator[str]:
    """The lines of a file in the plain dialect."""
    lines = islice(_lines(file, returns=dialect.returns), dialect.above, None)
    rows = _Rows(dialect)
    waiting: deque[str] = deque()
    first = True
    for line in lines:
        waiting.append(line.lstrip("#").strip() if first and dialect.commented else line)
        first = False
        if len(waiting) > _MAX_JOINED_LINES:
            yield rows.take(waiting)
    while waiting:
        yield rows.take(waiting)


@dataclass(frozen=True)
class _Rows:
    dialect: CsvDialect

    def take(self, waiting: deque[str]) -> str:
        """The first row of what is waiting, as one plain line; it waits no longer."""
        line = waiting[0]
        rewritten = self.dialect.loose or self.dialect.delimiter not in DELIMITERS
        broken = self.dialect.returns and "\n" in line
        if broken or line.count('"') % 2 == 1 or '\\"' in line:
            for read in (_as_it_is, _unescaped):
                fields, used = self._joined(waiting, read)
                if fields is None:
                    continue
                for _ in range(used):
                    waiting.popleft()
                same = used == 1 and read is _as_it_is and not (rewritten or broken)
                return line if same else self._written(fields)
        waiting.popleft()
        if not rewritten:
            return line
        fields = self._fields(line)
        return line if fields is None else self._written(fields)

    def _joined(
        self, waiting: deque[str], read: Callable[[str], str]
    ) -> tuple[list[str] | None, int]:
        """The fields of the row that ends where all quotes have partners, and its lines."""
        parts: list[str] = []
        quotes = 0
        for used, line in enumerate(waiting, start=1):
            parts.append(read(line))
            quotes += parts[-1].count('"')
            if quotes % 2 == 0:
                return self._fields("\n".join(parts)), used
        return None, 0

    def _fields(self, text: str) -> list[str] | None:
        """The fields of a row; None if they are not as many as the header's, or wrongly quoted."""
        if self.dialect.loose:
            text = _BEHIND_QUOTES.sub(r"\1", text)
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=self.dialect.delimiter,
            skipinitialspace=self.dialect.loose,
            strict=True,
        )
        try:
            rows = list(reader)
        except csv.Error:
            return None
        if len(rows) != 1 or len(rows[0]) != len(self.dialect.names):
            return None
        return [_BREAKS.sub(" ", field) for field in rows[0]]

    def _written(self, fields: Sequence[str]) -> str:
        if self.dialect.loose:
            fields = [field.strip() for field in fields]
        delimiter = self.dialect.delimiter if self.dialect.delimiter in DELIMITERS else ","
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, lineterminator="").writerow(fields)
        return out.getvalue()


def _as_it_is(text: str) -> str:
    return text


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: '""' if found[1] == '"' else "\\", text)


def _header(file: InputFile, lines: Sequence[str], wanted: Sequence[str]) -> CsvDialect | None:
    """The header, and what stands above it."""
    told: str | None = file.default_delimiter
    for at, line in enumerate(lines):
        text = line.strip()
        separator = _SEP.fullmatch(text)
        if separator is not None:
            told = told or separator[1]
            continue
        if not text:
            continue
        if not text.startswith("#"):
            return _best(text, told, wanted, above=at)
        commented = _best(text.lstrip("#").strip(), told, wanted, above=at)
        if set(commented.names) & set(wanted):
            return replace(commented, commented=True)
    return None


def _best(line: str, told: str | None, wanted: Sequence[str], *, above: int) -> CsvDialect:
    folded = {name.lower() for name in wanted}
    best = (-1, -1)
    found = CsvDialect(told or ",", (line,), above)
    for delimiter in (told,) if told else (*DELIMITERS, *_OTHER_DELIMITERS):
        raw = _names(line, delimiter)
        names = tuple(name.strip() for name in raw)
        merit = (len({name.lower() for name in names} & folded), len(names))
        if merit > best:
            best = merit
            found = CsvDialect(delimiter, names, above, loose=names != raw)
    return found


def _names(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line], delimiter=delimiter)))
    except (csv.Error, StopIteration):
        return (line,)


def _has_odd_quotes(file: InputFile, *, returns: bool) -> bool:
    """Whether a line has a quote without a partner, or one behind a backslash."""
    end = b"\r" if returns else b"\n"
    rest = b""
    for chunk in read_chunks(file):
        if b'"' not in chunk and b'"' not in rest:
            rest = rest + chunk if end not in chunk else chunk.rpartition(end)[2]
            continue
        if b'\\"' in chunk:
            return True
        *whole, rest = (rest + chunk).split(end)
        if any(line.count(b'"') % 2 for line in whole):
            return True
    return rest.count(b'"') % 2 == 1


def _lines(file: InputFile, *, returns: bool) -> Iterator[str]:
    """All lines, with blank ones, without what ends them and without a byte order mark."""
    end = b"\r" if returns else b"\n"
    rest = b""
    first = True
    for chunk in read_chunks(file):
        *whole, rest = (rest + chunk).split(end)
        for raw in whole:
            yield _text(raw, first=first)
            first = False
    if rest:
        yield _text(rest, first=first)


def _text(raw: bytes, *, first: bool) -> str:
    text = raw.decode("utf-8", "replace").removesuffix("\r")
    return text.removeprefix("\ufeff") if first else text
