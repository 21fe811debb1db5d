"""The files of a source: where they are, what they are called and in which format."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from vidagg_dagster.core.errors import SourceError

FileFormat = Literal["jsonl", "csv", "parquet"]

EXTENSIONS: Final[Mapping[str, FileFormat]] = {
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}

_FILE_FORMATS: Final[Mapping[str, FileFormat]] = {name: name for name in EXTENSIONS.values()}


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

    @property
    def compressed(self) -> bool:
        """Whether it is gzip."""
        return self.path.suffix.lower() == ".gz"

    @property
    def default_delimiter(self) -> str | None:
        """The delimiter of CSV fields, where the extension tells it."""
        return "\t" if ".tsv" in (s.lower() for s in self.path.suffixes[-2:]) else None


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


def is_delta(path: Path) -> bool:
    """Whether `path` is the folder of a Delta table."""
    return (path / "_delta_log").is_dir()


def find_files(path: Path, file_format: FileFormat | None) -> list[InputFile]:
    """All files of a source, sorted by name. Names that begin with `.` or `_` are ignored.

    Args:
        path: A file, or a folder that is searched recursively.
        file_format: The format of all files. None: that of their extensions, which must agree.

    Raises:
        SourceError: Nothing is there, an extension is unknown, formats are mixed, something is no
            regular file, or a link leads out of the folder.
    """
    if path.is_dir():
        found = [
            _input_file(file, file.relative_to(path).as_posix(), file_format)
            for file in _walk(path)
        ]
        found.sort(key=lambda file: file.name)
    elif path.is_file():
        found = [_input_file(path, path.name, file_format)]
    else:
        raise SourceError(
            f"Source not found: there is no file or folder {path}. Correct the location."
        )
    for file in found:
        _require_regular(file.path)
    formats = {file.format: file.name for file in reversed(found)}
    if len(formats) > 1:
        examples = ", ".join(
            f"{found_format} ({name})" for found_format, name in sorted(formats.items())
        )
        raise SourceError(
            f"Mixed formats in {path}: {examples}. Name one of them as the source's format, or "
            "give each its own folder."
        )
    return found


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


def _input_file(path: Path, name: str, file_format: FileFormat | None) -> InputFile:
    if file_format is not None:
        return InputFile(path, name, file_format)
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
