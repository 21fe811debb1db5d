"""CSV as other tools write it: what is read of it, without an engine."""

from pathlib import Path

import pytest

from vidagg_dagster.core.contract import EVENT_COLUMNS, REQUIRED_COLUMNS
from vidagg_dagster.sources.csv_dialects import dialect_of, plain_lines
from vidagg_dagster.sources.files import InputFile
from vidagg_dagster_tests.support.source_files import write

NAMES = "timestamp,userId,currentTime"


def plain(path: Path) -> list[str] | None:
    """The plain lines of a file; None if it is plain already."""
    file = InputFile(path, path.name, "csv")
    dialect = dialect_of(file, EVENT_COLUMNS)
    if dialect is None or dialect.plain:
        return None
    return list(plain_lines(file, dialect))


DIALECTS = {
    "a line that tells the delimiter": (f"sep=,\r\n{NAMES}\r\n1,u,2\r\n", [NAMES, "1,u,2"]),
    "another one": ('"sep=^"\ntimestamp^userId^currentTime\n1^a,b^2', [NAMES, '1,"a,b",2']),
    "comments on top": (f"# export\n#\n\n{NAMES}\n1,u,2\n", [NAMES, "1,u,2"]),
    "a header in a comment": (f"# of today\n#{NAMES}\n#1,u,2\n", [NAMES, "#1,u,2"]),
    "a delimiter of Hive": ("timestamp\x01userId\x01currentTime\n1\x01u\x012", [NAMES, "1,u,2"]),
    "carriage returns": (f'{NAMES}\r1,u,2\r3,"a\nb",4\r', [NAMES, "1,u,2", "3,a b,4"]),
    "blanks around": (
        'timestamp , userId, "currentTime"\n 1, "a, b" ,2\n3, c ,4\n5,"d\n',
        [NAMES, '1,"a, b",2', "3,c,4", '5,"d'],
    ),
    "line breaks in fields": (
        f'{NAMES}\n1,"a\r\n\r\nb",2\n3,"x ""y""\n",4\n5,"plain ""q""",6\n',
        [NAMES, "1,a b,2", '3,"x ""y"" ",4', '5,"plain ""q""",6'],
    ),
    "quotes behind a backslash": (
        f'{NAMES}\n1,"{{\\"a\\": 1,\n\\"b\\": \\"c\\\\d\\"}}",2\n3,"c:\\",4\n5,a\\b,6\n',
        [NAMES, '1,"{""a"": 1, ""b"": ""c\\d""}",2', '3,"c:\\",4', "5,a\\b,6"],
    ),
    "JSON in a field": (
        f'{NAMES}\n1,"{{""a"": ""say \\""hi\\""""}}",2\n',
        [NAMES, '1,"{""a"": ""say \\""hi\\""""}",2'],
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_becomes_plain_lines(tmp_path: Path, dialect: str) -> None:
    content, lines = DIALECTS[dialect]
    assert plain(write(tmp_path / "a.csv", content)) == lines


def test_a_quote_without_its_partner_costs_its_own_line(tmp_path: Path) -> None:
    broken = ['1,"u,2', "3,u,4", '5,u,6"', "7,u,8"]
    assert plain(write(tmp_path / "a.csv", [NAMES, *broken])) == [NAMES, *broken]
    long = ['1,"u', *["more"] * 300, '2",3', "4,u,5"]
    assert plain(write(tmp_path / "b.csv", [NAMES, *long])) == [NAMES, *long]
    joined = ['1,"u', "3,4,5", '5",6', "7,u,8"]
    assert plain(write(tmp_path / "c.csv", [NAMES, *joined])) == [
        *(NAMES, '1,"u 3,4,5 5",6', "7,u,8")
    ]


@pytest.mark.parametrize(
    "content",
    [
        *("", "\n\n", NAMES, f"{NAMES}\r\n1,u,2\r\n", f"\ufeff{NAMES}\n1,u,2"),
        f'{NAMES}\n1,"a, ""b""",2\n3,"",4\n5, x ,6\n7,c:\\d\\,8\n#9,u,1\n',
        ";".join(REQUIRED_COLUMNS),
        "timestamp\tuserId\tcurrentTime\n1\tu\t2",
    ],
)
def test_plain_files_are_left_as_they_are(tmp_path: Path, content: str) -> None:
    assert plain(write(tmp_path / "a.csv", content)) is None
