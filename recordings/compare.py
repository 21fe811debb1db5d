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
    ends_with_a_drag,
    off_by,
    pauses_around_seeks,
    pauses_when_left,
    pauses_while_waiting,
    reports_seeking,
    seeks_without_pause,
    sends_no_seeks,
    tells_last_position,
    tells_no_rate,
    tells_rate_changes,
)
from vidagg_dagster.spark.session import engine_session, stop_sessions

PAGE = Path("docs", "recorded-sessions.md")

CAUSES: Mapping[str, tuple[str, str]] = {
    "clip": (
        "A clip runs at 1x",
        "Before a seek or a drag, `clipped` credits one second of video per second of clock, "
        "whatever `playbackRate` says.",
    ),
    "rate": (
        "A change of speed is not an event",
        "The pair is bounded by the larger rate of its two ends; a speed chosen and left again "
        "between them is unknown, and the pair is taken for a seek.",
    ),
    "loop": (
        "A loop has no events of its own",
        "A looping player sends only a seek to 0. If the event before it was within 2 s of the "
        "start as well, the two positions say that nothing moved, and nothing is credited.",
    ),
    "step": (
        "Small seeks look like playing",
        "A pair may be 1 s further than the clock allows, and a net step back of up to 2 s "
        "credits nothing.",
    ),
    "left": (
        "Nobody says where watching ended",
        "What was played after the last event of a page is never counted. It is estimated only "
        "after a start, and only if nothing follows in the same session and video.",
    ),
    "stall": (
        "Buffering is clock time",
        "`totalClockTime` is the clock between two events, also while the picture stood still. "
        "What was watched is right.",
    ),
}
"""Why sessions differ: a heading and the rule."""

