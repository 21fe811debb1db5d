"""CSV: every line is one row, on every engine."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
)
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster_tests.support.source_files import HEADER, read, values, write


def test_csv_fields_keep_their_text_and_wrong_rows_are_malformed(
    spark: SparkSession, tmp_path: Path
) -> None:
    good = {
        "t,u,s,v,e,1,2,0.5,i": ("u", "1", "2", "0.5", "i"),
        't,"u","s",v,e,"1",,,': ("u", "1", "", "", ""),
        't,"a,b",s,v,e,1.50,,,': ("a,b", "1.50", "", "", ""),
        't,"a ""b"" c",s,v,e,1,,,"x"': ('a "b" c', "1", "", "", "x"),
        't,"""",s,v,e,1,,,""': ('"', "1", "", "", ""),
        't,",""",s,v,e,1,,,': (',"', "1", "", "", ""),
        't,"""u",s,v,e,1,,,': ('"u', "1", "", "", ""),
        "t, u ,s,v,e,1,,,": (" u ", "1", "", "", ""),
        "t,\u00e4\U0001f600\u2028,s,v,e,1,,,": ("\u00e4\U0001f600\u2028", "1", "", "", ""),
        "t,a\\nb\\,s,v,e,1,,,": ("a\\nb\\", "1", "", "", ""),
        "t,it's,s,v,e,NaN,,,": ("it's", "NaN", "", "", ""),
        ",,,,,,,,": ("", "", "", "", ""),
        "t;x,u,s,v,e,1,,,": ("u", "1", "", "", ""),
    }
    bad = [
        *("t,u,s,v,e,1,2,3", "t,u,s,v,e,1,2,,i,extra", "x", "t,u,s,v,e,1,2,,i,"),
        *('t,u",s,v,e,1,2,,i', 't,"u,s,v,e,1,2,,i', 't,a"b,s,v,e,1,2,,i', 't,"a"b,s,v,e,1,2,,i'),
        *('t, "u",s,v,e,1,2,,i', 't,"a"b"c",s,v,e,1,2,,i', 't,"""u,s,v,e,1,2,,i', '"', '"x'),
        't,"u" ,s,v,e,1,2,,i',
    ]
    write(tmp_path / "a.csv", [HEADER, *good, "", *bad])
    rows = read(spark, tmp_path).collect()
    found = {row.payload: row for row in rows}
    assert len(rows) == len(found)
    assert {p: row.malformed for p, row in found.items()} == {
        **dict.fromkeys(good, False),
        **dict.fromkeys(bad, True),
    }
    assert {
        payload: tuple(found[payload][c] for c in ("userId", "currentTime", *OPTIONAL_COLUMNS))
        for payload in good
    } == good
    assert all(found[payload].userId is None for payload in bad)


def test_a_line_break_in_a_quoted_csv_field_is_a_blank_and_no_row_is_lost(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", f'{HEADER}\nt,"u\nv",s,v,e,1,,,\nt,u,s,v,e,1,,,\nt,"w\n,x,y\n')
    assert values(spark, tmp_path, "malformed", "userId", "payload") == [
        (False, "u v", "t,u v,s,v,e,1,,,"),
        (False, "u", "t,u,s,v,e,1,,,"),
        (True, None, ",x,y"),
        (True, None, 't,"w'),
    ]


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|"), ("a.tsv", "\t")],
)
def test_the_csv_delimiter_is_found_by_the_header(
    spark: SparkSession, tmp_path: Path, name: str, delimiter: str
) -> None:
    row = ["t", f'"x{delimiter}y"', "s", "v", "e", "1,5", "", "", ""]
    if delimiter == ",":
        row[5] = '"1,5"'
    header = delimiter.join(['"the user"' if c == "userId" else c for c in EVENT_COLUMNS])
    write(tmp_path / name, "\ufeff" + header + "\r\n" + delimiter.join(row) + "\r\n")
    found = values(
        spark, tmp_path, "userId", "currentTime", "malformed", columns={"userId": "the user"}
    )
    assert found == [(f"x{delimiter}y", "1.5", False)]


def test_csv_files_of_one_folder_may_order_their_columns_differently(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", [HEADER, "t,u1,s,v,e,1,,,"])
    write(tmp_path / "b.csv", ["extra;" + ";".join(reversed(REQUIRED_COLUMNS)), "x;2;e;v;s;u2;t"])
    write(tmp_path / "c.csv.gz", [HEADER, "t,u3,s,v,e,3,,,", HEADER, "t,u4,s,v,e,4,,,"])
    write(tmp_path / "empty.csv", "")
    write(tmp_path / "header.csv", [HEADER])
    assert values(spark, tmp_path, "userId", "currentTime", "malformed") == [
        (f"u{n}", str(n), False) for n in range(1, 5)
    ]


def test_a_csv_header_that_names_a_column_twice_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", [HEADER + ",userId", "t,u,s,v,e,1,,,,w"])
    with pytest.raises(SourceError, match=f"header of {path} has the column userId 2 times"):
        read(spark, tmp_path)
