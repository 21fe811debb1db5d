"""Where files of a command may lie, told before an engine is started."""

from pathlib import Path

import pytest

from vidagg_dagster.cli.arguments import require_files
from vidagg_dagster.core.errors import BadInputError, SourceError
from vidagg_dagster_tests.support.source_files import event, write


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://bucket/events", "only Delta tables are read"),
        ("abfss://c@a.dfs.core.windows.net/x", "only Delta tables are read"),
        ("https://example.com/e.jsonl", "Download the file"),
    ],
)
def test_an_address_is_told_what_can_be_done(location: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        require_files(location)


def test_an_address_of_a_delta_table_and_files_that_are_here_are_fine(tmp_path: Path) -> None:
    require_files("s3://bucket/events", "delta")
    file = write(tmp_path / "a.jsonl", [event()])
    for location in (str(file), str(tmp_path), f"{tmp_path}/*.jsonl", file.as_uri()):
        require_files(location)
    with pytest.raises(BadInputError, match="no such file or folder"):
        require_files(str(tmp_path / "b.jsonl"))
