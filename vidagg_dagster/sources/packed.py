"""What files are packed in: gzip, bzip2, Zstandard and zip archives, told by their first bytes."""

import bz2
import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Literal

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.error_text import reason

Packing = Literal["gz", "bz2", "zst"]

PACKED_SUFFIXES: Final[Mapping[str, Packing]] = {".gz": "gz", ".bz2": "bz2", ".zst": "zst"}
ARCHIVE_SUFFIX: Final = ".zip"

_MARKS: Final[Mapping[bytes, Packing]] = {
    b"\x1f\x8b\x08": "gz",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zst",
}

PACKING_ERRORS: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError)
"""What unpacking raises: an encrypted member and an unknown method are runtime errors."""


def packing_of(path: Path) -> Packing | None:
    """What a file is packed in, by its name or else by how it begins."""
    told = PACKED_SUFFIXES.get(path.suffix.lower())
    if told is not None:
        return told
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        # Whoever reads the file says what is wrong with it.
        return None
    return next((packing for mark, packing in _MARKS.items() if head.startswith(mark)), None)


@contextmanager
def opened(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    """The bytes of a file or of a member of an archive, unpacked.

    Errors of unpacking are those of `PACKING_ERRORS`.
    """
    if member is None:
        with _unpacked(path, packing_of(path)) as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        yield stream


def members(path: Path) -> list[str]:
    """The names of the files in an archive.

    Raises:
        SourceError: It is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [info.filename for info in archive.infolist() if not info.is_dir()]
    except PACKING_ERRORS as error:
        raise SourceError(
            f"Cannot read {path} as a zip archive: {reason(error)}. Restore the file or take it "
            "away."
        ) from error


def member_bytes(path: Path, member: str) -> int:
    """The size of a file in an archive, unpacked.

    Raises:
        SourceError: The archive is gone or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.getinfo(member).file_size
    except (*PACKING_ERRORS, KeyError) as error:
        raise SourceError(
            f"Cannot read {path} as a zip archive: {reason(error)}. Restore the file or take it "
            "away."
        ) from error


def _unpacked(path: Path, packing: Packing | None) -> IO[bytes]:
    openers: dict[Packing | None, Callable[..., Any]] = {
        None: open,
        "gz": gzip.open,
        "bz2": bz2.open,
        "zst": _open_zstd,
    }
    stream: IO[bytes] = openers[packing](path, "rb")
    return stream


def _open_zstd(path: Path, _: str) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
