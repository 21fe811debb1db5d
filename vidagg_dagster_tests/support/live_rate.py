"""So many events a second into a folder, and how long each takes to the page of `vidagg live`.

python -m vidagg_dagster_tests.support.live_rate FOLDER --engine sail --seconds 60 --rate 1000 \\
    --history 21600
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from vidagg_dagster.core.contract import LIVE_NOTES
from vidagg_dagster.live.notes import read_notes
from vidagg_dagster.live.page import PAGE

HEARTBEAT_S = 10
"""How often a viewer sends something, so that there are ten times as many viewers as events."""

VISIT_S = 1800
"""How long a viewer stays. Then somebody else comes."""


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


def measure(
    folder: Path,
    engine: str,
    *,
    seconds: int,
    rate: int,
    warm_up_s: int = 60,
    history_s: int = 0,
) -> Measured:
    """Run `vidagg live` beside the players, and read its page as often as it is written.

    The events of `history_s` are there before it starts, and are taken in before time counts.
    """
    events, page = folder / "events", folder / "data" / PAGE
    events.mkdir(parents=True)
    (folder / ".env").write_text(f"VIDAGG_SOURCE={events}\nVIDAGG_ENGINE={engine}\n")
    _write_history(events, rate, history_s)
    command = [sys.executable, "-m", "vidagg_dagster.cli.main", "live"]
    process = subprocess.Popen(command, cwd=folder, env=os.environ, stdout=subprocess.DEVNULL)
    written: list[tuple[float, datetime]] = []
    sent = 0
    try:
        while len(read_notes(folder / "data" / LIVE_NOTES).files) * 60 < history_s:
            assert process.poll() is None, "vidagg live has ended"
            time.sleep(1)
        began = time.monotonic()
        while time.monotonic() - began < warm_up_s + seconds and process.poll() is None:
            at = sent // rate
            _deliver(events, f"{at:06d}", _lines(rate, history_s + at, datetime.now(UTC)))
            sent += rate
            _look(page, written)
            time.sleep(max(0.0, at + 1 - (time.monotonic() - began)))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    steady = [one for one in written if one[0] > _epoch_after(began, warm_up_s)]
    longest = [when - before.timestamp() for (_, before), (when, _) in pairwise(steady)]
    return Measured(sent, len(written), tuple(round(one, 1) for one in longest))


def _write_history(events: Path, rate: int, seconds: int) -> None:
    """Files of a minute each, up to now."""
    end = datetime.now(UTC)
    for minute in range(0, seconds, 60):
        lines: list[str] = []
        for second in range(minute, min(minute + 60, seconds)):
            lines += _lines(rate, second, end - timedelta(seconds=seconds - second))
        _deliver(events, f"history-{minute // 60:06d}", lines)


def _epoch_after(began: float, seconds: int) -> float:
    return time.time() - (time.monotonic() - began) + seconds


def _lines(rate: int, second: int, now: datetime) -> list[str]:
    """The lines of a second: viewers who send a position every ten seconds, for half an hour."""
    viewers, turns = rate * HEARTBEAT_S, VISIT_S // HEARTBEAT_S
    visit, turn = divmod(second // HEARTBEAT_S, turns)
    lines = []
    for number in range(rate):
        viewer = (second * rate + number) % viewers
        event = {
            "timestamp": (now + timedelta(microseconds=number)).isoformat(),
            "userId": f"user-{visit}-{viewer}",
            "sessionId": f"session-{visit}-{viewer}",
            "videoId": f"video-{viewer % 50}",
            "eventName": "video_progress" if turn else "video_play",
            "currentTime": turn * HEARTBEAT_S,
        }
        lines.append(json.dumps(event))
    return lines


def _deliver(folder: Path, name: str, lines: list[str]) -> None:
    draft = folder / f".{name}.draft"
    draft.write_text("\n".join(lines) + "\n")
    draft.rename(folder / f"{name}.jsonl")


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
    parser.add_argument("--history", type=int, default=0, help="seconds of events before")
    options = parser.parse_args()
    result = measure(
        options.folder,
        options.engine,
        seconds=options.seconds,
        rate=options.rate,
        history_s=options.history,
    )
    print(result.events, "events,", result.pages, "pages")
    print("longest, for each page (s):", *result.longest_s)
    print(f"within 15 s: {100 * result.share_within(15):.0f} %")
