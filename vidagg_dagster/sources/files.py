"""The files behind a source: found, checked and, where an engine cannot read one, repaired."""

import csv
import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote, urlsplit

from vidagg_dagster.core.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["jsonl", "csv", "parquet"]

EXTENSIONS: Final[dict[str, Kind]] = {
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}

_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class InputFile:
    """One file of a source."""

    path: Path
    """Where engines read it: the file itself, or a copy that they can read."""
    name: str
    """Its path relative to the source, with `/`. For a source of one file its name."""
    kind: Kind
    staged: bool = False
    """Whether `path` is a stand-in of ours."""

    @property
    def compressed(self) -> bool:
        """Whether it is gzip."""
        return self.path.suffix.lower() == ".gz"

    @property
    def default_delimiter(self) -> str | None:
        """What separates CSV fields, where the extension says it."""
        return "\t" if ".tsv" in (s.lower() for s in self.path.suffixes[-2:]) else None


def local_path(location: str) -> Path | None:
    """The path that `location` means, or None where it is the address of another file system."""
    scheme = urlsplit(location).scheme
    if scheme == "file":
        return Path(unquote(urlsplit(location).path))
    if len(scheme) > 1:  # one letter is a drive
        return None
    return Path(location).expanduser().absolute()


def is_delta(path: Path) -> bool:
    """Whether `path` is the folder of a Delta table."""
    return (path / "_delta_log").is_dir()


def find_files(path: Path, kind: Kind | None) -> list[InputFile]:
    """All files of a source, sorted by name. Names that begin with `.` or `_` are hidden.

    Args:
        path: A file, or a folder that is searched with all its folders.
        kind: What the files are; None tells it from their extensions, which must agree.

    Raises:
        SourceError: Nothing is there, an extension is unknown, or kinds are mixed.
    """
    if path.is_dir():
        found = [_input_file(file, file.relative_to(path).as_posix(), kind) for file in _walk(path)]
        found.sort(key=lambda file: file.name)
    elif path.is_file():
        found = [_input_file(path, path.name, kind)]
    else:
        raise SourceError(
            f"Source not found: there is no file or folder {path}. Correct the location."
        )
    kinds = {file.kind: file.name for file in reversed(found)}
    if len(kinds) > 1:
        examples = ", ".join(f"{kind} ({name})" for kind, name in sorted(kinds.items()))
        raise SourceError(
            f"Mixed formats in {path}: {examples}. Name one of them as the source's format, or "
            "give each its own folder."
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_unreadable):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if root != str(folder) and is_delta(Path(root)):
            raise SourceError(
                f"{root} is a Delta table inside the source folder {folder}, and its files "
                "alone are not its rows. Name it as the source, or move it."
            )
        folders[:] = [name for name in folders if not _hidden(name)]
        yield from (Path(root) / name for name in names if not _hidden(name))


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _unreadable(error: OSError) -> None:
    raise SourceError(f"Cannot list {error.filename}: {error.strerror}. Allow it to be read.")


def _input_file(path: Path, name: str, kind: Kind | None) -> InputFile:
    if kind is not None:
        return InputFile(path, name, kind)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in EXTENSIONS:
        raise SourceError(
            f"Unknown kind of file: {path}. Known are {', '.join(EXTENSIONS)}, each also with .gz. "
            "Rename it, take it out of the folder, or name the source's format."
        )
    if suffixes[-1] == ".parquet" and path.suffix.lower() == ".gz":
        raise SourceError(f"{path}: Parquet inside gzip cannot be read. Unpack it.")
    return InputFile(path, name, EXTENSIONS[suffixes[-1]])


@dataclass(frozen=True)
class TextCheck:
    """What one pass over the bytes of a text file told."""

    valid_utf8: bool
    has_marker: bool
    """Whether the bytes looked for occur (or might, written as an escape)."""


def check_text(file: InputFile, marker: bytes) -> TextCheck:
    """Read a text file once: is it whole, is it UTF-8, does `marker` occur?

    Raises:
        SourceError: The file cannot be read, is cut off or is UTF-16.
    """
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    valid, has_marker, tail = True, False, b""
    for chunk in _chunks(file):
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


def _chunks(file: InputFile) -> Iterator[bytes]:
    try:
        with _open(file) as stream:
            first = True
            while chunk := stream.read(_CHUNK):
                if first and chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise SourceError(f"{file.path} is UTF-16 text. Convert it to UTF-8.")
                first = False
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"Cannot read {file.path}: {_reason(error)}. Restore the file or take it away."
        ) from error


def _open(file: InputFile) -> io.BufferedIOBase:
    if file.compressed:
        return gzip.open(file.path, "rb")
    return file.path.open("rb")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def first_lines(file: InputFile, limit: int) -> list[str]:
    """The first `limit` lines that are not blank."""
    lines: list[str] = []
    rest = b""
    for chunk in _chunks(file):
        *complete, rest = (rest + chunk).split(b"\n")
        lines.extend(filter(None, map(_line, complete)))
        if len(lines) >= limit:
            return lines[:limit]
    lines.extend(filter(None, [_line(rest)]))
    return lines[:limit]


def numbered_lines(file: InputFile) -> list[tuple[int, str]]:
    """All lines that are not blank, with their numbers (from 1)."""
    content = b"".join(_chunks(file))
    return [
        (at, line) for at, raw in enumerate(content.split(b"\n"), start=1) if (line := _line(raw))
    ]


def _line(raw: bytes) -> str:
    line = raw.decode("utf-8", errors="replace").removesuffix("\r").removeprefix("\ufeff")
    return line if line.strip() else ""


@dataclass(frozen=True)
class CsvHeader:
    """The first line of a CSV file."""

    line: str
    delimiter: str
    names: tuple[str, ...]


