"""Random faults against the tables of an undisturbed run: `make chaos`.

`python -m vidagg_dagster_tests.support.chaos --rounds 20 --seed 1 --minutes 30` makes so many
rounds at most. In each, the source changes, a run of all steps is disturbed, and then what Dagster
would do is done: a run that failed is run again, and so are the days that are told as late. Then
the tables must equal those of one undisturbed run, and `vidagg verify` must find nothing.

A fault is one of: `kill` (SIGKILL at a random moment), `full disk` (a small file system, or files
that may not grow where none can be mounted), `race` (two runs of the same days), `clock` (days
behind or ahead) and `files` (they leave the source and come back while it is read).
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName, StepRequest
from vidagg_dagster.core.schemas import SOURCE_INVENTORY, TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.pipeline.verify import verify
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster_tests.support.late_events import at
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Row, Site, anna, day, event, peter, write_site
from vidagg_dagster_tests.support.stored_rows import rows

DAYS = [day(number) for number in range(3)]
NOW = at(day(4))
MAX_RUN_S = 300
MAX_REPEATS = 4
"""After so many repeated runs nothing may be late any more."""

_RUN = "-m vidagg_dagster_tests.support.chaos --worker"


@dataclass(frozen=True)
class Outcome:
    """What a disturbed run came to. `failed`: its days are to be run again."""

    fault: str
    failed: bool
    said: str = ""


class Chaos:
    """Rounds over copies of one computed site."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._sail = engine_session(SAIL)
        (folder / "base").mkdir(parents=True)
        self.base = write_site(folder / "base", len(DAYS))
        self.run(self.base, DAYS)

    def round(self, number: int) -> Outcome:
        """One round; raises AssertionError where a promise is broken."""
        chance = random.Random(f"{self._seed} {number}")
        fault = list(FAULTS)[number % len(FAULTS)]
        place = self._folder / f"round-{number}"
        with _disk(place, small=fault == "full disk") as folder:
            shutil.copytree(self.base.folder, folder, dirs_exist_ok=True)
            site = Site(folder)
            change_source(site, chance)
            days = sorted(chance.sample(DAYS, chance.randint(1, 2)))
            outcome = FAULTS[fault](site, days, chance)
            self.recover(site, days, outcome)
            self.compare(site, place)
        shutil.rmtree(place, ignore_errors=True)
        return outcome

    def run(self, site: Site, days: Sequence[date]) -> Sequence[date]:
        """All steps, in this process; gives the days that are told to run again."""
        told: Sequence[date] = ()
        for step in StepName:
            result = run_step(self._sail, request(site, step, days))
            broken = [o.rule for o in result.outcomes if not o.passed and o.rule not in _WARNINGS]
            assert not broken, f"{step}: {broken}"
            if result.late is not None:
                told = result.late.follow_up
        return told

    def recover(self, site: Site, days: Sequence[date], outcome: Outcome) -> None:
        """What Dagster does: the failed run again, the next night, and what is late."""
        again = days if outcome.failed else ()
        late = self.run(site, sorted({*again, DAYS[-1]}))
        for _ in range(MAX_REPEATS):
            if not late:
                return
            late = self.run(site, late)
        raise AssertionError(f"still late after {MAX_REPEATS} runs: {late}")

    def compare(self, site: Site, place: Path) -> None:
        """The tables against those of one run over the same source."""
        findings = verify(site.tables)
        assert not findings, "\n".join(finding.line for finding in findings)
        expected = Site(place / "undisturbed")
        expected.folder.mkdir(parents=True)
        shutil.copytree(site.events, expected.events)
        shutil.copy(site.videos, expected.videos)
        self.run(expected, DAYS)
        for table in TABLES.values():
            # The inventory also knows what is gone, and counts how often it was taken.
            if table is not SOURCE_INVENTORY:
                same = rows(self._sail, site, table) == rows(self._sail, expected, table)
                assert same, f"{table.name} differs"


_WARNINGS = ("rejected_share", "duplicate_share", "volume_near_median", "day_not_empty")


def request(site: Site, step: StepName, days: Sequence[date], clock_days: int = 0) -> StepRequest:
    """What an asset would ask for, with a clock that may be wrong."""
    more = {"run_time": NOW + timedelta(days=clock_days), "max_lateness_days": 1000}
    return site.request(step, days).model_copy(update=more)


def change_source(site: Site, chance: random.Random) -> None:
    """Some files are corrected, some are new, one may go."""
    for number in range(chance.randint(1, 3)):
        when = chance.choice(DAYS)
        people: list[Row] = chance.choice([peter(when), anna(when), [*peter(when), *anna(when)]])
        if chance.random() < 0.5:
            site.write_day(when, people)
        else:
            zoe = [
                event(when, "09:00:00", f"zoe{number}", "video_play", 0),
                event(when, f"09:00:{chance.randint(10, 59)}", f"zoe{number}", "video_pause", 9),
            ]
            site.write_day(day(100 + number), zoe)
    if chance.random() < 0.2:
        (site.events / f"{chance.choice(DAYS)}.jsonl").unlink(missing_ok=True)


