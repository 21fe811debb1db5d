"""Writes `docs/recorded-sessions.md`: what the browser played beside what the pipeline credits.

    python -m recordings.compare        # in the root of the repository

The numbers are computed. The sentences are written by hand: `CAUSES`, `EXPLAINED` (one for every
session with a difference above the limit, and for no other) and `WEAK_SPOTS`.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, product
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from recordings.recorded import LIMIT_MS, Comparison, Credit, Key, Span, compare, length
from recordings.senders import (
    Trial,
    off_by,
    pauses_when_left,
    pauses_while_waiting,
    reports_seeking,
    sends_no_seeks,
    tells_no_rate,
    tells_rate_changes,
    tells_waits,
    tells_where_seeks_began,
)
from recordings.trackers import TRACKERS
from vidagg_dagster.spark.session import engine_session, stop_sessions

PAGE = Path("docs", "recorded-sessions.md")

CAUSES: Mapping[str, tuple[str, str]] = {
    "begin": (
        "Playing takes a moment to begin",
        "Before a seek that does not say where it began, `clipped` credits the clock since the "
        "event before. The picture moves only about 0.1 s after a start or a seek.",
    ),
    "rate": (
        "A change of speed was not sent",
        "The pair is bounded by the larger rate of its two ends; a speed chosen and left again "
        "between them is unknown, and the pair is taken for a seek.",
    ),
    "left": (
        "Nobody says where watching ended",
        "What was played after the last event of a page is never counted. Its upper bound is the "
        "estimate.",
    ),
    "stall": (
        "Buffering is clock time",
        "`totalClockTime` is the clock between two events, also while the picture stood still. "
        "What was watched is right.",
    ),
}
"""Why sessions differ: a heading and the rule."""

EXPLAINED: Mapping[Key, tuple[str, str]] = {
    ("18_quick_seeks", "clip_long"): (
        "begin",
        "Five seeks in a few seconds, and each clip before one is a little too long.",
    ),
    ("19_script_seeks", "clip_long"): (
        "begin",
        "Six seeks in 11 s, and each clip before one is a little too long.",
    ),
    ("27_speed_change", "clip_long"): (
        "rate",
        "1x at both ends and 2x between: 24 s of video in 17 s of clock are clipped to the clock.",
    ),
    ("31_loop_closed_heartbeats", "clip_short"): (
        "left",
        "The rounds of the loop are all credited, what followed the last heartbeat is not; the "
        "estimate goes up to the end of the round.",
    ),
    ("32_reload_while_playing", "clip_long"): (
        "left",
        "Only the play of the second page load follows that of the first; the estimate goes up to "
        "that play.",
    ),
    ("33_close_while_playing", "clip_long"): (
        "left",
        "The only start is the play, so nothing is counted; the estimate is the rest of the video.",
    ),
    ("34_close_while_playing_heartbeats", "clip_long"): (
        "left",
        "What followed the last heartbeat is not counted; the estimate is the rest of the video.",
    ),
    ("43_two_videos_by_link", "clip_long"): (
        "left",
        "The link sent no pause; the estimate goes up to the first event of the next video.",
    ),
    ("44_two_videos_in_place", "clip_long"): (
        "left",
        "Swapping the source sent no pause; the estimate goes up to the first event of the next "
        "video.",
    ),
    ("41_buffering_heartbeats", "clip_long"): (
        "stall",
        "The player waited for data several times.",
    ),
    ("42_drag_slow_line", "clip_long"): (
        "stall",
        "The player waited for data before and after the drag; the time of the seek itself is no "
        "interval.",
    ),
}
"""Every scenario and video with a difference above the limit, in whichever browser and by whichever
tracker: its cause, and one sentence.
"""


class WeakSpot(NamedTuple):
    """A case in which the rules are off, the remedy of a sender, and trials that prove both."""

    what: str
    remedy: str
    trials: tuple[Trial, ...]


WEAK_SPOTS: tuple[WeakSpot, ...] = (
    WeakSpot(
        "A clip contains the moment in which playback begins: about 0.1 s too much for each seek.",
        "Send `seekFrom` with each seek: the place of the last frame before it.",
        (
            Trial("c18_quick_seeks", (), (tells_where_seeks_began,)),
            Trial("c19_script_seeks", (), (tells_where_seeks_began,)),
            Trial("f19_script_seeks", (), (tells_where_seeks_began,)),
        ),
    ),
    WeakSpot(
        "A clip contains buffering, where only the beginning of a seek is reported.",
        "Send `video_waiting` when the picture stops and `video_playing` when it goes on.",
        (
            Trial("c42_drag_slow_line", (reports_seeking,), (reports_seeking, tells_waits)),
            Trial("f42_drag_slow_line", (reports_seeking,), (reports_seeking, tells_waits)),
        ),
    ),
    WeakSpot(
        "Buffering is clock time; in Chromium also with `video_waiting` and `video_playing`, since "
        "the position moves a little between them.",
        "Send `video_pause` when the picture stops and `video_resume` when it goes on "
        "(`pauseCount` counts them).",
        (
            Trial("c41_buffering_heartbeats", (), (pauses_while_waiting,), clock=True),
            Trial("c41_buffering_heartbeats", (tells_waits,), (pauses_while_waiting,), clock=True),
            Trial("c42_drag_slow_line", (), (pauses_while_waiting,), clock=True),
            Trial("f41_buffering_heartbeats", (), (pauses_while_waiting,), clock=True),
            Trial("f42_drag_slow_line", (), (pauses_while_waiting,), clock=True),
        ),
    ),
    WeakSpot(
        "A speed chosen and left between two events.",
        "Send `video_rate` with `playbackRate` when it changes.",
        (
            Trial("c27_speed_change", (), (tells_rate_changes,)),
            Trial("f27_speed_change", (), (tells_rate_changes,)),
        ),
    ),
    WeakSpot(
        "No `playbackRate` at all: before a seek, 1x is assumed.",
        "Send `playbackRate` with every event.",
        (
            Trial("c14_drag_at_double_speed", (tells_no_rate,), ()),
            Trial("f14_drag_at_double_speed", (tells_no_rate,), ()),
        ),
    ),
    WeakSpot(
        "No `video_seek` at all: the pause of a click on the slider cannot be told from an "
        "ordinary one, and small steps look like playing or cancel what was watched.",
        "Send `video_seek` when a seek begins or has landed.",
        (
            Trial("c16_click_back", (sends_no_seeks,), ()),
            Trial("c19_script_seeks", (sends_no_seeks,), ()),
            Trial("c23_keyboard_seeks", (sends_no_seeks,), ()),
            Trial("f16_click_back", (sends_no_seeks,), ()),
            Trial("f23_keyboard_seeks", (sends_no_seeks,), ()),
        ),
    ),
    WeakSpot(
        "Page closed, reloaded or left, source swapped: nothing after the last event counts.",
        "Send `video_pause` on `pagehide` and before a swap. Where that is not possible, "
        "heartbeats bound the loss by their interval.",
        tuple(
            Trial(f"{browser}{scenario}", (), (pauses_when_left,))
            for scenario in (
                "31_loop_closed_heartbeats",
                "32_reload_while_playing",
                "33_close_while_playing",
                "34_close_while_playing_heartbeats",
                "43_two_videos_by_link",
                "44_two_videos_in_place",
            )
            for browser in "cf"
        ),
    ),
)


def page(found: Sequence[Comparison], trials: Sequence[tuple[int, int]]) -> str:
    """The page. `trials` are the results of all trials of `WEAK_SPOTS`, in their order."""
    parts = (summary(found), tables(found), explanations(found), weak_spots(trials))
    return "\n".join(line for part in parts for line in part)


def summary(found: Sequence[Comparison]) -> Iterator[str]:
    agree = {}
    for tracker in TRACKERS:
        off = off_by_session(one for one in found if one.tracker == tracker)
        agree[tracker] = sum(gap <= LIMIT_MS for gap in off.values())
    yield "# Recorded sessions: what the browser played and what is credited"
    yield ""
    yield (
        f"**Of {len({one.session for one in found})} sessions recorded in "
        f"{' and '.join(browsers(found))}, what was watched agrees with the browser within 0.5 s "
        f"in {agree['plain']} as a plain tracker reports them, and in {agree['full']} as a full "
        "one does: which seconds, and how many with replays.** The *plain* tracker sends starts, "
        "pauses, ends, heartbeats and one `video_seek` for each seek, as most do. The *full* one "
        "also sends `video_waiting`, `video_playing`, `video_seeking` and `video_rate`."
    )
    yield ""
    yield (
        "| browser | tracker | sessions | within 0.5 s | within 0.1 s | seconds played | credited "
        "| differences, added up |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for browser, tracker in product(browsers(found), TRACKERS):
        chosen = [one for one in found if (one.browser, one.tracker) == (browser, tracker)]
        off = off_by_session(chosen)
        close, near = (sum(gap <= limit for gap in off.values()) for limit in (100, LIMIT_MS))
        played = sum(one.played_total_ms for one in chosen)
        watched = sum(one.watched_total_ms for one in chosen)
        in_all = sum(one.watch_off_ms for one in chosen)
        yield (
            f"| {browser} {browsers(found)[browser]} | {tracker} | {len(off)} | {near} | {close} "
            f"| {seconds(played)} | {seconds(watched)} | {seconds(in_all)} |"
        )
    yield ""
    yield (
        "Nearly all that differs is what no event says: where a tab was closed, and, by the "
        "plain tracker, that the speed changed. Every difference above 0.5 s is explained below, "
        "and [what a sender can do](#weak-spots) was tried on the same sessions. Not recorded: "
        "WebKit (Safari), for which there was no browser to drive, and players with controls of "
        "their own."
    )
    yield ""
    yield (
        "The sessions, how they were recorded and how DOM events became ours: "
        "[recordings](../recordings/README.md). The rules: [metrics.md](metrics.md). "
        "`python -m recordings.compare` computes this page; a test holds it current."
    )
    yield ""


def off_by_session(found: Iterable[Comparison]) -> dict[str, int]:
    """How far what was watched is off, at the worst of a session's videos."""
    off: dict[str, int] = defaultdict(int)
    for one in found:
        off[one.session] = max(off[one.session], one.watch_off_ms)
    return off


