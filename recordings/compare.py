"""Writes `docs/recorded-sessions.md`: what the browser played beside what the pipeline credits.

    python -m recordings.compare        # in the root of the repository

The numbers are computed. The sentences are written by hand: `CAUSES`, `EXPLAINED` (one for every
session with a difference above the limit, and for no other) and `WEAK_SPOTS`.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
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
    ("s19_script_seeks", "clip_long"): (
        "begin",
        "Six seeks in 11 s, and each clip before one is a little too long: {more} s too much in "
        "all.",
    ),
    ("s27_speed_change", "clip_long"): (
        "rate",
        "1x at both ends and 2x between: 24 s of video in 17 s of clock are clipped to the clock, "
        "and {missing} s are missing.",
    ),
    ("s31_loop_closed_heartbeats", "clip_short"): (
        "left",
        "The rounds of the loop are all credited; after the last heartbeat the tab was closed, so "
        "{short} s are not counted, and the estimate is {tail} s, up to the end of the round.",
    ),
    ("s32_reload_while_playing", "clip_long"): (
        "left",
        "Only the play of the second page load follows that of the first: the {short} s of the "
        "first are not counted, and the estimate is {tail} s, up to that play.",
    ),
    ("s33_close_while_playing", "clip_long"): (
        "left",
        "The only event is the play: {short} s were played, 0 are counted, and the estimate is "
        "the whole rest of the video ({tail} s).",
    ),
    ("s34_close_while_playing_heartbeats", "clip_long"): (
        "left",
        "The {short} s after the last heartbeat are not counted, and the estimate is the whole "
        "rest of the video ({tail} s).",
    ),
    ("s43_two_videos_by_link", "clip_long"): (
        "left",
        "The link sent no pause: {short} s were played, 0 are counted, and the estimate is "
        "{tail} s, up to the first event of the next video.",
    ),
    ("s44_two_videos_in_place", "clip_long"): (
        "left",
        "Swapping the source sent no pause: {short} s were played, 0 are counted, and the "
        "estimate is {tail} s.",
    ),
    ("s41_buffering_heartbeats", "clip_long"): (
        "stall",
        "The player waited for data five times: {clock} s more on the clock.",
    ),
    ("s42_drag_slow_line", "clip_long"): (
        "stall",
        "Four waits for data while playing: {clock} s more on the clock; the 18 s of the seek "
        "itself are no interval.",
    ),
}
"""Every session and video with a difference above the limit: its cause, and one sentence."""


class WeakSpot(NamedTuple):
    """A case in which the rules are off, the remedy of a sender, and trials that prove both."""

    what: str
    remedy: str
    trials: tuple[Trial, ...]


WEAK_SPOTS: tuple[WeakSpot, ...] = (
    WeakSpot(
        "A clip contains the moment in which playback begins: about 0.1 s too much for each seek.",
        "Send `seekFrom` with each seek: the last position before it.",
        (
            Trial("s18_quick_seeks", (), (tells_where_seeks_began,)),
            Trial("s19_script_seeks", (), (tells_where_seeks_began,)),
        ),
    ),
    WeakSpot(
        "A clip contains buffering, where only the beginning of a seek is reported.",
        "Send `video_waiting` when the picture stops and `video_playing` when it goes on.",
        (Trial("s42_drag_slow_line", (reports_seeking,), (reports_seeking, tells_waits)),),
    ),
    WeakSpot(
        "Buffering is clock time; also with `video_waiting` and `video_playing`, if the position "
        "moves a little between them.",
        "Send `video_pause` when the picture stops and `video_resume` when it goes on "
        "(`pauseCount` counts them).",
        (
            Trial("s41_buffering_heartbeats", (), (pauses_while_waiting,), clock=True),
            Trial("s41_buffering_heartbeats", (tells_waits,), (pauses_while_waiting,), clock=True),
            Trial("s42_drag_slow_line", (), (pauses_while_waiting,), clock=True),
        ),
    ),
    WeakSpot(
        "A speed chosen and left between two events.",
        "Send `video_rate` with `playbackRate` when it changes.",
        (Trial("s27_speed_change", (), (tells_rate_changes,)),),
    ),
    WeakSpot(
        "No `playbackRate` at all: before a seek, 1x is assumed.",
        "Send `playbackRate` with every event.",
        (Trial("s14_drag_at_double_speed", (tells_no_rate,), ()),),
    ),
    WeakSpot(
        "No `video_seek` at all: the pause of a click on the slider cannot be told from an "
        "ordinary one, and small steps look like playing or cancel what was watched.",
        "Send `video_seek` when a seek begins or has landed.",
        (
            Trial("s16_click_back", (sends_no_seeks,), ()),
            Trial("s19_script_seeks", (sends_no_seeks,), ()),
            Trial("s23_keyboard_seeks", (sends_no_seeks,), ()),
        ),
    ),
    WeakSpot(
        "Page closed, reloaded or left, source swapped: nothing after the last event counts.",
        "Send `video_pause` on `pagehide` and before a swap. Where that is not possible, "
        "heartbeats bound the loss by their interval.",
        tuple(
            Trial(session, (), (pauses_when_left,))
            for session in (
                "s31_loop_closed_heartbeats",
                "s32_reload_while_playing",
                "s33_close_while_playing",
                "s34_close_while_playing_heartbeats",
                "s43_two_videos_by_link",
                "s44_two_videos_in_place",
            )
        ),
    ),
)


def page(found: Sequence[Comparison], trials: Sequence[tuple[int, int]]) -> str:
    """The page. `trials` are the results of all trials of `WEAK_SPOTS`, in their order."""
    parts = (summary(found), table(found), explanations(found), weak_spots(trials))
    return "\n".join(line for part in parts for line in part)


def summary(found: Sequence[Comparison]) -> Iterator[str]:
    off: dict[str, int] = defaultdict(int)
    for one in found:
        off[one.session] = max(off[one.session], one.watch_off_ms)
    close, agree = (sum(gap <= limit for gap in off.values()) for limit in (100, LIMIT_MS))
    watch_differs = {session for session, gap in off.items() if gap > LIMIT_MS}
    too_much = {one.session for one in found if max(one.extra_ms, one.total_off_ms) > LIMIT_MS}
    clock_only = {one.session for one in found if one.differs} - watch_differs
    played = sum(one.played_total_ms for one in found)
    watched = sum(one.watched_total_ms for one in found)
    in_all = sum(one.watch_off_ms for one in found)
    yield "# Recorded sessions: what the browser played and what is credited"
    yield ""
    yield (
        f"**Of {len(off)} sessions recorded in Chromium, what was watched agrees with the browser "
        f"within 0.5 s in {agree}, within 0.1 s in {close}: which seconds, and how many with "
        f"replays.** Of the other {len(watch_differs)}, {len(watch_differs - too_much)} are "
        f"credited too little and {len(too_much)} too much; {len(clock_only)} more differ in clock "
        f"time only. In all {seconds(played)} s were played and {seconds(watched)} s are credited. "
        f"The differences add up to {seconds(in_all)} s; by the rules of 0.1.0 it was 76 s. Nearly "
        "all of it is what no event says: where a tab was closed, and that the speed changed. "
        "Every difference is explained below, and [what a sender can do](#weak-spots) was tried "
        "on the same sessions."
    )
    yield ""
    yield (
        "The sessions, how they were recorded and how DOM events became ours: "
        "[recordings](../recordings/README.md). The rules: [metrics.md](metrics.md). "
        "`python -m recordings.compare` computes this page; a test holds it current."
    )
    yield ""


COLUMNS = (
    "session",
    "what the person did",
    "played",
    "credited",
    "apart",
    "unique",
    "total",
    "clock",
    "tail",
    "why",
)


def table(found: Sequence[Comparison]) -> Iterator[str]:
    yield "## Session by session"
    yield ""
    yield (
        "Seconds throughout. *Played* is the browser's own `video.played`, *credited* the "
        "pipeline's intervals by evidence (pieces under 0.05 s not shown). Pairs are browser / "
        "pipeline: *unique* each second once, *total* with replays, *clock* the time that took. "
        "*Apart* is the length of what only one of the two contains. **Bold**: off by more than "
        "0.5 s, *why* says the cause. *Tail* is `estimatedTailSeconds`, which no total contains."
    )
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    videos = Counter(one.session for one in found)
    for one in found:
        cause, _ = EXPLAINED.get(one.key, ("", ""))
        number, _, name = one.session.partition("_")
        cells = (
            f"{number} {name.replace('_', ' ')}"
            + (f" ({one.video})" if videos[one.session] > 1 else ""),
            one.did.rstrip("."),
            spans(one.played),
            evidence(one.credits),
            bold(seconds(one.apart_ms), one.apart_ms),
            pair(length(one.played), length(one.watched)),
            pair(one.played_total_ms, one.watched_total_ms),
            pair(one.played_clock_ms, one.watched_clock_ms),
            seconds(one.tail_ms) if one.tail_ms else "",
            f"[{cause}](#{anchor(CAUSES[cause][0])})" if cause else "",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def explanations(found: Sequence[Comparison]) -> Iterator[str]:
    by_key = {one.key: one for one in found}
    yield "## Every difference above 0.5 s"
    yield ""
    for cause, (title, rule) in CAUSES.items():
        yield f"### {title}"
        yield ""
        yield rule
        yield ""
        for key, (because, sentence) in EXPLAINED.items():
            if because == cause:
                yield f"- **{key[0].partition('_')[0]}** {filled_in(sentence, by_key[key])}"
        yield ""


def filled_in(sentence: str, one: Comparison) -> str:
    return sentence.format(
        missing=seconds(one.missing_ms),
        more=seconds(one.total_off_ms),
        short=seconds(-one.total_off_ms),
        clock=seconds(one.clock_off_ms),
        tail=seconds(one.tail_ms),
    )


def weak_spots(results: Sequence[tuple[int, int]]) -> Iterator[str]:
    yield "## Weak spots"
    yield ""
    yield (
        "What each costs, and what is left of it when the sender does what helps: both measured "
        "by sending the recorded session through the pipeline again, with the events that such a "
        "sender would send. The figure is the larger difference of coverage and total; where "
        "buffering is on the clock, that of clock. \\* marks sessions with events added or left "
        "out to show a spot that no recorded tracker met. `seekFrom` was up to 0.02 s old here; a "
        "position from the last `timeupdate` is up to 0.25 s old."
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
        "what was played (s33) and belongs in no total. `pauseCount` counts the pause that a "
        "browser sends for each drag or click on its slider."
    )
    yield ""


def seconds(length_ms: int) -> str:
    """Seconds with one decimal, half up, so that no page depends on binary fractions."""
    tenths = (abs(length_ms) + 50) // 100
    return f"{'-' if length_ms < 0 and tenths else ''}{tenths // 10}.{tenths % 10}"


def bold(text: str, off_ms: int) -> str:
    return f"**{text}**" if abs(off_ms) > LIMIT_MS else text


def pair(browser_ms: int, pipeline_ms: int) -> str:
    return bold(f"{seconds(browser_ms)} / {seconds(pipeline_ms)}", browser_ms - pipeline_ms)


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
