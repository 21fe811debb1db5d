"""The files of a source that mention a user. They are named, and never changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.mentions import Mentions
from vidagg_dagster.sources.files import (
    InputFile,
    file_format_of,
    find_files,
    is_delta,
    lies_here,
    local_path,
)
from vidagg_dagster.sources.packed import opened
from vidagg_dagster.sources.staging import staging_in
from vidagg_dagster.spark.mentions import parquet_mentions


@dataclass(frozen=True)
class Mentioning:
    """A file, and how many of its lines (of Parquet: values) mention the user."""

    name: str
    count: int


def files_of_source(spec: SourceSpec) -> list[InputFile] | None:
    """The files to search; None for tables of a catalog and for other file systems.

    Of a Delta table all data files count, those of earlier versions too.

    Raises:
        SourceError: The files cannot be listed.
    """
    path = None if spec.format == "table" else local_path(spec.location.strip())
    if path is None or (spec.format == "auto" and not lies_here(path)):
        return None
    if spec.format == "delta" or is_delta(path):
        return [
            InputFile(file, file.relative_to(path).as_posix(), "parquet")
            for file in sorted(path.rglob("*.parquet"))
        ]
    return find_files(path, file_format_of(spec.format))


def files_that_mention(files: list[InputFile], mentions: Mentions) -> Iterator[Mentioning]:
    """Those of `files` that mention the user.

    Raises:
        SourceError: A file cannot be read.
    """
    for file in files:
        try:
            count = _count(file, mentions)
        except (OSError, ValueError) as error:
            raise SourceError(
                f"Cannot search {file.path}: {error}. Restore the file or take it away."
            ) from error
        if count or mentions.found_in(file.name):
            yield Mentioning(file.name, count)


def _count(file: InputFile, mentions: Mentions) -> int:
    readable = staging_in(None).readable(file)
    if readable.format == "parquet":
        return parquet_mentions(readable.path, mentions)
    with opened(readable.path, None) as lines:
        return sum(
            mentions.found_in(line.decode("utf-8", "replace"))
            for line in lines
            if mentions.may_be_in(line)
        )
