"""The files of a source: where they are, what they are called and in which format."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.packed import ARCHIVE_SUFFIX, PACKED_SUFFIXES, members
from vidagg_dagster.sources.strays import format_by_content, is_stray

FileFormat = Literal["jsonl", "csv", "parquet", "avro", "orc", "excel"]
"""Engines read the first three; of the others copies are read."""

EXTENSIONS: Final[Mapping[str, FileFormat]] = {
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".avro": "avro",
    ".orc": "orc",
    ".xlsx": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}

_FILE_FORMATS: Final[Mapping[str, FileFormat]] = {name: name for name in EXTENSIONS.values()}
TEXT_FORMATS: Final[frozenset[FileFormat]] = frozenset({"jsonl", "csv"})
_PACKED_NAMES: Final = {".gz": "gzip", ".bz2": "bzip2", ".zst": "Zstandard"}
_PATTERN: Final = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class InputFile:
    """One file of a source."""

    path: Path
    """Where engines read it: the file itself, or a copy that they can read."""
    name: str
    """Its path relative to the source, with `/`. Of a source of one file the file's name."""
    format: FileFormat
    staged: bool = False
    """Whether `path` is our copy or link."""
    member: str | None = None
    """Its name inside `path`, where that is an archive."""

    @property
    def compressed(self) -> bool:
        """Whether it is gzip."""
        return self.path.suffix.lower() == ".gz"

    @property
    def default_delimiter(self) -> str | None:
        """The delimiter of CSV fields, where the extension tells it."""
        suffixes = PurePosixPath(self.name).suffixes[-2:]
        return "\t" if ".tsv" in (s.lower() for s in suffixes) else None


def file_format_of(source_format: str) -> FileFormat | None:
    """The format of all files of a source; None where their extensions tell it."""
    return _FILE_FORMATS.get(source_format)


def local_path(location: str) -> Path | None:
    """The path that `location` means; None for an address of another file system."""
    scheme = urlsplit(location).scheme
    if scheme == "file":
        return Path(unquote(urlsplit(location).path))
    if len(scheme) > 1:  # A single letter is a drive.
        return None
    return Path(location).expanduser().absolute()


def not_here(location: str) -> SourceError:
    """Why files at an address are not read, and what to do."""
    if urlsplit(location).scheme in ("http", "https"):
        return SourceError(f"{location} is the address of a page. Download the file and name that.")
    return SourceError(
        f"{location} is an address of another file system, from which only Delta tables are "
        "read (format delta). Mount it, copy the files, or register them as a table."
    )


def is_pattern(path: Path) -> bool:
    """Whether a path means all files that it matches, such as `events/2024-*/*.jsonl`."""
    return not path.exists() and _PATTERN.search(str(path)) is not None


def lies_here(path: Path) -> bool:
    """Whether a path means files: it exists, or is a pattern."""
    return path.exists() or is_pattern(path)


def root_of(path: Path) -> Path:
    """The folder that the names of a source's files are relative to."""
    if is_pattern(path):
        return next(folder for folder in path.parents if not _PATTERN.search(str(folder)))
    return path if path.is_dir() else path.parent


def is_delta(path: Path) -> bool:
    """Whether `path` is the folder of a Delta table."""
    return (path / "_delta_log").is_dir()


def find_files(path: Path, file_format: FileFormat | None) -> list[InputFile]:
    """All files of a source, sorted by name. Names that begin with `.` or `_` are ignored.

    So are files that lie beside data and are none, in a folder: see `strays`. Of an archive its
    members are the files.

    Args:
        path: A file, a folder that is searched recursively, or a pattern of files.
        file_format: The format of all files. None: that of their extensions, which must agree.

    Raises:
        SourceError: Nothing is there, an extension is unknown, formats are mixed, something is no
            regular file, or a link leads out of the folder.
    """
    root = root_of(path)
    if path.is_dir():
        paths = [file for file in _walk(path) if not is_stray(file.name)]
    elif path.is_file():
        paths = [path]
    else:
        paths = [file for file in _matching(root, path) if not is_stray(file.name)]
    if not paths and not path.is_dir():
        what = "file that matches" if is_pattern(path) else "file or folder"
        raise SourceError(f"Source not found: there is no {what} {path}. Correct the location.")
    for file in paths:
        _require_regular(file)
    found = [
        each
        for file in paths
        for each in _input_files(file, file.relative_to(root).as_posix(), file_format)
    ]
    found.sort(key=lambda file: file.name)
    _require_one_format(path, found)
    return found


