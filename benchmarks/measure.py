"""Run contestants in turn, each in its own process: time, peak memory and equal rows."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil

from benchmarks.generate import Site, generate

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Case:
    """Contestants on one site. The others are compared with the first one.

    Attributes:
        name: Its name in the report.
        site: The events.
        contestants: Names of `measure_one.CONTESTANTS`.
        same_rows: The contestants whose rows must be equal.
        repeat: Number of rounds.
    """

    name: str
    site: Site
    contestants: tuple[str, ...]
    same_rows: tuple[str, ...] = ()
    repeat: int = 3


@dataclass(frozen=True)
class Measurement:
    """One run of a contestant. `peak_mb` is the resident memory of all its processes at once.

    `extra` has the seconds of further work after the measured one, by the name of the work.
    """

    case: str
    contestant: str
    seconds: float
    start_seconds: float
    peak_mb: int
    rows: int
    extra: dict[str, float]


def measure(
    cases: Sequence[Case], folder: Path, *, repeat: int | None = None
) -> Iterator[Measurement]:
    """Run every round of every case, contestants in turn.

    Raises:
        RuntimeError: A contestant failed, or its rows differ.
    """
    for case in cases:
        site = folder / _site_name(case.site)
        if not (site / "videos.parquet").exists():
            shutil.rmtree(site, ignore_errors=True)
            generate(case.site, site)
        for number in range(repeat or case.repeat):
            with tempfile.TemporaryDirectory(dir=folder) as made:
                outputs = {}
                for at, name in enumerate(case.contestants):
                    outputs[name] = Path(made, str(at), "rows.parquet")
                    outputs[name].parent.mkdir()
                    yield _run(case.name, name, site, outputs[name])
                if number == 0 and case.same_rows:
                    require_same_rows([outputs[name] for name in case.same_rows])


def _site_name(site: Site) -> str:
    return "-".join(f"{name}_{value}" for name, value in asdict(site).items() if value)


def _run(case: str, name: str, site: Path, output: Path) -> Measurement:
    command = [sys.executable, "-m", "benchmarks.measure_one", name, str(site), str(output)]
    log = output.parent / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            # Not the repository, whose `.env` would win over what a contestant sets.
            cwd=output.parent,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        peak = _peak_bytes(process)
        output_text = process.stdout.read().decode() if process.stdout else ""
    if process.returncode != 0:
        raise RuntimeError(f"{name} failed on {site}: {log.read_text(errors='replace')[-2000:]}")
    found: dict[str, Any] = json.loads(output_text.strip().splitlines()[-1])
    known = ("seconds", "start_seconds", "rows")
    return Measurement(
        case=case,
        contestant=name,
        seconds=round(found["seconds"], 2),
        start_seconds=round(found["start_seconds"], 2),
        peak_mb=peak >> 20,
        rows=found["rows"],
        extra={key: round(value, 2) for key, value in found.items() if key not in known},
    )


def _peak_bytes(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a process; returns the peak memory of it and its children."""
    peak = 0
    family = psutil.Process(process.pid)
    while process.poll() is None:
        total = 0
        try:
            for member in (family, *family.children(recursive=True)):
                try:
                    total += member.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            break
        peak = max(peak, total)
        time.sleep(0.2)
    process.wait()
    return peak


def require_same_rows(outputs: Sequence[Path]) -> None:
    """Check that Parquet files have equal rows, in any order.

    Raises:
        RuntimeError: They differ.
    """
    with duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{outputs[0].parent}/compare'")
        connection.execute("SET memory_limit = '8GB'")
        for other in outputs[1:]:
            pair = [f"read_parquet('{path}')" for path in (outputs[0], other)]
            columns = [row[0] for row in connection.execute(f"DESCRIBE FROM {pair[1]}").fetchall()]
            # Every run has its own time.
            listed = ", ".join(f'"{name}"' for name in columns if name != "processedAt")
            digests = {
                connection.execute(
                    f"SELECT count(*), sum(hash({listed})::HUGEINT) FROM {one}"
                ).fetchall()[0]
                for one in pair
            }
            if len(digests) == 1:
                continue
            # Equal numbers of different types have different hashes, so only this decides.
            for one, two in (pair, pair[::-1]):
                query = (
                    f"SELECT count(*) FROM (SELECT {listed} FROM {one} "
                    f"EXCEPT ALL SELECT {listed} FROM {two})"
                )
                differing = connection.execute(query).fetchall()[0][0]
                if differing:
                    raise RuntimeError(f"{differing} rows of {one} are not in {two}")