def browsers(found: Sequence[Comparison]) -> dict[str, str]:
    """The browsers and their versions."""
    return {one.browser: one.version for one in found}


COLUMNS = (
    "session",
    "what the person did",
    "played",
    "credited",
    "apart",
    "total",
    "clock",
    "tail",
    "why",
)


def tables(found: Sequence[Comparison]) -> Iterator[str]:
    yield "## Session by session"
    yield ""
    yield (
        "Seconds throughout. *Played* is the browser's own `video.played`, *credited* the "
        "pipeline's intervals by evidence, of the plain tracker (pieces under 0.05 s not shown). "
        "*Apart* is the length of what only one of the two contains: by the plain tracker / by the "
        "full one. *Total*, with replays, and *clock*, the time that it took: of the browser / by "
        "the plain tracker / by the full one. **Bold**: off by more than 0.5 s, *why* says the "
        "cause. *Tail* is `estimatedTailSeconds`, which no total contains."
    )
    yield ""
    for browser in browsers(found):
        yield f"### {browser}"
        yield ""
        yield f"| {' | '.join(COLUMNS)} |"
        yield "|---" * len(COLUMNS) + "|"
        chosen = [one for one in found if one.browser == browser]
        videos = Counter(one.session for one in chosen if one.tracker == "plain")
        # By both trackers in turn.
        for plain, full in zip(chosen[::2], chosen[1::2], strict=True):
            yield table_row(plain, full, several_videos=videos[plain.session] > 1)
        yield ""


