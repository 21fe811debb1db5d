"""Packed files, encodings, Avro, ORC and spreadsheets, folders with strays, patterns of files."""

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from pyarrow import orc
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.mentions import Mentions
from vidagg_dagster.sources.files import find_files
from vidagg_dagster.sources.listing import estimated_rows, list_source
from vidagg_dagster.sources.mentions import Mentioning, files_of_source, files_that_mention
from vidagg_dagster.sources.staging import Staging
from vidagg_dagster_tests.support.source_files import (
    GOOD,
    HEADER,
    event,
    parquet,
    typed,
    values,
    write,
)

ROW = ",".join(str(GOOD[name]) for name in HEADER.split(","))


def zstd(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return bytes(out.getvalue())


def zipped(**members: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def text_of(folder: Path, name: str, content: bytes) -> list[str]:
    """The text of the readable copies of a file, by itself."""
    path = folder / name
    path.write_bytes(content)
    staging = Staging(str(folder / "copies"))
    files = [staging.readable(file) for file in find_files(path, None)]
    whole = [
        gzip.decompress(file.path.read_bytes()) if file.compressed else file.path.read_bytes()
        for file in files
    ]
    return [each.decode() for each in whole]


LINES = f"{event(userId='ü')}\n{event()}\n"

PACKED: dict[str, tuple[str, bytes]] = {
    "gzip": ("a.jsonl.gz", gzip.compress(LINES.encode())),
    "gzip without its extension": ("a.jsonl", gzip.compress(LINES.encode())),
    "bzip2": ("a.jsonl.bz2", bz2.compress(LINES.encode())),
    "Zstandard": ("a.jsonl.ZST", zstd(LINES.encode())),
    "Zstandard twice": ("a.jsonl.zst", zstd(LINES[:9].encode()) + zstd(LINES.encode()[9:])),
    "an archive": ("a.zip", zipped(**{"x/a.jsonl": LINES, "README.md": "", "__X/a.jsonl": ""})),
    "UTF-16 with a mark": ("a.jsonl", LINES.encode("utf-16")),
    "UTF-16 with the other mark": ("a.jsonl", b"\xfe\xff" + LINES.encode("utf-16-be")),
    "UTF-16 without a mark": ("a.jsonl", LINES.encode("utf-16-le")),
    "UTF-32": ("a.jsonl", LINES.encode("utf-32")),
    "packed UTF-16": ("a.jsonl.gz", gzip.compress(LINES.encode("utf-16"))),
    "no extension": ("part-00000", LINES.encode()),
    "no extension but that of gzip": ("part.gz", gzip.compress(LINES.encode())),
}  # fmt: skip


@pytest.mark.parametrize("form", PACKED)
def test_packed_and_encoded_text_is_read(tmp_path: Path, form: str) -> None:
    assert text_of(tmp_path, *PACKED[form]) == [LINES]


def test_text_in_utf_8_is_not_copied(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv", "a.jsonl.gz"):
        (file,) = find_files(write(tmp_path / name, [event()]), None)
        assert Staging().readable(file) is file


def avro(folder: Path) -> Path:
    """Types that JSON has no words for, and a union that begins late."""
    fields = [
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "userId", "type": ["null", "string", "long"]},
        {"name": "sessionId", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "videoId", "type": {"type": "record", "name": "v", "fields": [
            {"name": "id", "type": "string"}]}},
        {"name": "eventName", "type": {"type": "enum", "name": "e", "symbols": ["play", "pause"]}},
        {"name": "currentTime", "type": "double"},
        {"name": "price", "type": {
            "type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 2}},
    ]  # fmt: skip
    row = {
        "timestamp": datetime(2024, 3, 5, 10, 0, 0, 123_456, tzinfo=UTC),
        "sessionId": UUID(int=7),
        "videoId": {"id": "v"},
        "eventName": "pause",
        "currentTime": 1.5,
        "price": Decimal("1.25"),
    }
    path = folder / "a.avro"
    with path.open("wb") as out:
        schema = {"type": "record", "name": "r", "fields": fields}
        fastavro.writer(out, schema, [{**row, "userId": u} for u in (None, "u", 2**60)], "deflate")
    return path


def test_avro_is_read(sail: SparkSession, tmp_path: Path) -> None:
    names = ("timestamp", "userId", "sessionId", "videoId", "eventName", "currentTime")
    found = values(sail, avro(tmp_path), *names, columns={"videoId": "videoId.id"})
    rest = (str(UUID(int=7)), "v", "pause", "1.5")
    assert sorted(found, key=str) == [
        ("2024-03-05T10:00:00.123456+00:00", user, *rest) for user in (str(2**60), "u", None)
    ]


def test_orc_is_read(sail: SparkSession, tmp_path: Path) -> None:
    moments = pa.array([datetime(2024, 3, 5, 10, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC"))
    rows = typed(2, timestamp=moments, userId=["a", None], extra=[[{"k": 1}], None])
    orc.write_table(pa.table(rows), str(tmp_path / "a.orc"))
    (tmp_path / "part-0").write_bytes((tmp_path / "a.orc").read_bytes())
    found = values(sail, tmp_path, "sourceFile", "userId", "typedTimestamp", "typedCurrentTime")
    moment = datetime(2024, 3, 5, 10)
    assert [(*row[:2], row[2].replace(tzinfo=None), row[3]) for row in found] == [
        (name, user, moment, 1.5) for name in ("a.orc", "part-0") for user in ("a", None)
    ]


def xlsx(rows: str) -> bytes:
    """The least that is a workbook: one sheet, and one style, of dates with times."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return zipped(
        **{
            "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r0" '
            f'Type="{rels}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rels}"><sheets>'
            '<sheet name="Events" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" '
            f'Type="{rels}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs><xf numFmtId="0"/>'
            '<xf numFmtId="22"/></cellXfs></styleSheet>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}'
            "</sheetData></worksheet>",
        }
    )


def cells(at: int, *values: str | float) -> str:
    """A row of a sheet, whose first number is a date."""
    row = [
        f'<c r="{column}{at}" t="inlineStr"><is><t>{value}</t></is></c>'
        if isinstance(value, str)
        else f'<c r="{column}{at}" s="{int(column == "A")}"><v>{value}</v></c>'
        for column, value in zip("ABCDEF", values, strict=True)
    ]
    return f'<row r="{at}">{"".join(row)}</row>'


def test_a_spreadsheet_is_read(sail: SparkSession, tmp_path: Path) -> None:
    """Numbers as ids, a date with its time, an empty row."""
    names = ("timestamp", "userId", "sessionId", "videoId", "eventName", "currentTime")
    days = (datetime(2024, 3, 5, 10) - datetime(1899, 12, 30)).total_seconds() / 86400
    rows = (
        cells(2, *names),
        cells(3, days, 17, "s\nx", "v, w", "play", 0),
        cells(5, days + 30.5 / 86400, 17, "s", 2.5, "pause", 30.5),
    )
    (tmp_path / "a.xlsx").write_bytes(xlsx("".join(rows)))
    assert values(sail, tmp_path, *names) == [
        ("2024-03-05 10:00:00", "17", "s x", "v, w", "play", "0"),
        ("2024-03-05 10:00:30.500000", "17", "s", "2.5", "pause", "30.5"),
    ]


DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a.avro": (lambda: b"Obj\x01 no more", "as Avro"),
    "a.orc": (lambda: b"ORC no more", "as Orc"),
    "a.xlsx": (lambda: b"PK\x03\x04 no more", "as Excel"),
    "a.zip": (lambda: b"PK\x03\x04 no more", "as a zip archive"),
    "a.jsonl.zst": (lambda: zstd(LINES.encode())[:-20], "Cannot read"),
    "a.jsonl.bz2": (lambda: bz2.compress(LINES.encode())[:-20], "Cannot read"),
    "cut/a.zip": (lambda: zipped(**{"a.jsonl": LINES})[:-30], "as a zip archive"),
    "twice.zip": (lambda: zipped(**{"a.jsonl.gz": b"x"}), "is packed twice"),
    "odd.zip": (lambda: zipped(**{"a.dat": b"x"}), "Unknown kind of file: a.dat"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_line_that_names_the_file(tmp_path: Path, name: str) -> None:
    make, message = DAMAGED[name]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(make())
    staging = Staging(str(tmp_path / "copies"))
    with pytest.raises(SourceError, match=message) as error:
        _ = [staging.readable(file) for file in find_files(path, None)]
    assert str(path) in str(error.value) or "a.dat" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.jsonl", event(userId="Müller"), "Müller"),
        ("a.csv", f"{HEADER}\n{ROW.replace('u', 'Ärger', 1)}\n", "Ärger"),
    ],
)
def test_latin_1_is_told_and_not_guessed(
    sail: SparkSession, tmp_path: Path, name: str, content: str, word: str
) -> None:
    """With one sign for all letters beyond ASCII, Müller and Mäller would be one user."""
    write(tmp_path / name, content.encode("latin-1"))
    with pytest.raises(SourceError, match=f"{name} is not UTF-8, but Latin-1 .* {word}.*iconv"):
        values(sail, tmp_path, "userId")
    write(tmp_path / name, content)
    assert len(values(sail, tmp_path, "userId")) == 1


def test_what_lies_beside_data_is_no_data(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event()])
    for name in ("README.md", "LICENSE", "Thumbs.db", "manifest.json", "a.jsonl.sha256", "b.tmp"):
        write(tmp_path / name, "{}")
    assert [file.name for file in find_files(tmp_path, None)] == ["a.jsonl"]
    named = find_files(tmp_path / "manifest.json", None)
    assert [file.name for file in named] == ["manifest.json"]


def test_a_pattern_means_all_files_that_it_matches(sail: SparkSession, tmp_path: Path) -> None:
    for name in ("d=1/a.jsonl", "d=2/sub/b.jsonl", "d=2/c.csv", "e/f.jsonl", "d=3/_x.jsonl"):
        write(tmp_path / name, [event(userId=name)])
    pattern = tmp_path / "d=*"
    with pytest.raises(SourceError, match="Mixed formats"):
        find_files(pattern, None)
    (tmp_path / "d=2/c.csv").unlink()
    names = ["d=1/a.jsonl", "d=2/sub/b.jsonl"]
    assert values(sail, pattern, "sourceFile") == names
    assert list(list_source(SourceSpec(location=str(pattern))) or {}) == names
    assert values(sail, tmp_path / "**" / "[a-b].jsonl", "userId") == names
    with pytest.raises(SourceError, match=r"there is no file that matches .*x\*"):
        find_files(tmp_path / "x*", None)
    write(tmp_path / "x[1].jsonl", [event()])
    assert [file.name for file in find_files(tmp_path / "x[1].jsonl", None)] == ["x[1].jsonl"]


def test_the_members_of_an_archive_are_files(sail: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(**{"x.csv": f"{HEADER}\n{ROW}\n", "y/z.tsv": "\t".join(
        HEADER.split(",")) + "\n" + ROW.replace(",", "\t")}))  # fmt: skip
    assert values(sail, tmp_path, "sourceFile", "userId") == [
        ("a.zip/x.csv", "u"),
        ("a.zip/y/z.tsv", "u"),
    ]
    assert values(sail, path, "sourceFile") == ["a.zip/x.csv", "a.zip/y/z.tsv"]
    assert list(list_source(SourceSpec(location=str(path))) or {}) == [
        *("a.zip/x.csv", "a.zip/y/z.tsv")
    ]
    assert estimated_rows(SourceSpec(location=str(path))) == 2 * (len(HEADER) + len(ROW) + 2) // 300
    parquet(tmp_path / "in.parquet", typed())
    assert estimated_rows(SourceSpec(location=str(tmp_path / "in.parquet"))) == 1
    path.write_bytes(zipped(**{"p.parquet": (tmp_path / "in.parquet").read_bytes()}))
    assert values(sail, path, "sourceFile", "userId") == [("a.zip/p.parquet", "u")]


def test_who_searches_for_a_user_finds_it_in_packed_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.zip").write_bytes(zipped(**{"x.jsonl": event(userId="anna"), "y.jsonl": event()}))
    (source / "b.jsonl.zst").write_bytes(zstd(event(userId="anna").encode()))
    (source / "c.jsonl").write_bytes(event(userId="anna").encode("utf-16"))
    files = files_of_source(SourceSpec(location=str(source)))
    assert files is not None
    assert list(files_that_mention(files, Mentions("anna"))) == [
        *(Mentioning(name, 1) for name in ("a.zip/x.jsonl", "b.jsonl.zst", "c.jsonl")),
    ]


def test_columns_may_be_written_in_any_case(sail: SparkSession, tmp_path: Path) -> None:
    upper = {name.upper(): value for name, value in GOOD.items()}
    write(tmp_path / "json" / "a.jsonl", [json.dumps(upper)])
    write(tmp_path / "csv" / "a.csv", [HEADER.lower(), ROW])
    write(tmp_path / "csv" / "b.csv", [HEADER, ROW])
    parquet(tmp_path / "parquet" / "a.parquet", {k.title(): v for k, v in typed().items()})
    for kind, rows in (("json", 1), ("csv", 2), ("parquet", 1)):
        assert values(sail, tmp_path / kind, "userId", "eventId") == [("u", "e")] * rows
    write(tmp_path / "two" / "a.csv", [HEADER.replace("userId", "USERID,UserId"), f"{ROW},x"])
    with pytest.raises(SourceError, match="Missing columns: userId"):
        values(sail, tmp_path / "two", "userId")


def test_decimal_commas_are_read_where_they_can_be_nothing_else(
    sail: SparkSession, tmp_path: Path
) -> None:
    def read(delimiter: str, position: str) -> str:
        row = ROW.replace("1.5", "POSITION").replace(",", delimiter).replace("POSITION", position)
        write(tmp_path / "a.csv", [HEADER.replace(",", delimiter), row])
        (found,) = values(sail, tmp_path, "currentTime")
        return str(found)

    assert [read(";", text) for text in ("12,5", "1,234", "-0,5", "1,2,3")] == [
        *("12.5", "1.234", "-0.5", "1,2,3")
    ]
    assert [read(",", f'"{text}"') for text in ("12,5", "1,234", "0,125", "1,2345")] == [
        *("12.5", "1,234", "0.125", "1.2345")
    ]