def killed(site: Site, days: Sequence[date], chance: random.Random) -> Outcome:
    """SIGKILL somewhere between the first read and some time after the last write."""
    worker = start(site, days)
    time.sleep(chance.uniform(0, 1.5) * _usual_s())
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    return Outcome("kill", failed=worker.returncode != 0, said=f"rc {worker.returncode}")


def out_of_space(site: Site, days: Sequence[date], chance: random.Random) -> Outcome:
    """The disk has room for some of the writes only, or no file may grow."""
    filler = site.folder.parent / "filler"
    if site.folder.is_mount() or site.folder.parent.is_mount():
        filler = site.folder / "filler"
        _fill(filler)
        os.truncate(filler, max(0, filler.stat().st_size - chance.randrange(150_000)))
        worker = start(site, days)
    else:
        worker = start(site, days, "--file-bytes", str(chance.randrange(200, 20_000)))
    said = ended(worker)
    filler.unlink(missing_ok=True)
    return Outcome("full disk", failed=worker.returncode != 0, said=said)


def raced(site: Site, days: Sequence[date], chance: random.Random) -> Outcome:
    """Two runs at once, and a correction of the source at some moment."""
    first, second = start(site, days), start(site, days)
    time.sleep(chance.uniform(0, 0.7) * _usual_s())
    change_source(site, chance)
    said = [ended(worker) for worker in (first, second)]
    failed = bool(first.returncode or second.returncode)
    return Outcome("race", failed=failed, said=" / ".join(said))


def wrong_clock(site: Site, days: Sequence[date], chance: random.Random) -> Outcome:
    """The host's clock is days behind or ahead for one run."""
    worker = start(site, days, "--clock-days", str(chance.choice([-400, -10, -3, 2, 30])))
    said = ended(worker)
    assert worker.returncode == 0, said
    return Outcome("clock", failed=False, said=said)


def files_leave(site: Site, days: Sequence[date], chance: random.Random) -> Outcome:
    """A file after the other is moved away and back while the run goes on."""
    worker = start(site, days)
    away = site.folder / "away"
    while worker.poll() is None:
        names = sorted(site.events.glob("*.jsonl"))
        if names:
            chosen = chance.choice(names)
            chosen.rename(away)
            time.sleep(chance.uniform(0.01, 0.4))
            away.rename(chosen)
        time.sleep(chance.uniform(0.01, 0.4))
    said = ended(worker)
    return Outcome("files", failed=worker.returncode != 0, said=said)


FAULTS: dict[str, Callable[[Site, Sequence[date], random.Random], Outcome]] = {
    "kill": killed,
    "full disk": out_of_space,
    "race": raced,
    "clock": wrong_clock,
    "files": files_leave,
}

_lasted: list[float] = []


def _usual_s() -> float:
    """How long undisturbed workers last here, about."""
    return sorted(_lasted)[len(_lasted) // 2] if _lasted else 10.0


def start(site: Site, days: Sequence[date], *options: str) -> "subprocess.Popen[str]":
    """A run of all steps in a process of its own."""
    chosen = [*options, "--site", str(site.folder), *map(str, days)]
    return subprocess.Popen(
        [sys.executable, *_RUN.split(), *chosen],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(worker: "subprocess.Popen[str]") -> str:
    """Wait for a worker; gives the last line that it said, which must be in plain words."""
    started = time.monotonic()
    _, said = worker.communicate(timeout=MAX_RUN_S)
    if worker.returncode == 0:
        _lasted.append(time.monotonic() - started)
        return "succeeded"
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"rc {worker.returncode}"


@contextmanager
def _disk(place: Path, *, small: bool) -> Iterator[Path]:
    """A folder; on a file system of 6 MB where one is wanted and can be mounted."""
    folder = place / "site"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    mounted = small and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 4096)


def work(options: argparse.Namespace) -> None:
    """What a worker does: all steps, where files may not grow beyond a size if one is given."""
    spark: SparkSession = engine_session(SAIL)
    spark.sql("SELECT 1").collect()
    if options.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_bytes, options.file_bytes))
    days = [date.fromisoformat(text) for text in options.days]
    for step in StepName:
        run_step(spark, request(Site(options.site), step, days, options.clock_days))


def main() -> int:
    """Run the rounds, and print what they came to as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30, help="no round begins later")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--site", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--clock-days", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--file-bytes", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("days", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return 0
    return _rounds(options)


def _rounds(options: argparse.Namespace) -> int:
    until = time.monotonic() + 60 * options.minutes
    done: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    broken = 0
    with tempfile.TemporaryDirectory(prefix="vidagg-chaos-") as folder:
        chaos = Chaos(Path(folder), options.seed)
        for number in range(options.first, options.first + options.rounds):
            if time.monotonic() > until:
                break
            try:
                outcome = chaos.round(number)
            except AssertionError as error:
                broken += 1
                print(f"round {number} of seed {options.seed}: BROKEN: {error}", flush=True)
                continue
            done[outcome.fault] += 1
            failed[outcome.fault] += outcome.failed
            print(f"round {number}: {outcome.fault}: {outcome.said}", flush=True)
    print(json.dumps({"rounds": done, "of them failed first": failed, "broken": broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