EXPLAINED: Mapping[Key, tuple[str, str]] = {
    ("s14_drag_at_double_speed", "clip_long"): (
        "clip",
        "At 2x the picture went twice as far as the clock before the drag began: {missing} s are "
        "missing.",
    ),
    ("s19_script_seeks", "clip_long"): (
        "step",
        "The last skip went 2 s back after 1.1 s of playing, a net step of -0.9 s, so those 1.1 s "
        "count for nothing ({missing} s of them played only then), while the five seeks before "
        "add {extra} s in all.",
    ),
    ("s23_keyboard_seeks", "clip_long"): (
        "step",
        "An arrow key moves this player by 0.4 s: the three steps ahead count as watched "
        "({extra} s never played), and what the step back showed again counts once.",
    ),
    ("s27_speed_change", "clip_long"): (
        "rate",
        "1x at both ends and 2x between: 24 s of video in 17 s of clock are clipped to the clock, "
        "and {missing} s are missing.",
    ),
    ("s30_loop", "clip_short"): (
        "loop",
        "Both full rounds count for nothing and only the last, ended by a pause, is credited: "
        "{short} s of {played} s are missing.",
    ),
    ("s31_loop_closed_heartbeats", "clip_short"): (
        "loop",
        "A heartbeat every 10 s meets a round of 8 s once at most and saves only what lies before "
        "it, and the tab was closed: {short} s of {played} s are missing.",
    ),
    ("s32_reload_while_playing", "clip_long"): (
        "left",
        "After the reload the session goes on with a play at 0: that is no interval, and not a "
        "last event either, so the {short} s of the first page load are not even estimated.",
    ),
    ("s33_close_while_playing", "clip_long"): (
        "left",
        "The only event is the play: {short} s were played, 0 are counted, and the estimate is "
        "the whole rest of the video ({tail} s).",
    ),
    ("s34_close_while_playing_heartbeats", "clip_long"): (
        "left",
        "The {short} s after the last heartbeat are not counted, and not estimated, because the "
        "last event is no start.",
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


LAST_POSITION = "Send the last known position as `video_progress` just before a seek or a pause."

WEAK_SPOTS: tuple[WeakSpot, ...] = (
    WeakSpot(
        "A clip runs at 1x: too little is credited above 1x, too much below, also for a drag "
        "whose pause says where it began.",
        LAST_POSITION,
        (
            Trial("s14_drag_at_double_speed", (), (tells_last_position,)),
            Trial("s26_speed_half", (ends_with_a_drag,), (ends_with_a_drag, tells_last_position)),
        ),
    ),
    WeakSpot(
        "A clip contains the moment in which playback starts up: about 0.1 s too much for each "
        "seek.",
        LAST_POSITION,
        (Trial("s18_quick_seeks", (), (tells_last_position,)),),
    ),
    WeakSpot(
        "A clip contains buffering.",
        "Send `video_pause` when the picture stops and `video_resume` when it goes on "
        "(`pauseCount` counts them).",
        (Trial("s42_drag_slow_line", (reports_seeking,), (reports_seeking, pauses_while_waiting)),),
    ),
    WeakSpot(
        "Buffering is clock time.",
        "The same.",
        (
            Trial("s41_buffering_heartbeats", (), (pauses_while_waiting,), clock=True),
            Trial("s42_drag_slow_line", (), (pauses_while_waiting,), clock=True),
        ),
    ),
    WeakSpot(
        "A speed chosen and left between two events.",
        "Send `video_progress` with `playbackRate` when it changes.",
        (Trial("s27_speed_change", (), (tells_rate_changes,)),),
    ),
    WeakSpot(
        "No `playbackRate` at all: anything up to 2x may be playing, so skips ahead hide in it.",
        "Send `playbackRate` with every event (what is left is the step back, below).",
        (Trial("s19_script_seeks", (tells_no_rate,), ()),),
    ),
    WeakSpot(
        "A loop back to 0 is no seek if nothing was sent since its last start.",
        LAST_POSITION + " Heartbeats help only if several fit into a round. (In s31 "
        "the tab was closed as well: with the pause of the last row.)",
        (
            Trial("s30_loop", (), (tells_last_position,)),
            Trial("s31_loop_closed_heartbeats", (), (tells_last_position, pauses_when_left)),
        ),
    ),
    WeakSpot(
        "A seek back to a place that could have been reached by playing slowly, sent without the "
        "pause that a browser's own slider sends: all that was watched beyond it is lost.",
        LAST_POSITION,
        (
            Trial(
                "s16_click_back",
                (seeks_without_pause,),
                (seeks_without_pause, tells_last_position),
            ),
        ),
    ),
    WeakSpot(
        "No `video_seek` at all: the pause of a click on the slider cannot be told from an "
        "ordinary one.",
        "Send `video_seek` within 0.25 s of that pause.",
        (Trial("s16_click_back", (sends_no_seeks,), ()),),
    ),
    WeakSpot(
        "A net step back of less than 2 s credits nothing.",
        LAST_POSITION,
        (Trial("s19_script_seeks", (), (tells_last_position,)),),
    ),
    WeakSpot(
        "A step ahead of less than the tolerance (1 s) counts as watched.",
        "Send `video_pause` where it began and `video_resume` where it went (`pauseCount` counts "
        "them).",
        (Trial("s23_keyboard_seeks", (), (pauses_around_seeks,)),),
    ),
    WeakSpot(
        "Page closed, reloaded or left, source swapped: nothing after the last event counts; the "
        "estimate is empty after a reload or a heartbeat.",
        "Send `video_pause` on `pagehide` and before a swap. Where that is not possible, "
        "heartbeats bound the loss by their interval.",
        tuple(
            Trial(session, (), (pauses_when_left,))
            for session in (
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
    apart: dict[str, int] = defaultdict(int)
    for one in found:
        apart[one.session] = max(apart[one.session], one.apart_ms)
    close, agree = (sum(gap <= limit for gap in apart.values()) for limit in (100, LIMIT_MS))
    watch_differs = {one.session for one in found if one.watch_off_ms > LIMIT_MS}
    too_much = {one.session for one in found if one.extra_ms > LIMIT_MS}
    clock_only = {one.session for one in found if one.differs} - watch_differs
    played = sum(one.played_total_ms for one in found)
    watched = sum(one.watched_total_ms for one in found)
    yield "# Recorded sessions: what the browser played and what is credited"
    yield ""
    yield (
        f"**Of {len(apart)} sessions recorded in Chromium, the watched intervals of {agree} agree "
        f"with the browser within 0.5 s, those of {close} within 0.1 s.** Of the other "
        f"{len(watch_differs)}, {len(watch_differs - too_much)} are credited too little and "
        f"{len(too_much)} too much; {len(clock_only)} more differ in clock time only. In all "
        f"{seconds(played)} s were played and {seconds(watched)} s are credited. Most of the gap "
        "is what no event says: where a tab was closed, that a loop began again, that the speed "
        "changed. "
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
        extra=seconds(one.extra_ms),
        played=seconds(one.played_total_ms),
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
        "out to show a spot that no recorded tracker met. The last known position was up to "
        "0.02 s old; one from `timeupdate` is up to 0.25 s old, a gap that the clip fills at 1x."
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