def table_row(plain: Comparison, full: Comparison, *, several_videos: bool) -> str:
    differs = plain.differs or full.differs
    cause, _ = EXPLAINED.get(plain.scenario, ("", "")) if differs else ("", "")
    number, _, name = plain.session.partition("_")
    cells = (
        f"{number} {name.replace('_', ' ')}" + (f" ({plain.video})" if several_videos else ""),
        plain.did.rstrip("."),
        spans(plain.played),
        evidence(plain.credits),
        " / ".join(bold(seconds(one.apart_ms), one.apart_ms) for one in (plain, full)),
        beside(plain.played_total_ms, plain.watched_total_ms, full.watched_total_ms),
        beside(plain.played_clock_ms, plain.watched_clock_ms, full.watched_clock_ms),
        seconds(plain.tail_ms) if plain.tail_ms else "",
        f"[{cause}](#{anchor(CAUSES[cause][0])})" if cause else "",
    )
    return f"| {' | '.join(cells)} |"


def explanations(found: Sequence[Comparison]) -> Iterator[str]:
    yield "## Every difference above 0.5 s"
    yield ""
    yield (
        "Behind each sentence: how many seconds the sessions are off, in what was watched or, "
        "where that is more, on the clock."
    )
    yield ""
    for cause, (title, rule) in CAUSES.items():
        yield f"### {title}"
        yield ""
        yield rule
        yield ""
        for scenario, (because, sentence) in EXPLAINED.items():
            if because == cause:
                off = "; ".join(off_in_each(found, scenario))
                yield f"- **{scenario[0].partition('_')[0]}** {sentence} *{off}.*"
        yield ""


