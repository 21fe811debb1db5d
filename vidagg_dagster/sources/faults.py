"""What an engine could not read, by the name of the file: engines say only what is wrong in it."""

import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.errors import SourceError, VidaggError
from vidagg_dagster.sources.error_text import first_line, reason
from vidagg_dagster.sources.files import InputFile
from vidagg_dagster.sources.listing import files_of
from vidagg_dagster.sources.other_formats import CONVERTED
from vidagg_dagster.sources.packed import PACKING_ERRORS, opened
from vidagg_dagster.sources.parquet_files import parquet_rows
from vidagg_dagster.sources.staging import staging_in
from vidagg_dagster.sources.text_files import first_lines

_GZIP: Final = 31
"""The format of gzip, as zlib numbers it."""
_CHUNK_BYTES: Final = 1 << 20
_MAX_LINE: Final = 300
_GONE: Final = ("No such file or directory", "FILE_NOT_EXIST", "does not exist")


@contextmanager
def naming_faults(spec: SourceSpec) -> Iterator[None]:
    """Turn an engine's error about a damaged file of the source into one that names the file.

    Raises:
        SourceError: A file is damaged or gone. Errors about anything else stay what they are.
    """
    try:
        yield
    except VidaggError:
        raise
    # Engines raise PySpark's errors, and some of their own.
    except Exception as error:
        for file in files_of(spec):
            damage = _damage(file)
            if damage is not None:
                raise SourceError(
                    f"Cannot read {file.path}: {damage}. Restore the file or take it away. The "
                    f"engine says: {first_line(error)}"
                ) from error
        if says_gone(error):
            raise SourceError(
                f"A file of the source went away while it was read: {_line_of(error)}. Run the "
                "day again when the files stay in their place."
            ) from error
        raise


def require_without_rows(spec: SourceSpec, names: Collection[str]) -> None:
    """Make sure that files of which an engine counted no row have none: it may have missed them.

    Raises:
        SourceError: A file holds rows, or is gone.
    """
    found = {file.name: file for file in files_of(spec)}
    if not found and spec.location in names:
        return  # a table, and no folder of files
    for name in sorted(names):
        file = found.get(name)
        if file is None or _holds_rows(file):
            raise SourceError(
                f"Cannot read {name} in {spec.location}: {_GONE[0]} while its rows were counted. "
                "Run the day again when the files stay in their place."
            )


def _holds_rows(file: InputFile) -> bool:
    file = staging_in(None).readable(file)
    if file.format == "parquet":
        return bool(parquet_rows(file))
    first, second, *_ = [*first_lines(file, 2), "", ""]
    # Of CSV the first line is the header, and a line equal to it is one too.
    return second not in ("", first) if file.format == "csv" else bool(first)


def _line_of(error: Exception) -> str:
    """The line that says what was not found; engines put traces before and behind it."""
    lines = str(error).splitlines()
    [line, *_] = [line for line in lines if any(words in line for words in _GONE)]
    return line.strip()[-_MAX_LINE:].rstrip(".")


def says_gone(error: Exception) -> bool:
    """Whether an engine did not find a file that was there when it was listed."""
    return any(words in str(error) for words in _GONE)


def _damage(file: InputFile) -> str | None:
    """What is wrong with a file, by reading all of it; None if nothing is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.member is not None or file.format in CONVERTED:
            staging_in(None).readable(file)
        elif file.format == "parquet":
            with pq.ParquetFile(file.path) as whole:
                for _ in whole.iter_batches():
                    pass
        elif file.compressed:
            return _gzip_damage(file)
        else:
            with opened(file.path, None) as stream:
                while stream.read(_CHUNK_BYTES):
                    pass
    except SourceError as error:
        return str(error)
    except (*PACKING_ERRORS, pa.ArrowException) as error:
        return reason(error)
    return None


def _gzip_damage(file: InputFile) -> str | None:
    """Python's own reader passes over zeros behind the end of gzip; engines do not."""
    with file.path.open("rb") as raw:
        member = zlib.decompressobj(wbits=_GZIP)
        while chunk := raw.read(_CHUNK_BYTES):
            while chunk:
                if member.eof:
                    member = zlib.decompressobj(wbits=_GZIP)
                member.decompress(chunk)
                chunk = member.unused_data
    return None if member.eof else "it is cut off"
