"""A source whose files come, change and go between runs, against one undisturbed run.

Every day that was ever read ends as that run has it, or is told as late.
"""

import json
import random
import shutil
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName, StepResult
from vidagg_dagster.core.schemas import INGESTION_COUNTS, RAW_EVENTS, REJECTED_EVENTS
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster_tests.support.late_events import at
from vidagg_dagster_tests.support.small_site import Row, Site, day, event, write_site
from vidagg_dagster_tests.support.stored_rows import rows

DAYS = [day(number) for number in range(3)]
FILES = ("a", "b", "c")
TABLES = (RAW_EVENTS, REJECTED_EVENTS, INGESTION_COUNTS)
RULE = "input_reconciles"


def unfold(sail: SparkSession, folder: Path, seed: int, moves: int) -> None:
    """So many random moves, then the runs that are told, then the comparison."""
    chance = random.Random(seed)
    site = empty_site(folder / "site")
    site.events.mkdir()
    for name in FILES:
        put(site, name, chance)
    read: set[date] = set()
    for _ in range(moves):
        if chance.random() < 0.5:
            days = chance.sample(DAYS, chance.randint(1, 2))
            # A clock that is right, behind by days, or ahead.
            now = at(day(4)) + timedelta(days=chance.choice([0, 0, -10, -3, 2]))
            run(sail, site, days, now)
            read.update(days)
        else:
            change(site, chance)
    last = run(sail, site, [DAYS[0]], at(day(4)))
    assert last.late is not None
    late = {found.day for found in last.late.days}
    read.add(DAYS[0])
    expected = empty_site(folder / "undisturbed")
    shutil.copytree(site.events, expected.events)
    run(sail, expected, sorted(read), at(day(4)))
    for when in sorted(read):
        same = all(of_day(sail, site, when, t) == of_day(sail, expected, when, t) for t in TABLES)
        assert same or when in late, f"{when} differs and is not told as late"
    if late:
        again = run(sail, site, sorted(late), at(day(4)))
        assert again.late is not None
        assert not again.late.days, "late after it was read again"
    for table in TABLES:
        assert rows(sail, site, table) == rows(sail, expected, table), table.name


def empty_site(folder: Path) -> Site:
    folder.mkdir()
    return write_site(folder, 0)


def put(site: Site, name: str, chance: random.Random) -> None:
    """A file of random events of some days, the last one possibly far ahead."""
    content: list[Row] = [
        event(chance.choice([*DAYS, day(30)]), f"10:00:{chance.randrange(60):02}", name, "play", n)
        for n in range(chance.randrange(5))
    ]
    # A file of which no line is an event is refused: its format must be another one.
    lines = [json.dumps(row) for row in content] + ["no row"] * (len(content) % 2)
    (site.events / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def change(site: Site, chance: random.Random) -> None:
    """A file comes, is corrected, goes or gets another name."""
    path = site.events / f"{chance.choice(FILES)}.jsonl"
    if not path.exists() or chance.random() < 0.5:
        put(site, path.stem, chance)
    elif chance.random() < 0.5:
        path.unlink()
    else:
        path.rename(path.with_name(f"{chance.choice(FILES)}.jsonl"))


def run(sail: SparkSession, site: Site, days: Sequence[date], now: datetime) -> StepResult:
    request = site.request(StepName.RAW_EVENTS, days)
    more = {"run_time": now, "max_lateness_days": 1000}
    result = run_step(sail, request.model_copy(update=more))
    assert all(outcome.passed for outcome in result.outcomes if outcome.rule == RULE)
    return result


def of_day(sail: SparkSession, site: Site, when: date, table: object) -> list[str]:
    assert table in TABLES
    return [row for row in rows(sail, site, table) if repr(when) in row]