def off_in_each(found: Sequence[Comparison], scenario: Key) -> Iterator[str]:
    of_scenario = [one for one in found if one.scenario == scenario]
    for plain, full in zip(of_scenario[::2], of_scenario[1::2], strict=True):
        by_plain, by_full = seconds(plain.off_ms), seconds(full.off_ms)
        both = by_plain if by_plain == by_full else f"{by_plain} plain, {by_full} full"
        yield f"{plain.session.partition('_')[0]}: {both}"


def weak_spots(results: Sequence[tuple[int, int]]) -> Iterator[str]:
    yield "## Weak spots"
    yield ""
    yield (
        "What each costs, and what is left of it when the sender does what helps: both measured "
        "by sending the recorded session through the pipeline again, as a plain tracker that also "
        "does what the second column says. The figure is the larger difference of coverage and "
        "total; where buffering is on the clock, that of clock. \\* marks sessions with events "
        "added or left out to show a spot that no recorded tracker met. `seekFrom` was one frame "
        "old here, 0.04 s; a position from the last `timeupdate` is up to 0.25 s old."
    )
    yield ""
    yield "| weak spot | what a sender can do | seconds off: before, after |"
    yield "|---|---|---|"
    remaining = iter(results)
    for spot in WEAK_SPOTS:
        costs = []
        for trial in spot.trials:
            before, after = next(remaining)
            mark = "\\*" if trial.now else ""
            number = trial.session.partition("_")[0]
            costs.append(f"{number}{mark}: {seconds(before)}, {seconds(after)}")
        yield f"| {spot.what} | {spot.remedy} | {'<br>'.join(costs)} |"
    yield ""
    yield (
        "Two more are by design. `estimatedTailSeconds` is an upper bound, so it may be far above "
        "what was played (33) and belongs in no total. `pauseCount` counts the pause that a "
        "browser sends for each drag or click on its slider."
    )
    yield ""


def seconds(length_ms: int) -> str:
    """Seconds with one decimal, half up, so that no page depends on binary fractions."""
    tenths = (abs(length_ms) + 50) // 100
    return f"{'-' if length_ms < 0 and tenths else ''}{tenths // 10}.{tenths % 10}"


def bold(text: str, off_ms: int) -> str:
    return f"**{text}**" if abs(off_ms) > LIMIT_MS else text


def beside(browser_ms: int, *pipeline_ms: int) -> str:
    """What the browser says, and what each tracker's events give."""
    given = (bold(seconds(one), browser_ms - one) for one in pipeline_ms)
    return " / ".join((seconds(browser_ms), *given))


def spans(found: Sequence[Span]) -> str:
    return ", ".join(f"{seconds(start)}-{seconds(end)}" for start, end in found)


def evidence(found: Sequence[Credit]) -> str:
    """Credits in play order, by evidence. A credit that goes on from the one before is merged."""
    shown = []
    for kind, group in groupby(found, key=attrgetter("evidence")):
        runs: list[Span] = []
        for credit in group:
            if runs and runs[-1][1] == credit.start_ms:
                runs[-1] = (runs[-1][0], credit.end_ms)
            else:
                runs.append((credit.start_ms, credit.end_ms))
        if long := [run for run in runs if length([run]) >= 50]:
            shown.append(f"{kind} {spans(long)}")
    return "; ".join(shown) or "none"


def anchor(title: str) -> str:
    """The anchor that Markdown viewers give a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def all_trials() -> list[Trial]:
    return [trial for spot in WEAK_SPOTS for trial in spot.trials]


def main(root: Path) -> None:
    """Rewrite the page in the repository at `root`."""
    try:
        spark = engine_session()
        text = page(compare(spark), off_by(spark, all_trials()))
    finally:
        stop_sessions()
    (root / PAGE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
