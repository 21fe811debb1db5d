"""Record real player sessions: drive headless browsers over a `<video controls>` element.

    python -m recordings.record                    # all sessions in both browsers
    python -m recordings.record --browsers Firefox --only drag_slow --out FOLDER

Writes sessions.jsonl, truth.jsonl and videos.jsonl (see README.md).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from recordings.browser import Browser
from recordings.chromium import chromium
from recordings.clips import CLIPS, make_clip
from recordings.files import FOLDER, Json, write
from recordings.firefox import firefox
from recordings.person import Person, Scenario, player_url
from recordings.scenarios import SCENARIOS
from recordings.server import Log, serve

USERS = ("viewer_a", "viewer_b", "viewer_c", "viewer_d", "viewer_e")

BROWSERS: dict[str, tuple[Callable[[str], AbstractContextManager[Browser]], str]] = {
    "Chromium": (chromium, "/usr/bin/chromium"),
    "Firefox": (firefox, "/usr/bin/firefox-esr"),
}
"""How each is started, and where Debian puts it."""

ATTEMPTS = 2
"""A browser that is busy may miss a click."""


@contextmanager
def studio(name: str, log: Log) -> Iterator[tuple[Browser, str]]:
    """A running browser, and the address of the page."""
    start, binary = BROWSERS[name]
    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        for clip in CLIPS:
            make_clip(clip, Path(folder))
        with serve(Path(folder), log) as base, start(binary) as browser:
            for clip in CLIPS:
                browser.learn(player_url(base, "", "trial", clip.video_id, {}), clip.video_id)
            log.drop("trial")
            yield browser, base


def record(name: str, chosen: list[Scenario], log: Log) -> Iterator[Json]:
    """Acts out the scenarios in one browser. Yields the truth of each."""
    with studio(name, log) as (browser, base):
        for number, scenario in enumerate(SCENARIOS):
            if scenario not in chosen:
                continue
            user = USERS[number % len(USERS)]
            session = f"{name[0].lower()}{number + 1:02d}_{scenario.name}"
            for attempt in range(ATTEMPTS):
                person = Person(browser, base, log, scenario, user, session)
                began, fault = time.monotonic(), attempt_of(person)
                print(f"{session:36} {time.monotonic() - began:6.1f} s {fault}", flush=True)
                if not fault:
                    yield from person.truth
                    break
                log.drop(session)
                if attempt + 1 == ATTEMPTS:
                    raise RuntimeError(f"{session}: {fault}")


def attempt_of(person: Person) -> str:
    """Acts out a scenario; what went wrong, or nothing."""
    try:
        person.scenario.act(person)
    except (TimeoutError, RuntimeError, LookupError) as error:
        return f"again, because of {error!r}"
    finally:
        person.finish()
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description="Record player sessions in headless browsers.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument("--browsers", nargs="*", choices=BROWSERS, default=list(BROWSERS))
    parser.add_argument("--only", nargs="*", default=[], help="names of scenarios")
    args = parser.parse_args()

    chosen = [s for s in SCENARIOS if not args.only or s.name in args.only]
    log = Log()
    truth = [row for name in args.browsers for row in record(name, chosen, log)]

    args.out.mkdir(parents=True, exist_ok=True)
    durations = {row["videoId"]: row["duration"] for row in truth}
    write(args.out / "sessions.jsonl", log.events)
    write(args.out / "truth.jsonl", truth)
    write(
        args.out / "videos.jsonl",
        (
            {"videoId": clip.video_id, "duration": durations[clip.video_id], "title": clip.title}
            for clip in CLIPS
            if clip.video_id in durations
        ),
    )


if __name__ == "__main__":
    main()