def _require_one_format(path: Path, found: list[InputFile]) -> None:
    formats = {file.format: file.name for file in reversed(found)}
    if len(formats) > 1:
        examples = ", ".join(
            f"{found_format} ({name})" for found_format, name in sorted(formats.items())
        )
        raise SourceError(
            f"Mixed formats in {path}: {examples}. Name one of them as the source's format, or "
            "give each its own folder."
        )


def _matching(root: Path, path: Path) -> Iterator[Path]:
    """The files that a pattern matches, and those inside the folders that it matches."""
    if not is_pattern(path):
        return
    seen: set[Path] = set()
    for match in root.glob(path.relative_to(root).as_posix()):
        inside = _walk(match) if match.is_dir() else [match]
        for file in inside:
            if any(map(_hidden, file.relative_to(root).parts)) or file in seen:
                continue
            _require_inside(os.path.realpath(root), file, os.path.realpath(file))
            seen.add(file)
            yield file


def status_of(path: Path) -> os.stat_result:
    """Size and time of change of a file.

    Raises:
        SourceError: It is gone, or may not be looked at.
    """
    try:
        return path.stat()
    except OSError as error:
        raise SourceError(
            f"Cannot read {path}: {error.strerror}. Restore the file or take it away."
        ) from error


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    own = os.path.realpath(folder)
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_unreadable):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        _require_inside(own, Path(root), real)
        if root != str(folder) and is_delta(Path(root)):
            raise SourceError(
                f"{root} is a Delta table inside the source folder {folder}, and its files "
                "alone are not its rows. Name it as the source, or move it."
            )
        folders[:] = [name for name in folders if not _hidden(name)]
        for path in (Path(root) / name for name in names if not _hidden(name)):
            if path.is_symlink():
                _require_inside(own, path, os.path.realpath(path))
            yield path


def _require_inside(folder: str, path: Path, real: str) -> None:
    """Refuse links out of the source: whoever may drop files could have any file read."""
    if real != folder and not real.startswith(folder.rstrip("/") + "/"):
        raise SourceError(
            f"{path} leads out of the source folder, to {real}. Put the file itself there, or name "
            "its folder as the source."
        )


def _require_regular(path: Path) -> None:
    """Refuse pipes and devices, whose reading never ends. What is gone is told when it is read."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise SourceError(f"{path} is no regular file, but a pipe, socket or device. Remove it.")


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _unreadable(error: OSError) -> None:
    raise SourceError(f"Cannot list {error.filename}: {error.strerror}. Allow it to be read.")


def _input_files(path: Path, name: str, file_format: FileFormat | None) -> Iterator[InputFile]:
    if path.suffix.lower() != ARCHIVE_SUFFIX:
        yield InputFile(path, name, file_format or _format_of(path, PurePosixPath(name)))
        return
    for member in members(path):
        inside = PurePosixPath(member)
        if any(map(_hidden, inside.parts)) or is_stray(inside.name):
            continue
        kind = file_format or _format_of(None, inside)
        if inside.suffix.lower() in PACKED_SUFFIXES:
            raise SourceError(f"{path}: {member} is packed twice. Unpack the archive.")
        yield InputFile(path, f"{name}/{member}", kind, member=member)


def _format_of(path: Path | None, name: PurePosixPath) -> FileFormat:
    """The format of a file by its name, or else by what is in it."""
    suffixes = [suffix.lower() for suffix in name.suffixes]
    packed = suffixes[-1:] and suffixes[-1] in PACKED_SUFFIXES
    if packed:
        suffixes.pop()
    kind = EXTENSIONS.get(suffixes[-1]) if suffixes else None
    if kind is None and path is not None and not suffixes:
        kind = _FILE_FORMATS.get(format_by_content(path) or "")
    if kind is None:
        raise SourceError(
            f"Unknown kind of file: {path or name}. Known are {', '.join(EXTENSIONS)}, each also "
            f"with {', '.join(PACKED_SUFFIXES)} or inside {ARCHIVE_SUFFIX}. Rename it, take it out "
            "of the folder, or name the source's format."
        )
    if packed and kind not in TEXT_FORMATS:
        what, inside = kind.capitalize(), _PACKED_NAMES[name.suffix.lower()]
        raise SourceError(f"{path or name}: {what} inside {inside} cannot be read. Unpack it.")
    return kind
