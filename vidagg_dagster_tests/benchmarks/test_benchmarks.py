"""The benchmarks compare like with like: seeded events, equal rows, a page that is current."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as ds
import pytest
from pyspark.sql import SparkSession

from benchmarks.cases import CASES
from benchmarks.contestants import duckdb_sql
from benchmarks.contestants.stages import stages
from benchmarks.generate import Site, generate
from benchmarks.measure import require_same_rows
from benchmarks.measure_one import CONTESTANTS, RUN_TIME
from benchmarks.report import PAGE, load, page
from vidagg_dagster.core.contract import SAIL, SourceSpec
from vidagg_dagster.pipeline.batch import aggregate_files
from vidagg_dagster_tests.conftest import require

SITES = {
    "two days": Site(3_000, days=2),
    "heartbeats": Site(3_000, heartbeats=True),
    "one bot": Site(3_000, bot_share=1.0),
    "one video": Site(3_000, top_video_share=0.9),
}


def events_of(folder: Path) -> ds.Dataset:
    return ds.dataset(folder / "events", format="parquet")


def test_a_seed_gives_the_same_events_and_another_one_gives_others(tmp_path: Path) -> None:
    for name, site in (("a", Site(500)), ("b", Site(500)), ("c", Site(500, seed=2))):
        generate(site, tmp_path / name)
    a, b, c = (events_of(tmp_path / name).to_table() for name in "abc")
    assert a == b
    assert a != c


def rows_of_sql(query: str) -> list[tuple[Any, ...]]:
    relation = duckdb.sql(query)
    assert relation is not None
    return relation.fetchall()


def test_a_site_has_what_makes_events_hard(tmp_path: Path) -> None:
    generate(SITES["two days"], tmp_path)
    source = f"read_parquet('{tmp_path}/events/*.parquet')"
    (found,) = rows_of_sql(
        f"""SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT * FROM {source})),
            count(userId), count(*) FILTER (currentTime < 0), count(DISTINCT "timestamp"::DATE)
            FROM {source}"""
    )
    rows, different, with_user, bad, days = found
    assert rows > 5_900
    assert different < rows
    assert with_user < rows
    assert bad > 0
    assert days == 3, "sessions go on after the last midnight"
    second = f"read_parquet('{tmp_path}/events/events-2024-01-02-*.parquet')"
    late = f"""SELECT count(*) FROM {second} WHERE "timestamp" < '2024-01-02'"""
    assert rows_of_sql(late)[0][0] > 0, "some come a day late"


@pytest.mark.parametrize("site", SITES.values(), ids=SITES.keys())
def test_the_contestants_compute_the_same_rows(
    sail: SparkSession, tmp_path: Path, site: Site
) -> None:
    generate(site, tmp_path)
    events, videos = tmp_path / "events", tmp_path / "videos.parquet"
    result = aggregate_files(
        sail,
        SourceSpec(location=str(events), format="parquet"),
        video_metadata=str(videos),
        run_time=RUN_TIME,
    )
    ours = tmp_path / "ours.parquet"
    ds.write_dataset(result.rows, ours, format="parquet")
    theirs = tmp_path / "theirs.parquet"
    assert duckdb_sql.aggregate(events, videos, RUN_TIME, theirs) == result.rows.num_rows
    require_same_rows([next(ours.glob("*.parquet")), theirs])


def test_rows_that_differ_are_noticed(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2)):
        duckdb.sql(f"COPY (SELECT {value} AS x) TO '{tmp_path}/{name}.parquet'")
    require_same_rows([tmp_path / "a.parquet", tmp_path / "a.parquet"])
    with pytest.raises(RuntimeError, match="1 rows of"):
        require_same_rows([tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_every_case_names_contestants_that_exist() -> None:
    for cases in CASES.values():
        for case in cases:
            assert set(case.contestants) <= set(CONTESTANTS)
            assert set(case.same_rows) <= set(case.contestants)


def test_the_page_is_what_was_measured() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(load()), "run: python -m benchmarks --page-only"


def test_the_time_goes_into_stages(tmp_path: Path) -> None:
    require(SAIL)
    generate(Site(300), tmp_path)
    took = stages(SAIL, tmp_path / "events", tmp_path / "videos.parquet", RUN_TIME)
    assert list(took) == [
        "reading",
        "judging",
        "moving",
        "folding",
        "publishing, writing",
        "sorting",
    ]
    assert all(seconds >= 0 for seconds in took.values())
    assert sum(took.values()) > 0


def test_the_page_names_the_machine_of_each_group() -> None:
    machines = {"daily": {"cores": "2"}, "small": {"cores": "2"}, "large": {"cores": "9"}}
    text = page({"machines": machines, "measurements": {}})
    assert "- `daily`, `small`: cores 2\n- `large`: cores 9\n" in text


def test_stages_are_shares_of_the_processor_s_time() -> None:
    runs = [
        {"extra": {"reading": 1.0, "folding": 3.0}},
        {"extra": {"reading": 2.0, "folding": 3.0}},
    ]
    text = page({"machines": {}, "measurements": {"stages": runs}})
    assert "| reading | 1.5 | 33% |\n| folding | 3.0 | 67% |\n| **together** | **4.5** | |" in text
