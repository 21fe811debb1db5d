"""What reads and writes files of object storage, on the S3 of moto's server."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.mentions import Mentions
from vidagg_dagster.tables.disk import usable_root, write_whole_text
from vidagg_dagster.tables.erasure import files_that_mention
from vidagg_dagster.tables.views import connect
from vidagg_dagster_tests.support.object_storage import object_storage


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with object_storage("s3", tmp_path) as bucket:
        yield usable_root(f"{bucket}/tables")


def test_queries_see_the_newest_rows(root: Path) -> None:
    for numbers in ([1, 2], [3]):
        write_deltalake(f"{root}/numbers", pa.table({"n": numbers}), mode="overwrite")
    write_deltalake(f"{root}/empty", pa.table({"n": pa.array([], pa.int64())}))
    with closing(connect(root)) as connection:
        assert connection.sql("SELECT n FROM numbers").fetchall() == [(3,)]
        assert connection.sql("SELECT n FROM empty").fetchall() == []
    with pytest.raises(TableError, match="there are no tables in s3://"):
        connect(root / "nothing")


def test_texts_are_replaced_and_found_wherever_they_are(root: Path) -> None:
    page = root / "a" / ".page.html"
    for text in ("of anna", "of peter"):
        write_whole_text(page, text)
    write_whole_text(root / "b.json", "of peter-2")
    write_deltalake(f"{root}/t", pa.table({"userId": ["peter"]}))
    assert page.read_text(encoding="utf-8") == "of peter"
    parquet = next((root / "t").glob("*.parquet"))
    found = [path for path in files_that_mention(root, Mentions("peter")) if path.suffix != ".json"]
    assert found == [page, parquet]
    with pytest.raises(OSError, match="nowhere"):
        write_whole_text(usable_root("s3://nowhere/page.html"), "x")
