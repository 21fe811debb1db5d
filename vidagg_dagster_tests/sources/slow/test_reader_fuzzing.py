"""Random text through an engine: every line ends as one row."""

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import EVENT_COLUMNS, SourceSpec
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.metrics.ingestion import classify
from vidagg_dagster.sources.files import InputFile
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.staging import Staging
from vidagg_dagster.sources.text_files import numbered_lines
from vidagg_dagster_tests.support.source_files import HEADER, event, write

PIECES = (
    *('"', '""', '\\"', "\\", ",", ";", "\t", "\n", "\n", "\r\n", "#", " ", "a", "1,5", "{", "}"),
    *("[", "]", ":", "null", HEADER, event(), f"\n{event()}\n", "ü", "\0", "'", "|"),
)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_every_line_is_one_row(sail: SparkSession, tmp_path: Path, name: str, seed: int) -> None:
    chosen = random.Random(seed).choices(PIECES, k=60)
    begin = f"{HEADER}\n" if name == "a.csv" else f"{event()}\n"
    file = InputFile(write(tmp_path / name, begin + "".join(chosen)), name, "jsonl")
    staging = Staging(str(tmp_path / "copies"))
    if name == "a.csv":
        lines = [line for _, line in numbered_lines(staging.plain_csv(file, EVENT_COLUMNS))]
        expected = sum(line != HEADER for line in lines)
    else:
        expected = len(numbered_lines(staging.json_lines(file)))
    source = SourceSpec(location=str(tmp_path / name))
    try:
        rows = classify(
            read_source(sail, source), spec=source, start_date=None, timezone="UTC", run_time=None
        ).collect()
    except SourceError as error:
        pytest.fail(str(error))
    outcomes = [row.outcome for row in rows]
    assert len(rows) == expected
    assert set(outcomes) <= {"accepted", "duplicate", "rejected"}
    assert all(bool(row.reasons) == (row.outcome == "rejected") for row in rows)