def csv_header(file: InputFile, wanted: Sequence[str]) -> CsvHeader | None:
    """The header of a CSV file; None if the file has no line.

    The delimiter is that of comma, semicolon, tab and bar which finds most of the `wanted` columns.
    """
    lines = first_lines(file, 1)
    if not lines:
        return None
    header = None
    best = (-1, -1)
    delimiters = [file.default_delimiter] if file.default_delimiter else [",", ";", "\t", "|"]
    for delimiter in delimiters:
        names = tuple(next(csv.reader([lines[0]], delimiter=delimiter)))
        merit = (len(set(names) & set(wanted)), len(names))
        if merit > best:
            best, header = merit, CsvHeader(lines[0], delimiter, names)
    return header


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file and what its footer says."""

    file: InputFile
    schema: "pa.Schema"


def parquet_file(file: InputFile) -> ParquetFile:
    """Read the footer.

    Raises:
        SourceError: The file is damaged, is none, or has names that differ only in case.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file.path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"Cannot read {file.path} as Parquet: {_reason(error)}. Restore the file or take "
            "it away."
        ) from error
    folded: dict[str, str] = {}
    for name in schema.names:
        if name.lower() in folded:
            raise SourceError(
                f"{file.path} has columns {folded[name.lower()]} and {name}, which engines do not "
                "tell apart. Rename one."
            )
        folded[name.lower()] = name
    return ParquetFile(file, schema)


class Staging:
    """Copies for engines of files that they cannot read as they are.

    Kept in a temporary folder until the process ends, since frames are computed late. On a cluster
    its parent must be a folder that all machines see.
    """

    def __init__(self, parent: str | None = None) -> None:
        self._parent = parent
        self._done: dict[tuple[str, int, int, str], Path] = {}

    @cached_property
    def _folder(self) -> "tempfile.TemporaryDirectory[str]":
        if self._parent is not None:
            Path(self._parent).mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="vidagg-", dir=self._parent)

    def linked(self, file: InputFile) -> InputFile:
        """The same file under a name without characters that mean something in a pattern."""
        target = self._target(file, "link", "".join(file.path.suffixes[-2:]))
        if not target.is_symlink():
            target.symlink_to(file.path)
        return replace(file, path=target, staged=True)

    def valid_utf8(self, file: InputFile) -> InputFile:
        """A copy of a text file in which U+FFFD stands for what is no UTF-8."""
        import codecs

        target = self._target(file, "utf8", ".txt")
        if not target.exists():
            decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
            with target.open("w", encoding="utf-8", newline="") as out:
                for chunk in _chunks(file):
                    out.write(decoder.decode(chunk))
                out.write(decoder.decode(b"", final=True))
        return replace(file, path=target, staged=True)

    def plain_parquet(self, parquet: ParquetFile) -> ParquetFile:
        """The file with types that every engine reads: see `plain_schema`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = plain_schema(parquet)
        if schema is None:
            return parquet
        file = parquet.file
        target = self._target(file, "plain", ".parquet")
        if not target.exists():
            try:
                with pq.ParquetFile(file.path) as whole, pq.ParquetWriter(target, schema) as out:
                    for batch in whole.iter_batches():
                        out.write_table(pa.Table.from_batches([batch]).cast(schema, safe=False))
            except (OSError, pa.ArrowException) as error:
                target.unlink(missing_ok=True)
                raise SourceError(
                    f"Cannot read {file.path} as Parquet: {_reason(error)}. Restore the file or "
                    "write it with other types."
                ) from error
        return ParquetFile(replace(file, path=target, staged=True), schema)

    def _target(self, file: InputFile, purpose: str, suffix: str) -> Path:
        state = file.path.stat()
        key = (str(file.path), state.st_mtime_ns, state.st_size, purpose)
        if key not in self._done:
            self._done[key] = Path(self._folder.name) / f"{len(self._done):06d}{suffix}"
        return self._done[key]


@cache
def staging_in(parent: str | None) -> Staging:
    """The copies below a folder; None: below this machine's folder for temporary files."""
    return Staging(parent)


def plain_schema(parquet: ParquetFile) -> "pa.Schema | None":
    """The schema that every engine reads, None if the file has it already.

    Nanoseconds (what pandas writes) are unknown to JVM Spark, dictionaries (its categories) and
    unsigned integers to Sail, and INT96 times are instants to one and wall times to the other.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    physical = pq.ParquetFile(parquet.file.path).schema
    int96 = {
        physical.column(i).path.split(".")[0]
        for i in range(len(physical))
        if physical.column(i).physical_type == "INT96"
    }
    fields = [
        field.with_type(
            pa.timestamp("us", tz="UTC")
            if field.name in int96 and pa.types.is_timestamp(field.type)
            else _plain_type(field.type)
        )
        for field in parquet.schema
    ]
    plain = pa.schema(fields)
    return None if plain.equals(parquet.schema) and not int96 else plain


def _plain_type(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    t = pa.types
    if t.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if t.is_timestamp(kind):
        return kind if kind.unit in ("us", "ms") else pa.timestamp("us", tz=kind.tz)
    if t.is_uint8(kind) or t.is_uint16(kind):
        return pa.int32()
    if t.is_uint32(kind):
        return pa.int64()
    if t.is_uint64(kind):
        return pa.decimal128(20, 0)
    if t.is_float16(kind):
        return pa.float32()
    if t.is_null(kind) or t.is_time(kind) or t.is_duration(kind):
        return pa.string()
    if t.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    if t.is_list(kind) or t.is_large_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(kind.value_type)))
    if t.is_map(kind):
        return pa.map_(_plain_type(kind.key_type), _plain_type(kind.item_type))
    return kind
