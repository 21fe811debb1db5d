"""So many events a second into a folder, and how long each takes to the page of `vidagg live`.

python -m vidagg_dagster_tests.support.live_rate FOLDER --engine sail --seconds 60 --rate 1000
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from vidagg_dagster.live.page import PAGE

HEARTBEAT_S = 10
"""How often a viewer sends something, so that there are ten times as many viewers as events."""

_AS_OF = re.compile(r"As of (\d\d:\d\d:\d\d)")


@dataclass(frozen=True)
class Measured:
    """Pages that were written, and the longest time from an event to the page, seconds.

    The longest is that of an event which has just missed the page before: the time at which a page
    was written, less the newest event of the page before.
    """

    events: int
    pages: int
    longest_s: tuple[float, ...]

    def share_within(self, seconds: float) -> float:
        return sum(one <= seconds for one in self.longest_s) / max(len(self.longest_s), 1)


def measure(folder: Path, engine: str, *, seconds: int, rate: int, warm_up_s: int = 60) -> Measured:
    """Run `vidagg live` beside the players, and read its page as often as it is written."""
    events, page = folder / "events", folder / "data" / PAGE
    events.mkdir(parents=True)
    (folder / ".env").write_text(f"VIDAGG_SOURCE={events}\nVIDAGG_ENGINE={engine}\n")
    command = [sys.executable, "-m", "vidagg_dagster.cli.main", "live"]
    process = subprocess.Popen(command, cwd=folder, env=os.environ, stdout=subprocess.DEVNULL)
    written: list[tuple[float, datetime]] = []
    began = time.monotonic()
    sent = 0
    try:
        for at, lines in enumerate(_seconds(rate)):
            _deliver(events, at, lines)
            sent += len(lines)
            _look(page, written)
            if time.monotonic() - began > warm_up_s + seconds or process.poll() is not None:
                break
            time.sleep(max(0.0, at + 1 - (time.monotonic() - began)))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    steady = [one for one in written if one[0] > _epoch_after(began, warm_up_s)]
    longest = [when - before.timestamp() for (_, before), (when, _) in pairwise(steady)]
    return Measured(sent, len(written), tuple(round(one, 1) for one in longest))


def _epoch_after(began: float, seconds: int) -> float:
    return time.time() - (time.monotonic() - began) + seconds


def _seconds(rate: int) -> Iterator[list[str]]:
    """The lines of each second: viewers who send a position every ten seconds, for ever."""
    viewers, second = rate * HEARTBEAT_S, 0
    while True:
        now = datetime.now(UTC)
        lines = []
        for number in range(rate):
            viewer = (second * rate + number) % viewers
            turn = second // HEARTBEAT_S
            when = now + timedelta(microseconds=number)
            event = {
                "timestamp": when.isoformat(),
                "userId": f"user-{viewer}",
                "sessionId": f"session-{viewer}",
                "videoId": f"video-{viewer % 50}",
                "eventName": "video_progress" if turn else "video_play",
                "currentTime": turn * HEARTBEAT_S,
            }
            lines.append(json.dumps(event))
        yield lines
        second += 1


def _deliver(folder: Path, number: int, lines: list[str]) -> None:
    draft = folder / f".{number:06d}.draft"
    draft.write_text("\n".join(lines) + "\n")
    draft.rename(folder / f"{number:06d}.jsonl")


def _look(page: Path, written: list[tuple[float, datetime]]) -> None:
    """Note the page, if it was written anew, and its newest event."""
    if not page.exists():
        return
    when = page.stat().st_mtime
    found = _AS_OF.search(page.read_text("utf-8"))
    if found is None or (written and written[-1][0] == when):
        return
    clock = datetime.strptime(found[1], "%H:%M:%S").replace(tzinfo=UTC)
    day = datetime.now(UTC)
    written.append((when, clock.replace(year=day.year, month=day.month, day=day.day)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", default="sail")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=1000)
    options = parser.parse_args()
    result = measure(options.folder, options.engine, seconds=options.seconds, rate=options.rate)
    print(result.events, "events,", result.pages, "pages")
    print("longest, for each page (s):", *result.longest_s)
    print(f"within 15 s: {100 * result.share_within(15):.0f} %")
